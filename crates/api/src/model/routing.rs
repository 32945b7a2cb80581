//! Method, path and query to an operation.
//!
//! Paths are compared piece by piece while they are still encoded, so that names and ARNs may have slashes and colons in
//! them; then the labels are decoded. A slash too many at the end is nothing: older models have it, and with them older
//! SDKs. One too many elsewhere is another path, as for AWS.

use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::schema::{Member, Operation, Segment};
use super::shapes::OPERATIONS;
use crate::error::ApiError;

/// No path of the API has more pieces.
const SEGMENTS_LIMIT: usize = 8;

/// A request's operation, and what its path says besides.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) operation: &'static Operation,
    /// What the request must be.
    pub(super) input: &'static [Member],
    labels: Vec<(&'static str, String)>,
}

/// The operation that is asked for, or that there is no such one, or not here.
pub(crate) fn route(method: &Method, uri: &Uri) -> Result<Route, ApiError> {
    let unknown = || ApiError::unknown_operation(method, uri);
    let mut pieces = [""; SEGMENTS_LIMIT];
    let pieces = split(uri.path(), &mut pieces).ok_or_else(unknown)?;
    let query = uri.query().unwrap_or_default();
    let matching = OPERATIONS.iter().filter(|operation| {
        operation.method == method.as_str() && fits(operation.path, pieces) && asked_for(operation, query)
    });
    // Of two with one path, the one that the query names.
    let operation = matching.max_by_key(|operation| operation.query.is_some()).ok_or_else(unknown)?;
    let input = operation.input.ok_or(ApiError::Unimplemented { operation: operation.name })?;
    let mut labels = Vec::new();
    for (segment, piece) in operation.path.iter().zip(pieces) {
        if let Segment::Label(name) = segment {
            let decoded = percent_decode_str(piece).decode_utf8().map_err(|_| unknown())?;
            labels.push((*name, decoded.into_owned()));
        }
    }
    Ok(Route { operation, input, labels })
}

impl Route {
    /// What the path says for a label of the operation's template, decoded.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.as_str())
    }
}

/// What is between the slashes.
fn split<'a, 'b>(path: &'a str, pieces: &'b mut [&'a str; SEGMENTS_LIMIT]) -> Option<&'b [&'a str]> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut count = 0;
    for piece in path.split('/') {
        *pieces.get_mut(count)? = piece;
        count += 1;
    }
    Some(&pieces[..count])
}

fn fits(template: &[Segment], pieces: &[&str]) -> bool {
    template.len() == pieces.len()
        && template.iter().zip(pieces).all(|(segment, piece)| match segment {
            Segment::Literal(text) => text == piece,
            Segment::Label(_) => !piece.is_empty(),
        })
}

fn asked_for(operation: &Operation, query: &str) -> bool {
    let Some((name, value)) = operation.query else { return true };
    form_urlencoded::parse(query.as_bytes()).any(|parameter| parameter.0 == name && parameter.1 == value)
}

#[cfg(test)]
mod tests {
    use super::super::shapes::OperationId;
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    fn path(operation: &Operation, label: &str) -> String {
        let encoded = utf8_percent_encode(label, NON_ALPHANUMERIC).to_string();
        let pieces = operation.path.iter().map(|segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Label(_) => format!("/{encoded}"),
        });
        pieces.collect()
    }

    fn uri(operation: &Operation, label: &str, end: &str) -> Uri {
        let query = operation.query.map(|(name, value)| format!("?{name}={value}")).unwrap_or_default();
        format!("{}{end}{query}", path(operation, label)).parse().unwrap()
    }

    fn method(operation: &Operation) -> Method {
        operation.method.parse().unwrap()
    }

    #[test]
    fn every_operation_routes_to_itself() {
        assert_eq!(OPERATIONS.len(), 91);
        let mut had = 0;
        for operation in OPERATIONS {
            for end in ["", "/"] {
                let found = route(&method(operation), &uri(operation, "arn:aws:x/y z", end));
                match (operation.input, found) {
                    (Some(_), Ok(route)) => {
                        assert_eq!(route.operation.id, operation.id);
                        for (_, value) in &route.labels {
                            assert_eq!(value, "arn:aws:x/y z");
                        }
                        had += 1;
                    }
                    (None, Err(ApiError::Unimplemented { operation: name })) => {
                        assert_eq!(name, operation.name);
                    }
                    (_, other) => panic!("{}: {other:?}", operation.name),
                }
            }
        }
        assert_eq!(had, 2 * 68);
    }

    #[test]
    fn a_query_tells_operations_of_one_path_apart() {
        for (query, expected) in [
            ("", OperationId::GetProvisionedConcurrencyConfig),
            ("?Qualifier=1", OperationId::GetProvisionedConcurrencyConfig),
            ("?List=SOME", OperationId::GetProvisionedConcurrencyConfig),
            ("?List=ALL", OperationId::ListProvisionedConcurrencyConfigs),
            ("?MaxItems=1&List=ALL", OperationId::ListProvisionedConcurrencyConfigs),
        ] {
            let uri = format!("/2019-09-30/functions/f/provisioned-concurrency{query}").parse().unwrap();
            assert_eq!(route(&Method::GET, &uri).unwrap().operation.id, expected, "{query}");
        }
    }

    #[test]
    fn colons_may_be_encoded_or_not() {
        for name in [
            "arn:aws:lambda:eu-west-1:111122223333:function:f",
            "arn%3Aaws%3Alambda%3aeu-west-1%3A111122223333%3Afunction%3Af",
        ] {
            let uri = format!("/2015-03-31/functions/{name}/invocations").parse().unwrap();
            let route = route(&Method::POST, &uri).unwrap();
            assert_eq!(route.operation.id, OperationId::Invoke);
            assert_eq!(route.label("FunctionName"), Some("arn:aws:lambda:eu-west-1:111122223333:function:f"));
            assert_eq!(route.label("Name"), None);
        }
    }

    #[test]
    fn what_is_no_operation_is_said_to_be_none() {
        for (method, path) in [
            (Method::GET, "/"),
            (Method::GET, "/2015-03-31"),
            (Method::PATCH, "/2015-03-31/functions"),
            (Method::GET, "//2015-03-31/functions"),
            (Method::GET, "/2015-03-31/functions//"),
            (Method::GET, "/2015-03-31/functions/f/unheard-of"),
            (Method::GET, "/2015-03-31/functions//configuration"),
            (Method::GET, "/2015-03-31/functions/%FF"),
            (Method::GET, "/1/2/3/4/5/6/7/8/9/10"),
            (Method::OPTIONS, "*"),
        ] {
            let found = route(&method, &path.parse().unwrap());
            assert!(matches!(found, Err(ApiError::UnknownOperation { .. })), "{method} {path}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn labels_come_out_as_they_went_in(label in "\\PC{1,40}") {
            let operation = OPERATIONS.iter().find(|operation| operation.id == OperationId::GetAlias).unwrap();
            let route = route(&Method::GET, &uri(operation, &label, "")).unwrap();
            prop_assert_eq!(route.label("Name"), Some(label.as_str()));
            prop_assert_eq!(route.label("FunctionName"), Some(label.as_str()));
        }
    }
}
