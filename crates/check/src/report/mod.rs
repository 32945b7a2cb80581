//! The report: a table for people, JSON and JUnit's XML for machines.

mod json;
mod junit;
mod table;

use crate::rules::Level;
use crate::verdict::{Judged, Verdict};

/// All rules that were run, in their order.
#[derive(Debug)]
pub struct Report {
    /// One for each rule.
    pub judged: Vec<Judged>,
}

/// How many rules went how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
struct Summary {
    passed: usize,
    failed: usize,
    warnings: usize,
    not_applicable: usize,
    skipped: usize,
}

impl Report {
    /// Whether the runtime broke a rule; with `strict`, also one that is a recommendation.
    #[must_use]
    pub fn is_failure(&self, strict: bool) -> bool {
        let summary = self.summary();
        summary.failed > 0 || strict && summary.warnings > 0
    }

    /// A line for each rule, and under those that failed what to change.
    #[must_use]
    pub fn table(&self) -> String {
        table::table(self)
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self, target: &str) -> String {
        json::json(self, target)
    }

    /// A test suite in XML. Recommendations fail it only with `strict`.
    #[must_use]
    pub fn junit(&self, target: &str, strict: bool) -> String {
        junit::junit(self, target, strict)
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for judged in &self.judged {
            *match (&judged.verdict, judged.rule.level) {
                (Verdict::Passed, _) => &mut summary.passed,
                (Verdict::Failed(_), Level::Must) => &mut summary.failed,
                (Verdict::Failed(_), Level::Should) => &mut summary.warnings,
                (Verdict::NotApplicable { .. }, _) => &mut summary.not_applicable,
                (Verdict::Skipped { .. }, _) => &mut summary.skipped,
            } += 1;
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::RULES;
    use crate::verdict::Finding;

    fn judged(id: &str, verdict: Verdict) -> Judged {
        let rule = RULES.iter().find(|rule| rule.id == id).unwrap();
        Judged { rule, verdict, output: "a line\nanother".into(), duration: Duration::from_millis(1500) }
    }

    fn finding() -> Verdict {
        Verdict::Failed(Finding {
            expected: "POST <here>".into(),
            seen: "GET /there HTTP/1.1\nHost: h\n\n\u{1}&".into(),
            advice: "go there".into(),
        })
    }

    fn report() -> Report {
        Report {
            judged: vec![
                judged("init.next", Verdict::Passed),
                judged("error.report", finding()),
                judged("error.type-header", finding()),
                judged("stream.body", Verdict::NotApplicable { why: "it answers without streaming".into() }),
                judged("restore.next", Verdict::Skipped { why: "interrupted".into() }),
            ],
        }
    }

    #[test]
    fn a_recommendation_fails_only_the_strict() {
        let mut report = report();
        assert!(report.is_failure(false));
        report.judged.remove(1);
        assert!(!report.is_failure(false) && report.is_failure(true));
        report.judged.remove(1);
        assert!(!report.is_failure(true));
    }

    #[test]
    fn the_table_says_for_each_rule_what_it_is_and_where_it_is_from() {
        let expected = "\
passed          init.next          starts and asks for its first event (runtimes-custom)
FAILED          error.report       posts a handler's error to /error, not to /response (runtimes-custom)
    expected  POST <here>
    seen      GET /there HTTP/1.1
              Host: h

              \u{1}&
    do        go there
    output    a line
              another
warning         error.type-header  names the error's type in a header (runtimes-api)
    expected  POST <here>
    seen      GET /there HTTP/1.1
              Host: h

              \u{1}&
    do        go there
    output    a line
              another
not applicable  stream.body        streams all parts, chunked, with the response mode said (runtimes-custom)
    why       it answers without streaming
skipped         restore.next       asks for events once the restore has been answered (snapstart-runtime-hooks-custom)
    why       interrupted

1 passed, 1 failed, 1 warning, 1 not applicable, 1 skipped
Documents: runtimes-custom, runtimes-api, snapstart-runtime-hooks-custom are https://docs.aws.amazon.com/lambda/latest/dg/<name>.html
";
        assert_eq!(report().table(), expected);
    }

    #[test]
    fn json_has_all_there_is() {
        let json: serde_json::Value = serde_json::from_str(&report().json("./bootstrap")).unwrap();
        assert_eq!(json["target"], "./bootstrap");
        assert_eq!(
            json["summary"],
            serde_json::json!({"passed": 1, "failed": 1, "warnings": 1, "not_applicable": 1, "skipped": 1})
        );
        assert_eq!(
            json["rules"][1],
            serde_json::json!({
                "id": "error.report",
                "title": "posts a handler's error to /error, not to /response",
                "level": "must",
                "document": {
                    "name": "runtimes-custom",
                    "url": "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html",
                },
                "verdict": "failed",
                "expected": "POST <here>",
                "seen": "GET /there HTTP/1.1\nHost: h\n\n\u{1}&",
                "advice": "go there",
                "output": "a line\nanother",
                "duration_ms": 1500,
            })
        );
        assert_eq!(json["rules"][0].get("expected"), None);
        assert_eq!(json["rules"][3]["verdict"], "not_applicable");
        assert_eq!(json["rules"][3]["why"], "it answers without streaming");
    }

    #[test]
    fn junit_is_well_formed_whatever_was_seen() {
        let xml = report().junit("a \"quoted\" <target>", false);
        assert!(xml.contains("<testsuite name=\"firesteel check a &quot;quoted&quot; &lt;target&gt;\" tests=\"5\" failures=\"1\" errors=\"0\" skipped=\"2\""), "{xml}");
        assert!(xml.contains("<testcase classname=\"error\" name=\"report\" time=\"1.500\">"), "{xml}");
        assert!(
            xml.contains("<failure message=\"posts a handler&apos;s error to /error, not to /response\">"),
            "{xml}"
        );
        // A control character may not stand in XML, not even escaped.
        assert!(xml.contains("Host: h\n\n\u{fffd}&amp;") && !xml.contains('\u{1}'), "{xml}");
        assert!(xml.contains("<skipped message=\"it answers without streaming\"/>"), "{xml}");
        assert!(xml.contains("<system-out>warning: expected POST"), "{xml}");
        assert!(report().junit("t", true).contains("failures=\"2\""));
    }
}
