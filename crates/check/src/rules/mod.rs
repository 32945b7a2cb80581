//! The rules, in the order of the report. Each group has a file, each rule a function in it.
//!
//! A rule starts the runtime on its bench and says at the first difference what it expected and what it saw. It
//! has three ends: passed, failed, and not applicable to this runtime or handler.

mod concurrency;
mod connection;
mod context;
mod error;
mod init;
mod invocation;
mod payload;
mod restore;
mod shutdown;
mod stream;

use std::pin::Pin;

use crate::bench::Bench;
use crate::document::{
    AWS_CLIENTS, Document, HTTP, HTTP_1, JSON, LIMITS, RUNTIME_ENVIRONMENT, RUNTIMES_API, RUNTIMES_CUSTOM,
    SNAPSTART_HOOKS,
};
use crate::verdict::Outcome;

/// How much a rule weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A document demands it.
    Must,
    /// A document recommends it, or AWS's own clients have it in common.
    Should,
}

/// One named behaviour.
#[derive(Debug)]
pub struct Rule {
    /// `group.name`
    pub id: &'static str,
    /// What the runtime does, as a sentence without its subject.
    pub title: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// Where it is from.
    pub document: Document,
    /// What to change when it fails, unless the failure knows better.
    pub advice: &'static str,
    /// When it fails, no other rule can be tried.
    pub(crate) is_prerequisite: bool,
    pub(crate) run: Run,
}

type Run = for<'a, 'b> fn(&'a mut Bench<'b>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// `rule!(id, function, level, document, title, advice)`
macro_rules! rule {
    ($id:literal, $run:path, $level:ident, $document:ident, $title:literal, $advice:literal) => {
        Rule {
            id: $id,
            title: $title,
            level: Level::$level,
            document: $document,
            advice: $advice,
            is_prerequisite: false,
            run: |bench| Box::pin($run(bench)),
        }
    };
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        is_prerequisite: true,
        ..rule!(
            "init.next",
            init::next,
            Must,
            RUNTIMES_CUSTOM,
            "starts and asks for its first event",
            "when the handler is loaded, send GET http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next, \
             within 10 seconds of the start; the variable is host:port, without http://"
        )
    },
    Rule {
        is_prerequisite: true,
        ..rule!(
            "invocation.answer",
            invocation::answer,
            Must,
            RUNTIMES_API,
            "posts the result to the event's own id, then asks for the next event",
            "take the id from the header Lambda-Runtime-Aws-Request-Id of the answer to `next`, POST the result to \
             /2018-06-01/runtime/invocation/<id>/response, read the answer, and only then ask for `next` again"
        )
    },
    rule!(
        "init.error",
        init::error,
        Must,
        RUNTIMES_CUSTOM,
        "reports a handler that cannot be loaded to init/error",
        "before ending for want of a handler, POST {\"errorMessage\", \"errorType\"} to \
         /2018-06-01/runtime/init/error"
    ),
    rule!(
        "init.error-shape",
        init::error_shape,
        Should,
        RUNTIMES_API,
        "says in the init error what is wrong and of which kind",
        "send a JSON object with the strings errorMessage and errorType as the body"
    ),
    rule!(
        "init.error-exit",
        init::error_exit,
        Must,
        RUNTIMES_CUSTOM,
        "ends after an init error",
        "end the process once init/error was answered: the environment takes no other call from it"
    ),
    rule!(
        "invocation.thousand",
        invocation::thousand,
        Must,
        RUNTIMES_CUSTOM,
        "answers many events, one right after the other, in one process",
        "loop for ever; free per event what was allocated or opened for it, and read each answer to its end"
    ),
    rule!(
        "invocation.id-echo",
        invocation::id_echo,
        Should,
        AWS_CLIENTS,
        "sends Lambda-Runtime-Invocation-Id back with the answer",
        "when an event has the header Lambda-Runtime-Invocation-Id, send it with /response and /error: by it the \
         platform tells an attempt from one that has timed out"
    ),
    rule!(
        "payload.values",
        payload::values,
        Must,
        JSON,
        "passes every kind of JSON value both ways",
        "null, false, 0, \"\", [] and {} are values like others: do not take them for an absent event or result"
    ),
    rule!(
        "payload.unicode",
        payload::unicode,
        Must,
        JSON,
        "passes text of every script both ways",
        "read and write bodies as UTF-8, whatever the locale; Content-Length counts bytes, not characters"
    ),
    rule!(
        "payload.binary",
        payload::binary,
        Must,
        JSON,
        "passes all bytes in escaped strings both ways, NUL included",
        "treat bodies as bytes with a length: a NUL does not end them, and escapes have to be decoded and encoded"
    ),
    rule!(
        "payload.large-event",
        payload::large_event,
        Must,
        LIMITS,
        "takes an event of 6 MB",
        "read the body to the end of its Content-Length, in as many reads as it takes"
    ),
    rule!(
        "payload.large-response",
        payload::large_response,
        Must,
        LIMITS,
        "sends a response of 6 MB whole",
        "write until all of the body is written; a single write may take only a part"
    ),
    rule!(
        "payload.too-large",
        payload::too_large,
        Should,
        RUNTIMES_API,
        "goes on after a response that was refused with 413",
        "log a 413 and ask for the next event; the caller has been told by the platform"
    ),
    rule!(
        "error.report",
        error::report,
        Must,
        RUNTIMES_CUSTOM,
        "posts a handler's error to /error, not to /response",
        "catch what the handler throws, and POST it to /2018-06-01/runtime/invocation/<id>/error"
    ),
    rule!(
        "error.shape",
        error::shape,
        Must,
        RUNTIMES_API,
        "describes the error as JSON with errorMessage and errorType",
        "send a JSON object with the strings errorMessage (the error's own message) and errorType, and \
         stackTrace as a list if there is one"
    ),
    rule!(
        "error.type-header",
        error::type_header,
        Should,
        RUNTIMES_API,
        "names the error's type in a header",
        "send the header Lambda-Runtime-Function-Error-Type, as category.reason: Function.ValueError"
    ),
    rule!(
        "error.goes-on",
        error::goes_on,
        Must,
        RUNTIMES_CUSTOM,
        "handles the next event after an error",
        "stay in the loop after an error was posted: it ended the invocation, not the runtime"
    ),
    rule!(
        "context.request-id",
        context::request_id,
        Must,
        RUNTIMES_CUSTOM,
        "tells the handler the request id",
        "give the handler Lambda-Runtime-Aws-Request-Id of the event at hand"
    ),
    rule!(
        "context.deadline",
        context::deadline,
        Must,
        RUNTIMES_CUSTOM,
        "tells the handler the deadline",
        "give the handler Lambda-Runtime-Deadline-Ms, milliseconds since 1970: it needs 64 bits"
    ),
    rule!(
        "context.function-arn",
        context::function_arn,
        Must,
        RUNTIMES_CUSTOM,
        "tells the handler the ARN it was invoked by",
        "give the handler Lambda-Runtime-Invoked-Function-Arn of the event at hand, qualifier included"
    ),
    rule!(
        "context.trace",
        context::trace,
        Must,
        RUNTIMES_CUSTOM,
        "sets _X_AMZN_TRACE_ID for each event",
        "set _X_AMZN_TRACE_ID to Lambda-Runtime-Trace-Id before each event, and unset it when there is none"
    ),
    rule!(
        "context.client-context",
        context::client_context,
        Should,
        RUNTIMES_API,
        "tells the handler the client context",
        "give the handler Lambda-Runtime-Client-Context, which is JSON; of the event at hand alone"
    ),
    rule!(
        "context.identity",
        context::identity,
        Should,
        RUNTIMES_API,
        "tells the handler the Cognito identity",
        "give the handler Lambda-Runtime-Cognito-Identity, which is JSON; of the event at hand alone"
    ),
    rule!(
        "connection.http",
        connection::http,
        Must,
        HTTP_1,
        "sends requests with Host, and bodies with a length or chunked",
        "send Host with the value of AWS_LAMBDA_RUNTIME_API in each request, and Content-Length in each POST"
    ),
    rule!(
        "connection.header-names",
        connection::header_names,
        Must,
        HTTP,
        "finds headers whatever the case of their names",
        "compare names of headers without regard to case"
    ),
    rule!(
        "connection.pieces",
        connection::pieces,
        Must,
        HTTP_1,
        "reads answers that arrive a few bytes at a time",
        "read on until the head, and then the body, is complete: a read may return any part of them"
    ),
    rule!(
        "connection.chunked",
        connection::chunked,
        Must,
        HTTP_1,
        "reads an event in chunked transfer coding",
        "decode Transfer-Encoding: chunked; an HTTP/1.1 client has to, and events may come so"
    ),
    rule!(
        "connection.close",
        connection::close,
        Must,
        HTTP_1,
        "opens a new connection after Connection: close",
        "do not send another request on a connection whose last answer said Connection: close"
    ),
    rule!(
        "connection.lost",
        connection::lost,
        Should,
        HTTP_1,
        "opens a new connection when a kept one was closed without a word",
        "when a kept connection turns out to be closed before an answer has begun, send the request again on a new one; a \
         POST, too: a second answer to an event is refused"
    ),
    rule!(
        "connection.patience",
        connection::patience,
        Must,
        RUNTIMES_API,
        "waits for an event for as long as it takes",
        "set no time limit on GET …/next: the environment may be frozen for hours before it is answered"
    ),
    rule!(
        "connection.broken-platform",
        connection::broken_platform,
        Should,
        RUNTIMES_API,
        "ends when the platform answers 500",
        "end the process promptly after a 500: the environment cannot go on"
    ),
    rule!(
        "stream.body",
        stream::body,
        Must,
        RUNTIMES_CUSTOM,
        "streams all parts, chunked, with the response mode said",
        "send Lambda-Runtime-Function-Response-Mode: streaming and Transfer-Encoding: chunked, and end with the \
         empty chunk"
    ),
    rule!(
        "stream.at-once",
        stream::at_once,
        Should,
        RUNTIMES_CUSTOM,
        "sends each part when the handler writes it",
        "flush what the handler writes; do not gather it until the end"
    ),
    rule!(
        "stream.error",
        stream::error,
        Must,
        RUNTIMES_CUSTOM,
        "reports an error in mid-stream in trailers",
        "announce Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body in the head, and \
         send both after the empty chunk; the body is the error's JSON in base64"
    ),
    rule!(
        "stream.goes-on",
        stream::goes_on,
        Must,
        RUNTIMES_CUSTOM,
        "handles the next event after a stream that failed",
        "end the failed stream's request in order, or close its connection, and ask for the next event"
    ),
    rule!(
        "shutdown.sigterm",
        shutdown::sigterm,
        Should,
        RUNTIME_ENVIRONMENT,
        "ends on SIGTERM while it waits",
        "let SIGTERM end the process, after cleaning up for less than half a second; SIGKILL follows"
    ),
    rule!(
        "restore.next",
        restore::next,
        Must,
        SNAPSTART_HOOKS,
        "asks for events once the restore has been answered",
        "when GET …/runtime/restore/next is answered, run the after-restore hooks, then go on with \
         …/invocation/next"
    ),
    rule!(
        "concurrency.limit",
        concurrency::limit,
        Must,
        RUNTIMES_CUSTOM,
        "keeps no more than AWS_LAMBDA_MAX_CONCURRENCY calls of next waiting",
        "start as many loops as AWS_LAMBDA_MAX_CONCURRENCY says, each with one event or one `next` at a time"
    ),
    rule!(
        "concurrency.at-once",
        concurrency::at_once,
        Must,
        RUNTIMES_CUSTOM,
        "answers one event while another is being worked on",
        "give each of the concurrent loops a thread, process or task of its own, and none of them a lock over a whole \
         invocation"
    ),
    rule!(
        "concurrency.no-cross-talk",
        concurrency::no_cross_talk,
        Must,
        RUNTIMES_CUSTOM,
        "answers each of several events with its own result",
        "keep id, event and result of an invocation together; none of them in a global"
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_groups() {
        let mut ids: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
        assert!(ids.iter().all(|id| id.split('.').count() == 2), "{ids:?}");
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
