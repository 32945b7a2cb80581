//! Resource policies of functions, versions and aliases.
//!
//! A write to a policy gives a new revision to the policy and to what it belongs to, the same. Other writes give one to the
//! function, version or alias alone. Before its first statement, a policy has the revision of what it will belong to.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::attachments::place;
use crate::name::Qualifier;
use crate::policy::{NewStatement, Policy, check_size, document};
use crate::reference::FunctionReference;
use crate::refusal::{Refusal, RevisionOf};
use crate::rows::{FunctionId, find_function};
use crate::store::{Result, Store};

impl Store {
    /// Appends a statement; the answer is its text, JSON.
    pub fn add_permission(
        &self,
        reference: &FunctionReference,
        statement: &NewStatement,
        revision_id: Option<&str>,
    ) -> Result<String> {
        let FunctionReference { name, qualifier } = reference;
        if *qualifier == Some(Qualifier::Latest) {
            return Err(Refusal::PolicyOfLatest.into());
        }
        self.write(name, |transaction| {
            let function = self.existing_place(transaction, reference)?;
            let place = place(qualifier.as_ref());
            let present = match read_revision(transaction, function, &place)? {
                Some(present) => present,
                None => self.revision_of(transaction, function, reference)?,
            };
            RevisionOf::Policy.expect(revision_id, &present)?;
            let mut statements = read_statements(transaction, function, &place)?;
            if statements.iter().any(|(sid, _)| *sid == statement.sid) {
                return Err(Refusal::StatementExists { sid: statement.sid.clone() }.into());
            }
            let resource = self.account.function_arn(name, qualifier.as_ref()).to_string();
            let text = statement.render(&resource)?;
            statements.push((statement.sid.clone(), text.clone()));
            check_size(&texts(statements))?;
            transaction
                .prepare_cached(
                    "INSERT INTO policy_statement (function, qualifier, position, sid, statement, revision_id)
                     SELECT ?1, ?2, 1 + coalesce(max(position), 0), ?3, ?4, ''
                     FROM policy_statement WHERE function = ?1 AND qualifier = ?2",
                )?
                .execute(params![function, place, statement.sid, text])?;
            self.renew_policy_revision(transaction, function, reference)?;
            Ok(text)
        })
    }

    /// Takes a statement away.
    pub fn remove_permission(
        &self,
        reference: &FunctionReference,
        sid: &str,
        revision_id: Option<&str>,
    ) -> Result<()> {
        let FunctionReference { name, qualifier } = reference;
        self.write(name, |transaction| {
            if find_function(transaction, name)?.is_none() {
                return Err(Refusal::NoPolicyFound { arn: self.account.function_arn(name, None) }.into());
            }
            let function = self.existing_place(transaction, reference)?;
            let place = place(qualifier.as_ref());
            let statements = read_statements(transaction, function, &place)?;
            if statements.is_empty() {
                return Err(Refusal::NoPolicy.into());
            }
            if !statements.iter().any(|(present, _)| present == sid) {
                return Err(Refusal::StatementNotFound { sid: sid.to_owned() }.into());
            }
            let present = read_revision(transaction, function, &place)?.unwrap_or_default();
            RevisionOf::Function.expect(revision_id, &present)?;
            let delete = "DELETE FROM policy_statement WHERE function = ?1 AND qualifier = ?2 AND sid = ?3";
            transaction.prepare_cached(delete)?.execute(params![function, place, sid])?;
            self.renew_policy_revision(transaction, function, reference)
        })
    }

    /// The policy; AWS does not tell a missing function from a function without one.
    pub fn policy(&self, reference: &FunctionReference) -> Result<Policy> {
        self.read(|connection| {
            let function =
                self.find_place(connection, reference)?.ok_or(Refusal::RequestedResourceNotFound)?;
            let place = place(reference.qualifier.as_ref());
            let revision_id =
                read_revision(connection, function, &place)?.ok_or(Refusal::RequestedResourceNotFound)?;
            let statements = read_statements(connection, function, &place)?;
            Ok(Policy { text: document(&texts(statements)), revision_id })
        })
    }

    fn renew_policy_revision(
        &self,
        transaction: &Transaction<'_>,
        function: FunctionId,
        reference: &FunctionReference,
    ) -> Result<()> {
        self.renew_revision(transaction, function, reference)?;
        let revision_id = self.revision_of(transaction, function, reference)?;
        let update = "UPDATE policy_statement SET revision_id = ?3 WHERE function = ?1 AND qualifier = ?2";
        let place = place(reference.qualifier.as_ref());
        transaction.prepare_cached(update)?.execute(params![function, place, revision_id])?;
        Ok(())
    }
}

/// Of the policy of a place, if it has any statement.
fn read_revision(connection: &Connection, function: FunctionId, place: &str) -> Result<Option<String>> {
    let select = "SELECT revision_id FROM policy_statement WHERE function = ?1 AND qualifier = ?2 LIMIT 1";
    let mut statement = connection.prepare_cached(select)?;
    Ok(statement.query_row(params![function, place], |row| row.get(0)).optional()?)
}

/// The document that speaks about a place, if there is one.
pub(crate) fn read_policy(
    connection: &Connection,
    function: FunctionId,
    qualifier: Option<&Qualifier>,
) -> Result<Option<Arc<str>>> {
    let statements = read_statements(connection, function, &place(qualifier))?;
    Ok((!statements.is_empty()).then(|| document(&texts(statements)).into()))
}

/// Ids and texts, in the order they were added.
fn read_statements(
    connection: &Connection,
    function: FunctionId,
    place: &str,
) -> Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached(
        "SELECT sid, statement FROM policy_statement
         WHERE function = ?1 AND qualifier = ?2 ORDER BY position",
    )?;
    let rows = statement.query_map(params![function, place], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn texts(statements: Vec<(String, String)>) -> Vec<String> {
    statements.into_iter().map(|(_, text)| text).collect()
}
