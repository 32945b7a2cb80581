//! Policies: documents of statements, each of which allows or denies.

use serde_json::{Map, Value};

use super::condition::Condition;
use super::{Access, Caller, Grant, Verdict, pattern};

/// Statements of an identity or of a resource. Without any it allows nothing.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    denies: bool,
    /// `None` in an identity's policy: it is about the identity.
    principals: Option<Principals>,
    actions: Selection,
    resources: Selection,
    conditions: Vec<Condition>,
}

/// Patterns, one of which has to match, or (`NotAction`, `NotResource`) none.
#[derive(Debug, Clone)]
struct Selection {
    patterns: Vec<String>,
    inverted: bool,
}

#[derive(Debug, Clone, Default)]
struct Principals {
    anyone: bool,
    /// ARNs and account numbers.
    aws: Vec<String>,
    services: Vec<String>,
}

/// Why a document is no policy that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// A member that is missing or of another form than policies have.
    #[error("`{0}` is missing, or is not what a policy has there")]
    Form(&'static str),
    /// A member that would be passed over.
    #[error("`{0}` is unknown, or has no place in this policy")]
    Member(String),
    /// An operator of conditions that is not evaluated.
    #[error("the condition operator `{0}` is not supported")]
    Operator(String),
    /// `${…}` is not replaced.
    #[error("the variable in `{0}` is not supported")]
    Variable(String),
}

impl Policy {
    /// The policy of an identity.
    ///
    /// # Errors
    ///
    /// Something in the document is not understood.
    pub fn of_identity(document: &Value) -> Result<Self, InvalidPolicy> {
        Self::parse(document, false)
    }

    /// The policy of a resource, whose statements name principals.
    ///
    /// # Errors
    ///
    /// Something in the document is not understood.
    pub fn of_resource(document: &Value) -> Result<Self, InvalidPolicy> {
        Self::parse(document, true)
    }

    /// Allows all, as the root of an account has it.
    #[must_use]
    pub(crate) fn everything() -> Self {
        let all = || Selection { patterns: vec!["*".to_owned()], inverted: false };
        let (actions, resources) = (all(), all());
        let conditions = Vec::new();
        Policy {
            statements: vec![Statement { denies: false, principals: None, actions, resources, conditions }],
        }
    }

    fn parse(document: &Value, of_resource: bool) -> Result<Self, InvalidPolicy> {
        let document = document.as_object().ok_or(InvalidPolicy::Form("policy"))?;
        known_members(document, &["Version", "Id", "Statement"])?;
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(statement @ Value::Object(_)) => vec![statement],
            _ => return Err(InvalidPolicy::Form("Statement")),
        };
        let statements = statements.into_iter().map(|statement| Statement::parse(statement, of_resource));
        Ok(Policy { statements: statements.collect::<Result<_, _>>()? })
    }

    /// What the statements that apply say together.
    pub(super) fn verdict(&self, access: &Access<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for statement in &self.statements {
            let Some(grant) = statement.grant(access) else { continue };
            if statement.denies {
                verdict.denied = true;
            } else {
                verdict.allowed = verdict.allowed.max(Some(grant));
            }
        }
        verdict
    }
}

impl Statement {
    fn parse(statement: &Value, of_resource: bool) -> Result<Self, InvalidPolicy> {
        let members = statement.as_object().ok_or(InvalidPolicy::Form("Statement"))?;
        let known =
            ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Principal"];
        known_members(members, if of_resource { &known } else { &known[..7] })?;
        let denies = match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => false,
            Some("Deny") => true,
            _ => return Err(InvalidPolicy::Form("Effect")),
        };
        let principals = members.get("Principal").map(Principals::parse).transpose()?;
        if of_resource && principals.is_none() {
            return Err(InvalidPolicy::Form("Principal"));
        }
        Ok(Statement {
            denies,
            principals,
            actions: Selection::parse(members, "Action", "NotAction")?,
            resources: Selection::parse(members, "Resource", "NotResource")?,
            conditions: members.get("Condition").map(Condition::all_of).transpose()?.unwrap_or_default(),
        })
    }

    /// Whom this statement means, if it applies at all.
    fn grant(&self, access: &Access<'_>) -> Option<Grant> {
        let grant = match &self.principals {
            None => Grant::Caller,
            Some(principals) => principals.grant(access.caller)?,
        };
        let applies = self.actions.selects(access.action, Case::Ignored)
            && self.resources.selects(access.resource, Case::Kept)
            && self.conditions.iter().all(|condition| condition.holds(&access.context));
        applies.then_some(grant)
    }
}

#[derive(Clone, Copy)]
enum Case {
    Kept,
    Ignored,
}

impl Selection {
    fn parse(
        members: &Map<String, Value>,
        name: &'static str,
        inverted_name: &'static str,
    ) -> Result<Self, InvalidPolicy> {
        let (value, inverted) = match (members.get(name), members.get(inverted_name)) {
            (Some(value), None) => (value, false),
            (None, Some(value)) => (value, true),
            _ => return Err(InvalidPolicy::Form(name)),
        };
        Ok(Selection { patterns: texts(value, name)?, inverted })
    }

    fn selects(&self, text: &str, case: Case) -> bool {
        let lower = |text: &str| text.to_ascii_lowercase();
        let one_fits = self.patterns.iter().any(|pattern| match case {
            Case::Kept => pattern::matches(pattern, text),
            Case::Ignored => pattern::matches(&lower(pattern), &lower(text)),
        });
        one_fits != self.inverted
    }
}

impl Principals {
    fn parse(value: &Value) -> Result<Self, InvalidPolicy> {
        let mut principals = Principals::default();
        match value {
            Value::String(text) if text == "*" => principals.anyone = true,
            Value::Object(kinds) => {
                for (kind, names) in kinds {
                    let names = texts(names, "Principal")?;
                    match kind.as_str() {
                        "AWS" if names.iter().any(|name| name == "*") => principals.anyone = true,
                        "AWS" => principals.aws = names,
                        "Service" => principals.services = names,
                        _ => return Err(InvalidPolicy::Member(kind.clone())),
                    }
                }
            }
            _ => return Err(InvalidPolicy::Form("Principal")),
        }
        Ok(principals)
    }

    fn grant(&self, caller: Caller<'_>) -> Option<Grant> {
        if self.anyone {
            return Some(Grant::Caller);
        }
        match caller {
            Caller::Identity(identity) => {
                let means_account = |name: &String| {
                    *name == identity.account
                        || name.strip_prefix("arn:").and_then(|rest| rest.split_once(':')).is_some_and(
                            |(_, rest)| {
                                rest.strip_prefix("iam::").and_then(|rest| rest.strip_suffix(":root"))
                                    == Some(identity.account.as_str())
                            },
                        )
                };
                if self.aws.contains(&identity.arn) {
                    Some(Grant::Caller)
                } else {
                    self.aws.iter().any(means_account).then_some(Grant::Account)
                }
            }
            Caller::Service(name) => {
                self.services.iter().any(|service| service == name).then_some(Grant::Caller)
            }
            Caller::Anyone => None,
        }
    }
}

/// One text, or a list of them; numbers and truth values are texts too.
pub(super) fn texts(value: &Value, member: &'static str) -> Result<Vec<String>, InvalidPolicy> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let text = |value: &Value| match value {
        Value::String(text) if text.contains("${") => Err(InvalidPolicy::Variable(text.clone())),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(InvalidPolicy::Form(member)),
    };
    if values.is_empty() { Err(InvalidPolicy::Form(member)) } else { values.iter().map(text).collect() }
}

fn known_members(members: &Map<String, Value>, known: &[&str]) -> Result<(), InvalidPolicy> {
    let unknown = members.keys().find(|name| !known.contains(&name.as_str()));
    unknown.map_or(Ok(()), |name| Err(InvalidPolicy::Member(name.clone())))
}
