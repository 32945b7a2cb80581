//! Moments, to the millisecond: as they are stored and as AWS prints them.

use jiff::Timestamp;

/// Cut to what is stored, so that what is answered now and what is read later are the same.
pub(crate) fn now() -> Timestamp {
    from_stored(Timestamp::now().as_millisecond())
}

pub(crate) fn from_stored(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

/// `2025-01-01T00:00:00.000+0000`, for the members that are strings in AWS's model.
pub fn timestamp_text(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}
