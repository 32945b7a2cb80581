//! The module `exception`: one static per exception, named without its suffix.

use super::names;
use super::service::{ModelError, Service, Shape};

/// The module, with the exceptions in order of their names.
pub(super) fn section(service: &Service) -> Result<String, ModelError> {
    let exceptions = service.shapes.iter().filter(|(_, shape)| shape.exception);
    let statics: Result<Vec<_>, _> = exceptions.map(|(name, shape)| exception(name, shape)).collect();
    Ok(format!(
        "
        /// The exceptions that the model names.
        pub(crate) mod exception {{
            use super::{{Exception, Spelling}};
            {}
        }}
        ",
        statics?.join("\n")
    ))
}

/// `ResourceNotFoundException` → `RESOURCE_NOT_FOUND`.
pub(super) fn constant(name: &str) -> String {
    names::constant(name.strip_suffix("Exception").unwrap_or(name))
}

fn exception(name: &str, shape: &Shape) -> Result<String, ModelError> {
    let unknown = |what| ModelError::Unknown { what, subject: name.to_owned() };
    let status = shape.error.as_ref().ok_or_else(|| unknown("the status"))?.http_status_code;
    let members = shape.members()?;
    let has = |wanted: &str| members.iter().any(|(member, _)| member == wanted);
    let spelling = match (has("Message"), has("message")) {
        (true, false) => "Upper",
        (false, true) => "Lower",
        _ => return Err(unknown("the message")),
    };
    let kind = match (has("Type"), status) {
        (false, _) => "None",
        (true, ..500) => r#"Some("User")"#,
        (true, 500..) => r#"Some("Service")"#,
    };
    let constant = constant(name);
    Ok(format!(
        "pub(crate) static {constant}: Exception =
            Exception {{ class: {name:?}, status: {status}, spelling: Spelling::{spelling}, kind: {kind} }};"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::sample;
    use super::*;

    #[test]
    fn an_exception_knows_how_it_is_spelled() {
        let service = sample();
        let text = exception("ThingGoneException", service.shape("ThingGoneException").unwrap()).unwrap();
        assert!(text.contains("static THING_GONE: Exception"), "{text}");
        assert!(text.contains(r#"status: 404, spelling: Spelling::Upper, kind: Some("User")"#), "{text}");
    }
}
