//! The X-Ray trace header: the caller's is continued, otherwise a new trace is begun.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// What the function's runtime sees, such as
/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0`.
pub(crate) fn header(caller: Option<&str>) -> String {
    complete(&continued(caller))
}

/// The caller's header, or the root of a new trace: what a front end that speaks HTTP to the function's handler
/// shows it. Given back as a request's trace it stays the same.
#[must_use]
pub fn continued(caller: Option<&str>) -> String {
    match caller.map(str::trim) {
        Some(caller) if root(caller).is_some() => caller.to_owned(),
        _ => format!("Root={}", new_root()),
    }
}

/// What a function may count on: a parent and a decision.
fn complete(header: &str) -> String {
    let mut header = header.trim_end_matches(';').to_owned();
    if field(&header, "Parent").is_none() {
        header.push_str(&format!(";Parent={}", &Uuid::new_v4().simple().to_string()[..16]));
    }
    if field(&header, "Sampled").is_none() {
        // Nothing here records traces, so nothing is sampled unless the caller says so.
        header.push_str(";Sampled=0");
    }
    header
}

fn new_root() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("1-{seconds:08x}-{}", &Uuid::new_v4().simple().to_string()[..24])
}

fn root(header: &str) -> Option<&str> {
    let root = field(header, "Root")?;
    let mut parts = root.split('-');
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let well_formed = parts.next() == Some("1")
        && parts.next().is_some_and(|part| hex(part, 8))
        && parts.next().is_some_and(|part| hex(part, 24))
        && parts.next().is_none();
    well_formed.then_some(root)
}

fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_continued() {
        let caller = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0";
        assert_eq!(header(Some(caller)), caller);
        let bare = header(Some("Root=1-5759e988-bd862e3fe1be46a994272793"));
        assert!(bare.starts_with("Root=1-5759e988-bd862e3fe1be46a994272793;Parent="), "{bare}");
        assert!(bare.ends_with(";Sampled=0"), "{bare}");
        assert_eq!(field(&bare, "Parent").unwrap().len(), 16);
    }

    #[test]
    fn a_new_trace_begins_where_there_is_none_or_nonsense() {
        for caller in [None, Some(""), Some("nonsense"), Some("Root=2-x"), Some("Root=1-5759e988-zz")] {
            let header = header(caller);
            assert!(root(&header).is_some(), "{header}");
            assert!(field(&header, "Parent").is_some() && field(&header, "Sampled") == Some("0"), "{header}");
        }
        assert_ne!(header(None), header(None));
    }
}
