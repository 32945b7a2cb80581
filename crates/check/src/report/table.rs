//! For people.

use std::fmt::Write as _;

use crate::report::{Report, Summary};
use crate::rules::Level;
use crate::verdict::{Judged, Verdict};

/// Where the developer guide is.
const DEVELOPER_GUIDE: &str = "https://docs.aws.amazon.com/lambda/latest/dg/";

pub(super) fn table(report: &Report) -> String {
    let mut text = String::new();
    let width = report.judged.iter().map(|judged| judged.rule.id.len()).max().unwrap_or_default();
    for judged in &report.judged {
        let Judged { rule, verdict, output, .. } = judged;
        let word = word(verdict, rule.level);
        line(&mut text, &format!("{word:<14}  {:<width$}  {} ({})", rule.id, rule.title, rule.document.name));
        match verdict {
            Verdict::Passed => {}
            Verdict::Failed(finding) => {
                detail(&mut text, "expected", &finding.expected);
                detail(&mut text, "seen", &finding.seen);
                detail(&mut text, "do", &finding.advice);
                if !output.is_empty() {
                    detail(&mut text, "output", output);
                }
            }
            Verdict::NotApplicable { why } | Verdict::Skipped { why } => detail(&mut text, "why", why),
        }
    }
    let Summary { passed, failed, warnings, not_applicable, skipped } = report.summary();
    let plural = if warnings == 1 { "" } else { "s" };
    line(&mut text, "");
    let mut counts = format!(
        "{passed} passed, {failed} failed, {warnings} warning{plural}, {not_applicable} not applicable"
    );
    if skipped > 0 {
        let _ = write!(counts, ", {skipped} skipped");
    }
    line(&mut text, &counts);
    documents(&mut text, report);
    text
}

fn word(verdict: &Verdict, level: Level) -> &'static str {
    match (verdict, level) {
        (Verdict::Passed, _) => "passed",
        (Verdict::Failed(_), Level::Must) => "FAILED",
        (Verdict::Failed(_), Level::Should) => "warning",
        (Verdict::NotApplicable { .. }, _) => "not applicable",
        (Verdict::Skipped { .. }, _) => "skipped",
    }
}

/// A text of one or more lines beside its name.
fn detail(text: &mut String, name: &str, value: &str) {
    for (number, part) in value.lines().enumerate() {
        let name = if number == 0 { name } else { "" };
        line(text, &format!("    {name:<8}  {part}"));
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

/// The addresses of the documents named.
fn documents(text: &mut String, report: &Report) {
    let mut named = Vec::new();
    for judged in &report.judged {
        if !named.contains(&judged.rule.document) {
            named.push(judged.rule.document);
        }
    }
    let (guide, others): (Vec<_>, Vec<_>) =
        named.into_iter().partition(|document| document.url.starts_with(DEVELOPER_GUIDE));
    let names: Vec<_> = guide.iter().map(|document| document.name).collect();
    let mut places: Vec<_> = others.iter().map(|other| format!("{} is {}", other.name, other.url)).collect();
    if !names.is_empty() {
        places.insert(0, format!("{} are {DEVELOPER_GUIDE}<name>.html", names.join(", ")));
    }
    line(text, &format!("Documents: {}", places.join("; ")));
}
