//! Policies of versions of layers: who else may use them. They have revisions of their own.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::{Map, json};

use crate::functions::revision_id;
use crate::layers::checked_number;
use crate::policy::{Policy, check_size, document, principal, render};
use crate::refusal::{Refusal, RevisionOf};
use crate::store::{Result, Store};

/// What `AddLayerVersionPermission` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewLayerStatement {
    /// Unique in its policy.
    pub sid: String,
    /// `lambda:GetLayerVersion`
    pub action: String,
    /// An account or `*`.
    pub principal: String,
    /// Of all accounts, only those of this organization.
    pub organization_id: Option<String>,
}

/// Statements by id, and the revision they have.
struct Stored {
    statements: Vec<(String, String)>,
    revision_id: Option<String>,
}

impl Store {
    /// Appends a statement; the answer is its text and the policy's new revision.
    pub fn add_layer_version_permission(
        &self,
        name: &str,
        number: i64,
        new: &NewLayerStatement,
        expected_revision: Option<&str>,
    ) -> Result<(String, String)> {
        let number = checked_number(number)?;
        self.write_apart(|transaction| {
            let mut stored = self.read_layer_policy(transaction, name, number)?;
            if stored.statements.iter().any(|(sid, _)| *sid == new.sid) {
                return Err(Refusal::StatementExists { sid: new.sid.clone() }.into());
            }
            let present = stored.revision_id.as_deref().unwrap_or_default();
            RevisionOf::LayerPolicy.expect(expected_revision, present)?;
            let mut condition = Map::new();
            if let Some(organization) = &new.organization_id {
                let equal = json!({ "aws:PrincipalOrgID": organization });
                condition.insert("StringEquals".to_owned(), equal);
            }
            let resource = self.layer_version_arn(name, number);
            let text = render(&new.sid, principal(&new.principal)?, &new.action, &resource, condition);
            stored.statements.push((new.sid.clone(), text.clone()));
            let revision = write_layer_policy(transaction, name, number, &stored.statements)?;
            Ok((text, revision))
        })
    }

    /// Takes a statement away.
    pub fn remove_layer_version_permission(
        &self,
        name: &str,
        number: i64,
        sid: &str,
        expected_revision: Option<&str>,
    ) -> Result<()> {
        let number = checked_number(number)?;
        self.write_apart(|transaction| {
            let mut stored = self.read_layer_policy(transaction, name, number)?;
            let present = stored.revision_id.as_deref().unwrap_or_default();
            RevisionOf::LayerPolicy.expect(expected_revision, present)?;
            let before = stored.statements.len();
            stored.statements.retain(|(present, _)| present != sid);
            if stored.statements.len() == before {
                return Err(Refusal::StatementNotFound { sid: sid.to_owned() }.into());
            }
            write_layer_policy(transaction, name, number, &stored.statements).map(drop)
        })
    }

    /// The policy of a version of a layer.
    pub fn layer_version_policy(&self, name: &str, number: i64) -> Result<Policy> {
        let number = checked_number(number)?;
        self.read(|connection| {
            let stored = self.read_layer_policy(connection, name, number)?;
            match stored.revision_id {
                Some(revision_id) if !stored.statements.is_empty() => {
                    Ok(Policy { text: document(&texts(&stored.statements)), revision_id })
                }
                _ => Err(Refusal::NoPolicy.into()),
            }
        })
    }

    fn read_layer_policy(&self, connection: &Connection, name: &str, number: u64) -> Result<Stored> {
        let mut statement = connection.prepare_cached(
            "SELECT policy, policy_revision_id FROM layer_version
             JOIN layer ON layer.id = layer WHERE layer.name = ?1 AND number = ?2",
        )?;
        let found: Option<(Option<String>, Option<String>)> =
            statement.query_row(params![name, number], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((policy, revision_id)) = found else {
            return Err(Refusal::LayerVersionNotFound { arn: self.layer_version_arn(name, number) }.into());
        };
        let statements = policy.map(|policy| serde_json::from_str(&policy)).transpose()?.unwrap_or_default();
        Ok(Stored { statements, revision_id })
    }
}

/// The answer is the new revision.
fn write_layer_policy(
    transaction: &Transaction<'_>,
    name: &str,
    number: u64,
    statements: &[(String, String)],
) -> Result<String> {
    check_size(&texts(statements))?;
    let revision = revision_id();
    transaction
        .prepare_cached(
            "UPDATE layer_version SET policy = ?3, policy_revision_id = ?4
             WHERE layer = (SELECT id FROM layer WHERE name = ?1) AND number = ?2",
        )?
        .execute(params![name, number, serde_json::to_string(statements)?, revision])?;
    Ok(revision)
}

fn texts(statements: &[(String, String)]) -> Vec<String> {
    statements.iter().map(|(_, text)| text.clone()).collect()
}
