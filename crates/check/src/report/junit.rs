//! For continuous integration: the XML that JUnit's Ant task began with.

use std::fmt::Write as _;

use crate::report::Report;
use crate::rules::Level;
use crate::verdict::{Finding, Verdict};

pub(super) fn junit(report: &Report, target: &str, strict: bool) -> String {
    let summary = report.summary();
    let failures = summary.failed + if strict { summary.warnings } else { 0 };
    let seconds: f64 = report.judged.iter().map(|judged| judged.duration.as_secs_f64()).sum();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"firesteel check {}\" tests=\"{}\" \
         failures=\"{failures}\" errors=\"0\" skipped=\"{}\" time=\"{seconds:.3}\">\n",
        escaped(target),
        report.judged.len(),
        summary.not_applicable + summary.skipped,
    );
    for judged in &report.judged {
        let rule = judged.rule;
        let (group, name) = rule.id.split_once('.').expect("an id is group.name");
        let content = match &judged.verdict {
            Verdict::Passed => String::new(),
            Verdict::Failed(finding) if rule.level == Level::Must || strict => format!(
                "<failure message=\"{}\">{}</failure>",
                escaped(rule.title),
                escaped(&in_full(finding, &judged.output))
            ),
            Verdict::Failed(finding) => format!(
                "<system-out>{}</system-out>",
                escaped(&format!("warning: {}", in_full(finding, &judged.output)))
            ),
            Verdict::NotApplicable { why } | Verdict::Skipped { why } => {
                format!("<skipped message=\"{}\"/>", escaped(why))
            }
        };
        let time = judged.duration.as_secs_f64();
        let _ = writeln!(
            xml,
            "  <testcase classname=\"{group}\" name=\"{name}\" time=\"{time:.3}\">{content}</testcase>"
        );
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn in_full(finding: &Finding, output: &str) -> String {
    let Finding { expected, seen, advice } = finding;
    format!("expected {expected}\n\nseen {seen}\n\ndo: {advice}\n\noutput of the runtime:\n{output}")
}

/// Text in XML 1.0, which has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
