//! Resource policies as text: statements and documents, member by member in AWS's order.
//!
//! Only what `AddPermission` and `AddLayerVersionPermission` can express is written here; who may do what
//! is decided by the front door, from the text.

use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

/// Most bytes of a document.
const MAX_BYTES: usize = 20_480;

/// What `AddPermission` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewStatement {
    /// Unique in its policy.
    pub sid: String,
    /// For instance `lambda:InvokeFunction`.
    pub action: String,
    /// A service, an account, an ARN or `*`.
    pub principal: String,
    /// ARN of what the service acts for; may have wildcards.
    pub source_arn: Option<String>,
    /// Account of what the service acts for.
    pub source_account: Option<String>,
    /// Organization of the caller.
    pub principal_org_id: Option<String>,
    /// Of Alexa skills.
    pub event_source_token: Option<String>,
    /// `NONE` or `AWS_IAM`.
    pub function_url_auth_type: Option<String>,
    /// Whether only calls that come by a function URL are meant.
    pub invoked_via_function_url: Option<bool>,
}

/// A policy and the revision it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The document, JSON.
    pub text: String,
    /// Of the policy: that of the version or alias it belongs to, or a layer's own.
    pub revision_id: String,
}

impl NewStatement {
    /// The statement about `resource`, as AWS shows it.
    pub(crate) fn render(&self, resource: &str) -> Result<String, Refusal> {
        let mut equal = Map::new();
        let strings = [
            ("AWS:SourceAccount", &self.source_account),
            ("lambda:FunctionUrlAuthType", &self.function_url_auth_type),
            ("aws:PrincipalOrgID", &self.principal_org_id),
            ("lambda:EventSourceToken", &self.event_source_token),
        ];
        for (key, value) in strings {
            if let Some(value) = value {
                equal.insert(key.to_owned(), json!(value));
            }
        }
        let mut condition = Map::new();
        if !equal.is_empty() {
            condition.insert("StringEquals".to_owned(), Value::Object(equal));
        }
        if let Some(via_url) = self.invoked_via_function_url {
            let via_url = json!({ "lambda:InvokedViaFunctionUrl": via_url.to_string() });
            condition.insert("Bool".to_owned(), via_url);
        }
        if let Some(arn) = &self.source_arn {
            condition.insert("ArnLike".to_owned(), json!({ "AWS:SourceArn": arn }));
        }
        Ok(render(&self.sid, principal(&self.principal)?, &self.action, resource, condition))
    }
}

/// One statement that allows something.
pub(crate) fn render(
    sid: &str,
    principal: Value,
    action: &str,
    resource: &str,
    condition: Map<String, Value>,
) -> String {
    let mut statement = Map::new();
    let members = [
        ("Sid", json!(sid)),
        ("Effect", json!("Allow")),
        ("Principal", principal),
        ("Action", json!(action)),
        ("Resource", json!(resource)),
    ];
    statement.extend(members.map(|(member, value)| (member.to_owned(), value)));
    if !condition.is_empty() {
        statement.insert("Condition".to_owned(), Value::Object(condition));
    }
    Value::Object(statement).to_string()
}

/// Who is meant, as AWS writes it.
pub(crate) fn principal(given: &str) -> Result<Value, Refusal> {
    if given == "*" {
        Ok(json!("*"))
    } else if given.len() == 12 && given.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(json!({ "AWS": format!("arn:aws:iam::{given}:root") }))
    } else if is_identity(given) {
        Ok(json!({ "AWS": given }))
    } else if given.ends_with(".amazonaws.com") {
        Ok(json!({ "Service": given }))
    } else {
        Err(Refusal::InvalidPrincipal)
    }
}

/// `arn:aws:iam::…` or `arn:aws:sts::…`: users, roles, sessions.
fn is_identity(text: &str) -> bool {
    let mut parts = text.split(':');
    parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && matches!(parts.next(), Some("iam" | "sts"))
}

/// A document of statements that were rendered before.
pub(crate) fn document(statements: &[String]) -> String {
    format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{}]}}"#, statements.join(","))
}

/// Refuses a document that has grown too long.
pub(crate) fn check_size(statements: &[String]) -> Result<(), Refusal> {
    let size_bytes = document(statements).len();
    match size_bytes > MAX_BYTES {
        true => Err(Refusal::PolicyLengthExceeded { size_bytes, limit_bytes: MAX_BYTES }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "arn:aws:lambda:eu-west-1:111122223333:function:f";

    #[test]
    fn statements_read_as_recorded() {
        let statement = NewStatement {
            sid: "urlPermission".into(),
            action: "lambda:InvokeFunctionUrl".into(),
            principal: "*".into(),
            source_arn: Some("arn:aws:s3:::bucket".into()),
            source_account: Some("111122223333".into()),
            principal_org_id: Some("o-1234567890".into()),
            function_url_auth_type: Some("NONE".into()),
            ..NewStatement::default()
        };
        let expected = concat!(
            r#"{"Sid":"urlPermission","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunctionUrl","#,
            r#""Resource":"arn:aws:lambda:eu-west-1:111122223333:function:f","#,
            r#""Condition":{"StringEquals":{"AWS:SourceAccount":"111122223333","#,
            r#""lambda:FunctionUrlAuthType":"NONE","aws:PrincipalOrgID":"o-1234567890"},"#,
            r#""ArnLike":{"AWS:SourceArn":"arn:aws:s3:::bucket"}}}"#,
        );
        assert_eq!(statement.render(RESOURCE).as_deref(), Ok(expected));
        assert_eq!(
            document(&[expected.to_owned()]),
            format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{expected}]}}"#)
        );
    }

    #[test]
    fn principals_are_told_apart() {
        for (given, expected) in [
            ("*", json!("*")),
            ("s3.amazonaws.com", json!({ "Service": "s3.amazonaws.com" })),
            ("111122223333", json!({ "AWS": "arn:aws:iam::111122223333:root" })),
            ("arn:aws:iam::111122223333:user/u", json!({ "AWS": "arn:aws:iam::111122223333:user/u" })),
        ] {
            assert_eq!(principal(given), Ok(expected));
        }
        for bad in ["", "s3", "11112222333", "arn:aws:s3:::bucket", "amazonaws.com"] {
            assert_eq!(principal(bad), Err(Refusal::InvalidPrincipal), "{bad}");
        }
    }
}
