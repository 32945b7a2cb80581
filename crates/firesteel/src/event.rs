//! The event given on the command line: inline JSON, `@file`, or `-` for stdin.

use std::io::Read;

use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::exit::Failure;

/// The event's bytes, which are JSON.
pub(crate) fn read(argument: &str) -> Result<Bytes, Failure> {
    let (bytes, origin) = match argument {
        "-" => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| Failure::usage("the event could not be read from stdin").because(&error))?;
            (bytes, "on stdin".to_owned())
        }
        file if file.starts_with('@') => {
            let path = &file[1..];
            let bytes = std::fs::read(path).map_err(|error| {
                Failure::usage(format!("the event file {path} could not be read"))
                    .because(&error)
                    .try_next("name a file after @, or give the event inline: firesteel invoke TARGET '{}'")
            })?;
            (bytes, format!("in {path}"))
        }
        inline => (inline.as_bytes().to_vec(), "on the command line".to_owned()),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Bytes::from_static(b"{}"));
    }
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&bytes) {
        let failure = Failure::usage(format!("the event {origin} is not JSON")).because(&error);
        return Err(if std::path::Path::new(argument).is_file() {
            failure.try_next(format!("to send the content of a file, put @ before its name: @{argument}"))
        } else {
            failure.try_next("quote the event for the shell: firesteel invoke TARGET '{\"key\": \"value\"}'")
        });
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_inline_or_from_a_file() {
        assert_eq!(read("{\"a\": 1}").unwrap(), "{\"a\": 1}");
        assert_eq!(read("").unwrap(), "{}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event.json");
        std::fs::write(&path, "[1]").unwrap();
        assert_eq!(read(&format!("@{}", path.display())).unwrap(), "[1]");
        let said = read(&path.display().to_string()).unwrap_err().to_string();
        assert!(said.contains("put @ before its name"), "{said}");
    }

    #[test]
    fn what_is_not_json_is_refused_with_advice() {
        let said = read("{name: Ada}").unwrap_err().to_string();
        assert!(said.starts_with("error: the event on the command line is not JSON\n  cause: "), "{said}");
        assert!(said.contains("try:   quote the event"), "{said}");
        assert!(read("@/nowhere/at/all").unwrap_err().to_string().contains("could not be read"));
    }
}
