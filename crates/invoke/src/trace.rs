//! The X-Ray trace header: the caller's is continued, otherwise a new trace is begun.
//!
//! Its part `Lineage` counts how often a chain of events has passed each function, so that a loop through destinations
//! or queues is noticed: `Lineage=1a2b3c4d:3|5e6f7081:2`, where a function is the beginning of its ARN's hash. Whoever
//! sends the header on unchanged, as AWS's SDKs do, carries the count.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A chain of events that has passed a function so often is a loop, by AWS's account "about 16".
pub const PASSES_LIMIT: u32 = 16;
/// Functions that a lineage counts; the one that was passed longest ago is forgotten first. Keeps the header short.
const LINEAGE_LIMIT: usize = 64;
const LINEAGE: &str = "Lineage";

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

/// How often the chain of events with this header has passed the function, which is named by its ARN without qualifier.
#[must_use]
pub fn passes(header: &str, function_arn: &str) -> u32 {
    let function = lineage_name(function_arn);
    lineage(header).into_iter().find(|(name, _)| *name == function).map_or(0, |(_, passes)| passes)
}

/// The header with one more pass through the function: what the function shall see, and send on.
#[must_use]
pub fn passed(header: &str, function_arn: &str) -> String {
    let function = lineage_name(function_arn);
    let passes = passes(header, function_arn).saturating_add(1);
    let others = lineage(header).into_iter().filter(|(name, _)| *name != function);
    let mut lineage: Vec<String> = others.map(|(name, passes)| format!("{name}:{passes}")).collect();
    lineage.push(format!("{function}:{passes}"));
    let lineage = lineage[lineage.len().saturating_sub(LINEAGE_LIMIT)..].join("|");
    let others =
        header.split(';').map(str::trim).filter(|part| !part.is_empty() && !part.starts_with("Lineage="));
    let mut parts: Vec<String> = others.map(str::to_owned).collect();
    parts.push(format!("{LINEAGE}={lineage}"));
    parts.join(";")
}

/// Functions and their passes. AWS's own headers may have a count of requests before the name; it counts for nothing
/// here, and what cannot be read is as good as absent.
fn lineage(header: &str) -> Vec<(&str, u32)> {
    let items = field(header, LINEAGE).into_iter().flat_map(|lineage| lineage.split('|'));
    items
        .filter_map(|item| {
            let (name, passes) = item.rsplit_once(':')?;
            let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
            let well_formed = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            Some((name, passes.parse().ok()?)).filter(|_| well_formed)
        })
        .collect()
}

fn lineage_name(function_arn: &str) -> String {
    Sha256::digest(function_arn).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
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

    #[test]
    fn each_pass_through_a_function_is_counted() {
        let (first, second) =
            ("arn:aws:lambda:eu-west-1:1:function:a", "arn:aws:lambda:eu-west-1:1:function:b");
        let mut header = continued(None);
        for pass in 0..20 {
            assert_eq!(passes(&header, first), pass);
            assert_eq!(passes(&header, second), pass);
            header = passed(&passed(&header, first), second);
        }
        assert_eq!(header.matches("Lineage").count(), 1);
        assert_eq!(lineage(&header).len(), 2);
        assert_eq!(continued(Some(&header)), header, "a lineage leaves the trace as it is");
        assert_eq!(passes(&continued(None), first), 0);
    }

    #[test]
    fn a_lineage_is_read_as_far_as_it_can_be() {
        let name = lineage_name("f");
        for (header, expected) in [
            (format!("Root=1-a-b;Lineage={name}:3|0a0a0a0a:2"), 3),
            (format!("Root=1-a-b;Lineage=100:{name}:3"), 3),
            (format!("Root=1-a-b;Lineage={name}:x|zz:1"), 0),
            (format!("Root=1-a-b;Lineage={name}"), 0),
            (format!("Root=1-a-b;Lineage={name}:4294967295"), u32::MAX),
            ("Root=1-a-b;Lineage=".to_owned(), 0),
        ] {
            assert_eq!(passes(&header, "f"), expected, "{header}");
            assert_eq!(passes(&passed(&header, "f"), "f"), expected.saturating_add(1), "{header}");
        }
    }

    #[test]
    fn a_lineage_forgets_who_was_passed_longest_ago() {
        let header = (0..100).fold(continued(None), |header, number| passed(&header, &number.to_string()));
        assert_eq!(lineage(&header).len(), 64);
        assert_eq!(passes(&header, "35"), 0);
        assert_eq!(passes(&header, "36"), 1);
    }
}
