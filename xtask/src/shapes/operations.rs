//! `OperationId` and `OPERATIONS`.

use super::names;
use super::service::{self, Answer, ModelError, Operation, Service};

pub(super) fn section(service: &Service) -> Result<String, ModelError> {
    let names: Vec<_> = service.operations.keys().map(String::as_str).collect();
    let entries: Result<Vec<_>, _> =
        service.operations.iter().map(|(name, operation)| entry(service, name, operation)).collect();
    Ok(format!(
        "
        /// An operation of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum OperationId {{ {} }}

        /// All operations, by name.
        pub(crate) static OPERATIONS: &[Operation] = &[{}];
        ",
        names.join(","),
        entries?.join(",")
    ))
}

fn entry(service: &Service, name: &str, operation: &Operation) -> Result<String, ModelError> {
    let (path, query) = match operation.http.request_uri.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (operation.http.request_uri.as_str(), None),
    };
    let segments: Vec<_> = path.split('/').skip(1).map(segment).collect();
    let query = match query.map(|query| query.split_once('=')) {
        None => "None".to_owned(),
        Some(Some((parameter, value))) => format!("Some(({parameter:?}, {value:?}))"),
        Some(None) => return Err(ModelError::Unknown { what: "the query", subject: name.to_owned() }),
    };
    let input = if service::is_present(name) {
        format!("Some({})", names::constant(&operation.input.shape))
    } else {
        "None".to_owned()
    };
    let answer = match service.answer(operation)? {
        Answer::Empty => "Empty",
        Answer::Json => "Json",
        Answer::Bytes => "Bytes",
        Answer::EventStream => "EventStream",
    };
    let errors: Vec<_> = operation
        .errors
        .iter()
        .map(|error| format!("&exception::{}", super::exceptions::constant(&error.shape)))
        .collect();
    Ok(format!(
        "Operation {{
            id: OperationId::{name},
            name: {name:?},
            method: {:?},
            path: &[{}],
            query: {query},
            success: {},
            answer: Answer::{answer},
            input: {input},
            errors: &[{}],
        }}",
        operation.http.method,
        segments.join(","),
        operation.http.response_code,
        errors.join(","),
    ))
}

fn segment(text: &str) -> String {
    match text.strip_prefix('{').and_then(|label| label.strip_suffix('}')) {
        Some(label) => format!("Segment::Label({label:?})"),
        None => format!("Segment::Literal({text:?})"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::sample;
    use super::*;

    #[test]
    fn an_operation_has_its_path_in_pieces() {
        let service = sample();
        let entry = entry(&service, "PutThing", &service.operations["PutThing"]).unwrap();
        for part in [
            r#"path: &[Segment::Literal("v1"),Segment::Literal("things"),Segment::Label("Name")]"#,
            r#"query: Some(("find", "One"))"#,
            "success: 201",
            "answer: Answer::Json",
            "input: Some(PUT_THING_REQUEST)",
            "errors: &[&exception::THING_GONE]",
        ] {
            assert!(entry.contains(part), "{part}: {entry}");
        }
    }
}
