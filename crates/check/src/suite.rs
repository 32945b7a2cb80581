//! The rules, one after the other or a few at a time, each bounded.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bench::Bench;
use crate::report::Report;
use crate::rules::{RULES, Rule};
use crate::target::Target;
use crate::verdict::{Finding, HostError, Judged, Outcome, Stop, Verdict};

/// How the rules are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the runtime may take to answer an event, or to ask for the next one. Also the time limit that its
    /// events tell it of.
    pub answer_limit: Duration,
    /// How long `next` is held where that is what is tried.
    pub hold: Duration,
    /// Events of the rule that sends many.
    pub invocations: u32,
    /// Rules to run; none for all.
    pub only: Vec<String>,
    /// How many rules are run at a time.
    pub at_a_time: usize,
}

/// A rule that takes longer has found a runtime that answers everything, slowly.
const RULE_LIMIT: Duration = Duration::from_secs(120);

/// Of the rule that sends many events, for each of them.
const LIMIT_OF_ONE_OF_MANY: Duration = Duration::from_millis(500);

/// Runs the rules. `stop` ends it early; rules that were not run to their end are skipped then.
///
/// # Errors
/// See [`HostError`]. Nothing is left running.
///
/// # Panics
/// Outside a tokio runtime with I/O and time enabled.
pub async fn run(target: &Target, options: &Options, stop: &CancellationToken) -> Result<Report, HostError> {
    let selected = |rule: &&Rule| {
        rule.is_prerequisite || options.only.is_empty() || options.only.iter().any(|only| only == rule.id)
    };
    let mut judged = Vec::new();
    let mut obstacle: Option<String> = None;
    for rule in RULES.iter().filter(|rule| rule.is_prerequisite) {
        let result = match &obstacle {
            Some(why) => skipped(rule, why),
            None => judge(rule, target, options, false, stop).await?,
        };
        if matches!(result.verdict, Verdict::Failed(_) | Verdict::Skipped { .. }) && obstacle.is_none() {
            obstacle = Some(format!("{} comes first", rule.id));
        }
        judged.push(result);
    }
    let others = RULES.iter().filter(|rule| !rule.is_prerequisite).filter(selected);
    if let Some(why) = obstacle {
        judged.extend(others.map(|rule| skipped(rule, &why)));
        return Ok(Report { judged });
    }
    let plays = plays(target, options, stop).await?;
    let others = stream::iter(others.map(|rule| judge(rule, target, options, plays, stop)));
    let mut others = others.buffered(options.at_a_time);
    let mut broken = None;
    // To the end in any case: what runs is to be closed.
    while let Some(result) = others.next().await {
        match result {
            Ok(result) => judged.push(result),
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    broken.map_or(Ok(Report { judged }), Err)
}

/// Whether the handler is a check handler: it sends back a value that it cannot have guessed.
async fn plays(target: &Target, options: &Options, stop: &CancellationToken) -> Result<bool, HostError> {
    let mut bench = Bench::new(target, options, true);
    let outcome = tokio::select! {
        outcome = asked(&mut bench) => outcome,
        () = stop.cancelled() => Ok(()),
    };
    bench.close().await;
    match outcome {
        Ok(()) => Ok(true),
        Err(Stop::Host(error)) => Err(error),
        Err(Stop::Failed { .. } | Stop::NotApplicable(_) | Stop::Skipped(_)) => Ok(false),
    }
}

async fn asked(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start().await?;
    session.echo(&json!(uuid::Uuid::new_v4().to_string())).await
}

async fn judge(
    rule: &'static Rule,
    target: &Target,
    options: &Options,
    plays: bool,
    stop: &CancellationToken,
) -> Result<Judged, HostError> {
    let began = Instant::now();
    let limit = RULE_LIMIT + options.hold + LIMIT_OF_ONE_OF_MANY * options.invocations;
    let mut bench = Bench::new(target, options, plays);
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        outcome = (rule.run)(&mut bench) => Some(outcome),
        () = tokio::time::sleep(limit) => Some(Err(Stop::failed(
            "an end of the rule",
            format!("the runtime was still at it after {} s", limit.as_secs()),
        ))),
    };
    let output = bench.close().await;
    let verdict = match outcome {
        Some(Ok(())) => Verdict::Passed,
        Some(Err(Stop::Failed { expected, seen, advice })) => {
            Verdict::Failed(Finding { expected, seen, advice: advice.unwrap_or(rule.advice).to_owned() })
        }
        Some(Err(Stop::NotApplicable(why))) => Verdict::NotApplicable { why },
        Some(Err(Stop::Skipped(why))) => Verdict::Skipped { why },
        Some(Err(Stop::Host(error))) => return Err(error),
        None => Verdict::Skipped { why: "interrupted".into() },
    };
    Ok(Judged { rule, verdict, output, duration: began.elapsed() })
}

fn skipped(rule: &'static Rule, why: &str) -> Judged {
    Judged {
        rule,
        verdict: Verdict::Skipped { why: why.to_owned() },
        output: String::new(),
        duration: Duration::ZERO,
    }
}
