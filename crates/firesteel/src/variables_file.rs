//! `--env K=V` and `--env-file FILE`.
//!
//! A file has one `K=V` a line; empty lines and lines that begin with `#` are skipped, `export ` before a key and
//! one pair of quotes around a value are taken off. Nothing is expanded: what is written is what arrives.

use std::collections::BTreeMap;
use std::path::Path;

use crate::exit::Failure;

/// All variables; those on the command line win over those in the file.
pub(crate) fn read(file: Option<&Path>, arguments: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("the variables file {} could not be read", path.display()))
                .because(&error)
                .try_next("--env-file with a file of K=V lines")
        })?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (key, value) = line.split_once('=').ok_or_else(|| {
                Failure::usage(format!("line {} of {} is not K=V: {line}", index + 1, path.display()))
                    .try_next("NAME=value, or # before a comment")
            })?;
            all.insert(key.trim().to_owned(), unquoted(value.trim()).to_owned());
        }
    }
    for argument in arguments {
        let (key, value) = argument.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--env {argument} is not K=V")).try_next("--env NAME=value")
        })?;
        all.insert(key.to_owned(), value.to_owned());
    }
    Ok(all)
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_the_command_line_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "# comment\n\nA=1\nexport B = \"two words\"\nC='x=y'\nD=\n").unwrap();
        let all = read(Some(&path), &["A=9".into(), "E=f=g".into()]).unwrap();
        let expected = [("A", "9"), ("B", "two words"), ("C", "x=y"), ("D", ""), ("E", "f=g")];
        assert_eq!(all, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_line_without_an_equals_sign_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "A=1\nnonsense\n").unwrap();
        assert!(read(Some(&path), &[]).unwrap_err().to_string().contains("line 2"));
        assert!(read(None, &["A".into()]).unwrap_err().to_string().contains("--env A is not K=V"));
    }
}
