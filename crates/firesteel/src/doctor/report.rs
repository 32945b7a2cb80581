//! What was found, as a table for people and as JSON for programs.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::json;

/// Everything that was found.
#[derive(Debug)]
pub(crate) struct Report {
    /// The kind of isolation that functions would get.
    pub(crate) isolation: &'static str,
    pub(crate) areas: Vec<Area>,
}

/// Checks that belong together.
#[derive(Debug)]
pub(crate) struct Area {
    pub(crate) name: &'static str,
    pub(crate) checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) state: State,
    /// What there is, or why there is not.
    pub(crate) found: String,
    /// What to type.
    pub(crate) next: Option<String>,
    /// The exit code depends on it.
    pub(crate) decides: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Ok,
    /// There, but less than it could be.
    Degraded,
    Missing,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Degraded => "degraded",
            State::Missing => "missing",
        }
    }

    fn style(self) -> Style {
        let color = match self {
            State::Ok => AnsiColor::Green,
            State::Degraded => AnsiColor::Yellow,
            State::Missing => AnsiColor::Red,
        };
        color.on_default()
    }
}

impl Check {
    pub(crate) fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Check { name: name.into(), state: State::Ok, found: found.into(), next: None, decides: false }
    }

    pub(crate) fn degraded(name: impl Into<String>, why: impl Into<String>) -> Self {
        Check { state: State::Degraded, ..Check::ok(name, why) }
    }

    pub(crate) fn missing(name: impl Into<String>, why: impl Into<String>) -> Self {
        Check { state: State::Missing, ..Check::ok(name, why) }
    }

    pub(crate) fn try_next(self, next: impl Into<String>) -> Self {
        Check { next: Some(next.into()), ..self }
    }

    pub(crate) fn deciding(self) -> Self {
        Check { decides: true, ..self }
    }
}

impl Report {
    /// Whether functions are isolated and every limit is held.
    pub(crate) fn is_well(&self) -> bool {
        self.lacking() == 0
    }

    /// How much of what decides is not as it should be.
    fn lacking(&self) -> usize {
        self.checks().filter(|check| check.decides && check.state != State::Ok).count()
    }

    fn checks(&self) -> impl Iterator<Item = &Check> {
        self.areas.iter().flat_map(|area| &area.checks)
    }

    fn verdict(&self) -> String {
        match (self.is_well(), self.isolation) {
            (true, isolation) => {
                format!("functions run with isolation `{isolation}`, and every limit is held")
            }
            (false, isolation) => {
                format!("functions run with isolation `{isolation}`; degraded or missing: {}", self.lacking())
            }
        }
    }

    /// With colours.
    pub(crate) fn table(&self) -> String {
        let widest = self.checks().map(|check| check.name.chars().count()).max().unwrap_or(0);
        let mut table = String::new();
        for Area { name, checks } in self.areas.iter().filter(|area| !area.checks.is_empty()) {
            // Writing into a string cannot fail.
            let _ = writeln!(table, "{name}");
            for Check { name, state, found, next, .. } in checks {
                let style = state.style();
                let _ = writeln!(table, "  {style}{:8}{style:#}  {name:widest$}  {found}", state.name());
                if let Some(next) = next {
                    let _ = writeln!(table, "  {:8}  {:widest$}  try: {next}", "", "");
                }
            }
        }
        let _ = writeln!(table, "\n{}", self.verdict());
        table
    }

    /// One object in one line.
    pub(crate) fn json(&self) -> String {
        let checks = self.areas.iter().flat_map(|area| {
            area.checks.iter().map(|check| {
                json!({
                    "area": area.name,
                    "name": check.name,
                    "state": check.state.name(),
                    "found": check.found,
                    "try": check.next,
                    "decides": check.decides,
                })
            })
        });
        json!({"isolation": self.isolation, "ok": self.is_well(), "checks": checks.collect::<Vec<_>>()})
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let kinds = vec![Check::ok("namespace", "works").deciding(), Check::missing("oci", "none")];
        let limits = vec![Check::degraded("/tmp", "in memory").try_next("sudo").deciding()];
        Report {
            isolation: "namespace",
            areas: vec![
                Area { name: "isolation", checks: kinds },
                Area { name: "limits", checks: limits },
                Area { name: "network", checks: Vec::new() },
            ],
        }
    }

    #[test]
    fn only_what_decides_makes_it_unwell() {
        let mut report = report();
        assert!(!report.is_well());
        report.areas.remove(1);
        assert!(report.is_well(), "an OCI runtime need not be there");
    }

    #[test]
    fn the_table_is_aligned() {
        let table = anstream::adapter::strip_str(&report().table()).to_string();
        assert_eq!(
            table,
            "isolation\n  ok        namespace  works\n  missing   oci        none\n\
             limits\n  degraded  /tmp       in memory\n                       try: sudo\n\n\
             functions run with isolation `namespace`; degraded or missing: 1\n"
        );
    }

    #[test]
    fn programs_get_the_same() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!((&json["isolation"], &json["ok"]), (&json!("namespace"), &json!(false)));
        assert_eq!(
            json["checks"][2],
            json!({"area": "limits", "name": "/tmp", "state": "degraded", "found": "in memory", "try": "sudo",
                   "decides": true})
        );
        assert_eq!(json["checks"][1]["try"], json!(null));
    }
}
