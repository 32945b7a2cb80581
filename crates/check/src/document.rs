//! Where a rule is from.

/// A document that AWS or the IETF publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document {
    /// Short enough for a table.
    pub name: &'static str,
    /// Where it is read.
    pub url: &'static str,
}

macro_rules! developer_guide {
    ($page:literal) => {
        Document {
            name: $page,
            url: concat!("https://docs.aws.amazon.com/lambda/latest/dg/", $page, ".html"),
        }
    };
}

/// What a runtime does, task by task; streaming, managed instances.
pub(crate) const RUNTIMES_CUSTOM: Document = developer_guide!("runtimes-custom");
/// The calls of the Runtime API, their headers and statuses.
pub(crate) const RUNTIMES_API: Document = developer_guide!("runtimes-api");
/// Phases of an environment's life.
pub(crate) const RUNTIME_ENVIRONMENT: Document = developer_guide!("lambda-runtime-environment");
/// Sizes of payloads.
pub(crate) const LIMITS: Document = developer_guide!("gettingstarted-limits");
/// What a restore asks of a runtime.
pub(crate) const SNAPSTART_HOOKS: Document = developer_guide!("snapstart-runtime-hooks-custom");
/// HTTP/1.1.
pub(crate) const HTTP_1: Document =
    Document { name: "RFC 9112", url: "https://www.rfc-editor.org/rfc/rfc9112.html" };
/// What header names and statuses mean.
pub(crate) const HTTP: Document =
    Document { name: "RFC 9110", url: "https://www.rfc-editor.org/rfc/rfc9110.html" };
/// JSON.
pub(crate) const JSON: Document =
    Document { name: "RFC 8259", url: "https://www.rfc-editor.org/rfc/rfc8259.html" };
/// What they do although the developer guide does not say so.
pub(crate) const AWS_CLIENTS: Document = Document {
    name: "AWS's clients",
    url: "https://github.com/aws/aws-lambda-python-runtime-interface-client",
};
