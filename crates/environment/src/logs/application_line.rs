//! The function's own lines in a log of JSON: which of them are important enough, and what they lack.
//!
//! Asked only for runtimes that do not do this themselves (see `about`). A line that is no JSON object goes through
//! as it is. An object whose `level` is missing or unknown counts as INFO, and so does one whose `timestamp` is
//! missing or not RFC 3339, whatever its level says; it gets a timestamp.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::spec::LogLevel;

/// The line as it is to be written; none when it is below the level.
pub(super) fn at_level(line: &[u8], least: LogLevel, now: Timestamp) -> Option<Cow<'_, [u8]>> {
    if !line.trim_ascii_start().starts_with(b"{") {
        return Some(Cow::Borrowed(line));
    }
    let Ok(head) = serde_json::from_slice::<Head>(line) else { return Some(Cow::Borrowed(line)) };
    let has_time = text(head.timestamp.as_ref()).is_some_and(|time| time.parse::<Timestamp>().is_ok());
    let level = text(head.level.as_ref()).and_then(level).filter(|_| has_time).unwrap_or(LogLevel::Info);
    if level < least {
        return None;
    }
    Some(if has_time { Cow::Borrowed(line) } else { Cow::Owned(stamped(line, now)) })
}

/// The members that matter here, of any type.
#[derive(Deserialize)]
struct Head {
    level: Option<Value>,
    timestamp: Option<Value>,
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

/// Loggers differ in the case of what they write.
fn level(name: &str) -> Option<LogLevel> {
    const LEVELS: [(&str, LogLevel); 6] = [
        ("TRACE", LogLevel::Trace),
        ("DEBUG", LogLevel::Debug),
        ("INFO", LogLevel::Info),
        ("WARN", LogLevel::Warn),
        ("ERROR", LogLevel::Error),
        ("FATAL", LogLevel::Fatal),
    ];
    LEVELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
}

fn stamped(line: &[u8], now: Timestamp) -> Vec<u8> {
    let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(line) else { return line.to_vec() };
    object.insert("timestamp".into(), format!("{now:.3}").into());
    serde_json::to_vec(&object).expect("what was parsed serializes again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: &str, least: LogLevel) -> Option<String> {
        let now = "2026-11-21T20:00:00.123456Z".parse().unwrap();
        at_level(line.as_bytes(), least, now).map(|line| String::from_utf8_lossy(&line).into_owned())
    }

    #[track_caller]
    fn unchanged(line: &str, least: LogLevel) {
        assert_eq!(at(line, least).as_deref(), Some(line));
    }

    #[test]
    fn objects_with_level_and_time_are_filtered_by_their_level() {
        let names = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        let levels = [
            LogLevel::Trace,
            LogLevel::Debug,
            LogLevel::Info,
            LogLevel::Warn,
            LogLevel::Error,
            LogLevel::Fatal,
        ];
        for (position, name) in names.iter().enumerate() {
            for (least_position, least) in levels.into_iter().enumerate() {
                for name in [(*name).to_owned(), name.to_lowercase()] {
                    let line = format!(r#"{{"timestamp":"2026-10-08T06:53:45Z","level":"{name}","n":1.10}}"#);
                    let expected = (position >= least_position).then(|| line.clone());
                    assert_eq!(at(&line, least), expected);
                }
            }
        }
    }

    #[test]
    fn anything_else_than_an_object_goes_through() {
        for line in ["", "hello", "{not json", "[1]", "\"text\"", "12", r#"{"level":"TRACE"} and more"#] {
            unchanged(line, LogLevel::Fatal);
        }
        let bytes = b"{\xff\xfe";
        assert_eq!(at_level(bytes, LogLevel::Fatal, Timestamp::UNIX_EPOCH).unwrap(), bytes.as_slice());
    }

    #[test]
    fn unknown_levels_are_info() {
        for level in ["", r#""level":"LOUD","#, r#""level":7,"#, r#""level":null,"#] {
            let line = format!(r#"{{{level}"timestamp":"2026-10-08T06:53:45.1+02:00"}}"#);
            unchanged(&line, LogLevel::Info);
            assert_eq!(at(&line, LogLevel::Warn), None, "{line}");
        }
    }

    #[test]
    fn what_has_no_time_is_info_and_gets_one() {
        assert_eq!(
            at(r#"{"level":"TRACE","message":"x"}"#, LogLevel::Info).unwrap(),
            r#"{"level":"TRACE","message":"x","timestamp":"2026-11-21T20:00:00.123Z"}"#
        );
        assert_eq!(
            at(r#"{"timestamp":"yesterday","level":"ERROR"}"#, LogLevel::Info).unwrap(),
            r#"{"timestamp":"2026-11-21T20:00:00.123Z","level":"ERROR"}"#
        );
        assert_eq!(at(r#"{"level":"ERROR"}"#, LogLevel::Error), None);
        assert_eq!(at("{}", LogLevel::Info).unwrap(), r#"{"timestamp":"2026-11-21T20:00:00.123Z"}"#);
    }
}
