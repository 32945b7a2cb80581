//! For machines. Fields are added to it, not renamed.

use serde::Serialize;

use crate::report::{Report, Summary};
use crate::rules::Level;
use crate::verdict::{Judged, Verdict};

#[derive(Serialize)]
struct Whole<'a> {
    target: &'a str,
    summary: Summary,
    rules: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    title: &'a str,
    level: &'a str,
    document: Source<'a>,
    verdict: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    output: &'a str,
    duration_ms: u128,
}

#[derive(Serialize)]
struct Source<'a> {
    name: &'a str,
    url: &'a str,
}

pub(super) fn json(report: &Report, target: &str) -> String {
    let rules = report.judged.iter().map(line).collect();
    let whole = Whole { target, summary: report.summary(), rules };
    serde_json::to_string_pretty(&whole).expect("a report has no maps whose keys are no strings")
}

fn line(judged: &Judged) -> Line<'_> {
    let Judged { rule, verdict, output, duration } = judged;
    let (verdict, finding, why) = match verdict {
        Verdict::Passed => ("passed", None, None),
        Verdict::Failed(finding) => ("failed", Some(finding), None),
        Verdict::NotApplicable { why } => ("not_applicable", None, Some(why.as_str())),
        Verdict::Skipped { why } => ("skipped", None, Some(why.as_str())),
    };
    Line {
        id: rule.id,
        title: rule.title,
        level: match rule.level {
            Level::Must => "must",
            Level::Should => "should",
        },
        document: Source { name: rule.document.name, url: rule.document.url },
        verdict,
        expected: finding.map(|finding| finding.expected.as_str()),
        seen: finding.map(|finding| finding.seen.as_str()),
        advice: finding.map(|finding| finding.advice.as_str()),
        why,
        output,
        duration_ms: duration.as_millis(),
    }
}
