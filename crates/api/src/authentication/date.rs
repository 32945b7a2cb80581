//! Dates of signatures: `YYYYMMDDTHHMMSSZ`, or an HTTP date in the `Date` header.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

/// When a request says it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SigningDate {
    /// `YYYYMMDDTHHMMSSZ`, as it is signed.
    pub(super) text: String,
    /// Since 1970.
    pub(super) seconds: i64,
}

impl SigningDate {
    /// The value of `X-Amz-Date`.
    pub(super) fn basic(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let punctuation = bytes.len() == 16 && bytes[8] == b'T' && bytes[15] == b'Z';
        if !punctuation
            || !bytes.iter().enumerate().all(|(at, byte)| at == 8 || at == 15 || byte.is_ascii_digit())
        {
            return None;
        }
        let number = |from: usize, to: usize| text[from..to].parse::<i16>().ok();
        let small = |from: usize| text[from..from + 2].parse::<i8>().ok();
        let civil =
            DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(9)?, small(11)?, small(13)?, 0).ok()?;
        let seconds = TimeZone::UTC.to_timestamp(civil).ok()?.as_second();
        Some(SigningDate { text: text.to_owned(), seconds })
    }

    /// The value of `Date`, in either form.
    pub(super) fn of_date_header(text: &str) -> Option<Self> {
        Self::basic(text).or_else(|| {
            let seconds = rfc2822::parse(text).ok()?.timestamp().as_second();
            Some(SigningDate { text: Self::spelled(seconds), seconds })
        })
    }

    /// `YYYYMMDD`.
    pub(super) fn day(&self) -> &str {
        &self.text[..8]
    }

    /// `YYYYMMDDTHHMMSSZ`; a time out of this calendar is none that anybody signs.
    pub(super) fn spelled(seconds: i64) -> String {
        let time = Timestamp::from_second(seconds).unwrap_or_default();
        time.strftime("%Y%m%dT%H%M%SZ").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_it_is_spelled() {
        let date = SigningDate::basic("20150830T123600Z").unwrap();
        assert_eq!((date.seconds, date.day()), (1_440_938_160, "20150830"));
        assert_eq!(SigningDate::spelled(date.seconds), date.text);
        assert_eq!(SigningDate::of_date_header("Sun, 30 Aug 2015 12:36:00 GMT").unwrap(), date);
    }

    #[test]
    fn what_is_no_date_is_none() {
        let others = [
            "",
            "20150830",
            "20150830T123600",
            "20151330T123600Z",
            "20150830 123600Z",
            "2015083éT12360Z",
            "+0150830T123600Z",
        ];
        for text in others {
            assert_eq!(SigningDate::basic(text), None, "{text}");
        }
    }
}
