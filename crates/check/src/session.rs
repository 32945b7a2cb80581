//! One start of the runtime, and the conversation with it.
//!
//! Each step waits for one thing and says, when something else comes, what was expected and what was seen. No wait
//! is longer than [`Session::answer_limit`]: a runtime that hangs fails its rule and no other.

use std::time::Duration;

use firesteel_sandbox::Exit;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::event::{ACTION, Event, NOT_PLAYED};
use crate::platform::{Arrival, Call, Platform, Reply, Request};
use crate::process::{Ended, RuntimeProcess};
use crate::target::Target;
use crate::verdict::{HostError, Outcome, Stop};

/// Below it all calls of a runtime.
const BASE: &str = "/2018-06-01/runtime/";

/// A request may still be on its way through the socket when its process has ended.
const AFTER_THE_END: Duration = Duration::from_millis(200);

/// How long AWS waits for a runtime's first `next` (AWS: "lambda-runtime-environment").
const INIT_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Session {
    platform: Platform,
    process: RuntimeProcess,
    /// Calls that are never answered: there is no event for them.
    held: Vec<Call>,
    function_arn: String,
    pub(crate) answer_limit: Duration,
}

/// What a wait came to.
#[derive(Debug)]
pub(crate) enum Heard {
    Call(Call),
    Ended(Ended),
    Silence(Duration),
}

/// A runtime's verdict on an event, not yet answered by the platform.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) is_error: bool,
    pub(crate) call: Call,
}

impl Answer {
    /// Answers it with 202.
    pub(crate) fn accept(self) -> Request {
        self.reply(Reply::accepted())
    }

    pub(crate) fn reply(self, reply: Reply) -> Request {
        let request = self.call.request.clone();
        self.call.reply(reply);
        request
    }
}

impl Session {
    /// Starts the runtime. `changes` go over its variables; `None` takes one away.
    pub(crate) async fn start(
        target: &Target,
        changes: &[(&str, Option<String>)],
        answer_limit: Duration,
    ) -> Result<Self, HostError> {
        let platform = Platform::start().await.map_err(HostError::Prepare)?;
        let address = Some(platform.address.to_string());
        let mut changes = changes.to_vec();
        changes.push(("AWS_LAMBDA_RUNTIME_API", address.clone()));
        changes.push(("AWS_LAMBDA_METADATA_API", address));
        let process = RuntimeProcess::start(target, &changes).await?;
        Ok(Session {
            platform,
            process,
            held: Vec::new(),
            function_arn: target.function_arn.clone(),
            answer_limit,
        })
    }

    /// Ends the runtime. Returns the last lines of its output.
    pub(crate) async fn close(self) -> String {
        self.process.close().await
    }

    pub(crate) fn event(&self, body: impl Into<Vec<u8>>) -> Event {
        Event::new(body.into(), &self.function_arn, self.answer_limit)
    }

    pub(crate) fn action(&self, action: &Value) -> Event {
        self.event(action.to_string())
    }

    pub(crate) fn terminate(&self) -> Result<(), HostError> {
        self.process.terminate()
    }

    /// The next call of the runtime's, its end, or silence. What is no call of a runtime is answered here.
    pub(crate) async fn hear(&mut self, limit: Duration) -> Outcome<Heard> {
        let mut until = Instant::now() + limit;
        let mut end = None;
        loop {
            let arrival = tokio::select! {
                biased;
                arrival = timeout_at(until, self.platform.arrival()) => arrival,
                ended = self.process.ended(), if end.is_none() => {
                    end = Some(ended?);
                    until = Instant::now() + AFTER_THE_END;
                    continue;
                }
            };
            match (arrival, end.take()) {
                (Ok(Arrival::Request(call)), still_ended) => match self.aside(call) {
                    Some(call) => return Ok(Heard::Call(call)),
                    None => end = still_ended,
                },
                (Ok(Arrival::Malformed(what)), _) => {
                    return Err(Stop::failed("well-formed HTTP/1.1", what));
                }
                (Err(_), Some(ended)) => return Ok(Heard::Ended(ended)),
                (Err(_), None) => return Ok(Heard::Silence(limit)),
            }
        }
    }

    /// Answers calls that are not the runtime's but of an internal extension, or of the metadata endpoint's client.
    fn aside(&mut self, call: Call) -> Option<Call> {
        match call.request.path.as_str() {
            path if path.starts_with(BASE) => return Some(call),
            "/2020-01-01/extension/register" => {
                let body = br#"{"functionName":"check","functionVersion":"$LATEST","handler":"check"}"#;
                let mut reply = Reply::new(200, "OK", body.to_vec());
                reply.headers = vec![
                    ("Content-Type".into(), "application/json".into()),
                    ("Lambda-Extension-Identifier".into(), uuid::Uuid::new_v4().to_string()),
                ];
                call.reply(reply);
            }
            "/2020-01-01/extension/event/next" => self.hold(call),
            _ => call.reply(Reply::not_found()),
        }
        None
    }

    /// Lets a call wait for as long as the session lasts.
    pub(crate) fn hold(&mut self, call: Call) {
        self.held.push(call);
    }

    /// The runtime's first request for an event.
    pub(crate) async fn first_next(&mut self) -> Outcome<Call> {
        self.next_within(INIT_LIMIT).await
    }

    /// The runtime asks for an event.
    pub(crate) async fn next(&mut self) -> Outcome<Call> {
        self.next_within(self.answer_limit).await
    }

    async fn next_within(&mut self, limit: Duration) -> Outcome<Call> {
        let expected = "GET /2018-06-01/runtime/invocation/next";
        match self.hear(limit).await? {
            Heard::Call(call) if is_next(&call.request) => Ok(call),
            heard => Err(Stop::failed(expected, seen(&heard))),
        }
    }

    /// The runtime posts what became of this event.
    pub(crate) async fn answer(&mut self, event: &Event) -> Outcome<Answer> {
        let response = format!("{BASE}invocation/{}/response", event.id);
        let error = format!("{BASE}invocation/{}/error", event.id);
        let heard = self.hear(self.answer_limit).await?;
        if let Heard::Call(call) = heard {
            let Request { method, path, truncated, .. } = &call.request;
            let is_error = *path == error;
            if method == "POST" && (is_error || *path == response) && !truncated {
                return Ok(Answer { is_error, call });
            }
            return Err(Stop::failed(format!("POST {response}"), call.request.to_string()));
        }
        Err(Stop::failed(format!("POST {response}"), seen(&heard)))
    }

    /// One whole invocation, as polite as can be.
    pub(crate) async fn invoke(&mut self, event: &Event) -> Outcome<Answer> {
        let next = self.next().await?;
        next.reply(event.reply());
        self.answer(event).await
    }

    /// Has the check handler play an action, and returns its answer.
    pub(crate) async fn play(&mut self, action: &Value) -> Outcome<Value> {
        let event = self.action(action);
        self.play_event(&event, action).await
    }

    /// Likewise, with an event that has more to it than the action.
    pub(crate) async fn play_event(&mut self, event: &Event, action: &Value) -> Outcome<Value> {
        let answer = self.invoke(event).await?;
        let is_error = answer.is_error;
        let request = answer.accept();
        played(action, is_error, &request)
    }

    /// Has an event's value sent back unchanged.
    pub(crate) async fn echo(&mut self, value: &Value) -> Outcome {
        let back = self.play(&crate::event::echo(value)).await?;
        same_value(value, &back)
    }

    /// The runtime ends.
    pub(crate) async fn end(&mut self, limit: Duration, expected: &str) -> Outcome<Ended> {
        match self.hear(limit).await? {
            Heard::Ended(ended) => Ok(ended),
            heard => Err(Stop::failed(expected, seen(&heard))),
        }
    }
}

/// The check handler's answer to an action; not applicable where it does not know the action.
pub(crate) fn played(action: &Value, is_error: bool, request: &Request) -> Outcome<Value> {
    if is_error {
        return Err(Stop::failed("the handler's result, posted to …/response", request.to_string()));
    }
    let Ok(answer) = serde_json::from_slice::<Value>(&request.body) else {
        return Err(Stop::failed("a body that is the handler's result as JSON", request.to_string()));
    };
    if is_not_played(action, &answer) {
        return Err(not_played(action));
    }
    Ok(answer)
}

pub(crate) fn is_not_played(action: &Value, answer: &Value) -> bool {
    answer[ACTION] == NOT_PLAYED || answer == action
}

pub(crate) fn not_played(action: &Value) -> Stop {
    let action = action[ACTION].as_str().unwrap_or_default();
    Stop::not_applicable(format!("the handler does not play `{action}`"))
}

pub(crate) fn same_value(expected: &Value, seen: &Value) -> Outcome {
    if expected == seen {
        return Ok(());
    }
    let shown = |value: &Value| crate::platform::shortened(value.to_string().as_bytes());
    Err(Stop::failed(
        format!("the value as it was in the event: {}", shown(expected)),
        format!("a response with {}", shown(seen)),
    ))
}

pub(crate) fn is_next(request: &Request) -> bool {
    request.method == "GET" && request.path == format!("{BASE}invocation/next")
}

pub(crate) fn is_restore_next(request: &Request) -> bool {
    request.method == "GET" && request.path == format!("{BASE}restore/next")
}

pub(crate) fn is_init_error(request: &Request) -> bool {
    request.method == "POST" && request.path == format!("{BASE}init/error")
}

/// What was heard, for people.
pub(crate) fn seen(heard: &Heard) -> String {
    match heard {
        Heard::Call(call) => call.request.to_string(),
        Heard::Ended(Ended::Exited(Exit::Code(code))) => format!("the process ended with exit code {code}"),
        Heard::Ended(Ended::Exited(Exit::Signal(signal))) => {
            format!("the process was ended by signal {signal}")
        }
        Heard::Ended(Ended::NotStarted(why)) => format!("the program could not be started: {why}"),
        Heard::Silence(limit) => format!("nothing for {} ms", limit.as_millis()),
    }
}
