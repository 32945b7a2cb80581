//! PAX records: `LENGTH KEY=VALUE\n`, where a header's fields are too small.

use super::super::error::BadTar;
use super::Time;

/// The records that are of interest here.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) bytes: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Time>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Name of a sparse file: the one in `path` only tells programs apart that do not know of them.
    pub(super) sparse_name: Option<Vec<u8>>,
    /// Other records of sparse files, without `GNU.sparse.`.
    pub(super) sparse: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Records {
    /// Reads the content of a PAX header. An empty value takes back what an earlier record said.
    pub(super) fn parse(content: &[u8]) -> Result<Self, BadTar> {
        let mut records = Records::default();
        let mut rest = content;
        while !rest.is_empty() {
            let (key, value, more) = split_record(rest).ok_or(BadTar::Pax)?;
            records.take(key, value)?;
            rest = more;
        }
        Ok(records)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadTar> {
        let set = !value.is_empty();
        match key {
            b"path" => self.path = set.then(|| value.to_vec()),
            b"linkpath" => self.target = set.then(|| value.to_vec()),
            b"size" => self.bytes = if set { Some(decimal(value, "size")?) } else { None },
            b"uid" => self.uid = if set { Some(id(value, "uid")?) } else { None },
            b"gid" => self.gid = if set { Some(id(value, "gid")?) } else { None },
            b"mtime" => self.mtime = if set { Some(time(value)?) } else { None },
            b"GNU.sparse.name" => self.sparse_name = set.then(|| value.to_vec()),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// Key and value of the first record, and what follows it. Values may contain anything, line ends included.
fn split_record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&records[..space], "").ok()?).ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    Some((&record[..equals], &record[equals + 1..], &records[length..]))
}

/// A decimal number without a sign.
pub(super) fn decimal(digits: &[u8], field: &'static str) -> Result<u64, BadTar> {
    let bad = BadTar::Number { field };
    if digits.is_empty() {
        return Err(bad);
    }
    let number = digits.iter().try_fold(0u64, |number, digit| match digit {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    });
    // The same range as in headers: sums of a few of them are then far from an overflow.
    number.filter(|number| i64::try_from(*number).is_ok()).ok_or(bad)
}

fn id(digits: &[u8], field: &'static str) -> Result<u32, BadTar> {
    u32::try_from(decimal(digits, field)?).map_err(|_| BadTar::Number { field })
}

/// Seconds since 1970 as a decimal fraction, of which nanoseconds are kept; earlier times are negative.
fn time(value: &[u8]) -> Result<Time, BadTar> {
    let bad = BadTar::Number { field: "mtime" };
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(value) => (true, value),
        None => (false, value),
    };
    let (whole, fraction) = match value.iter().position(|byte| *byte == b'.') {
        Some(point) => (&value[..point], &value[point + 1..]),
        None => (value, &b""[..]),
    };
    let seconds = i64::try_from(decimal(whole, "mtime")?).map_err(|_| bad)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(bad);
    }
    let nanos =
        fraction.iter().chain([b'0'; 9].iter()).take(9).fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    Ok(match (negative, nanos) {
        (false, _) => Time { seconds, nanos },
        (true, 0) => Time { seconds: -seconds, nanos: 0 },
        // A file system counts nanoseconds forwards, before 1970 as well.
        (true, _) => Time { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_contain_line_ends_and_equals_signs() {
        let records = Records::parse(b"27 SCHILY.xattr.user.a=\n=\n\n12 path=b/c\n").unwrap();
        assert_eq!(records.xattrs, [(b"user.a".to_vec(), b"\n=\n".to_vec())]);
        assert_eq!(records.path.as_deref(), Some(&b"b/c"[..]));
    }

    #[test]
    fn malformed_records_are_refused() {
        for content in ["5 a=b", "6 a=b\nx", "99 a=b\n", "7 a=b\n", "0 a=b\n", "-6 a=b\n", " a=b\n", "5 =b\n"]
        {
            assert!(Records::parse(content.as_bytes()).is_err(), "{content:?}");
        }
    }

    #[test]
    fn times_have_fractions_and_signs() {
        for (value, seconds, nanos) in [
            ("1700000000.123456789", 1_700_000_000, 123_456_789),
            ("1.5", 1, 500_000_000),
            ("1.00000000099", 1, 0),
            ("0", 0, 0),
            ("-1", -1, 0),
            ("-1.25", -2, 750_000_000),
        ] {
            assert_eq!(time(value.as_bytes()).unwrap(), Time { seconds, nanos }, "{value}");
        }
        for value in ["", "x", "1.x", "--1", "+1", ".", "9223372036854775808"] {
            assert!(time(value.as_bytes()).is_err(), "{value:?}");
        }
    }
}
