//! Layers: numbered packages that functions lay into their `/opt`.

use rusqlite::{Connection, OptionalExtension, params};

use crate::refusal::Refusal;
use crate::store::{Result, Store};
use crate::version::AttachedLayer;

/// Of one function.
const MAX_ATTACHED: usize = 5;

impl Store {
    /// What these ARNs mean, in order. A layer that the function has already may have been deleted since.
    pub(crate) fn attach(
        &self,
        connection: &Connection,
        arns: &[String],
        present: &[AttachedLayer],
    ) -> Result<Vec<AttachedLayer>> {
        if arns.len() > MAX_ATTACHED {
            return Err(Refusal::TooManyLayers.into());
        }
        let mut attached: Vec<AttachedLayer> = Vec::with_capacity(arns.len());
        for arn in arns {
            let missing = || Refusal::LayerMissing { arn: arn.clone() };
            let parts: Vec<&str> = arn.split(':').collect();
            let &["arn", _, "lambda", region, account, "layer", name, number] = parts.as_slice() else {
                return Err(missing().into());
            };
            if region != self.account.region {
                return Err(Refusal::LayerElsewhere { region: self.account.region.clone() }.into());
            }
            let layer = match present.iter().find(|layer| layer.arn == *arn) {
                Some(layer) => layer.clone(),
                None if account == self.account.id => {
                    find_package(connection, arn, name, number)?.ok_or_else(missing)?
                }
                None => return Err(missing().into()),
            };
            let without_number = |arn: &str| arn.rsplit_once(':').map(|(layer, _)| layer.to_owned());
            if let Some(same) = attached.iter().find(|same| without_number(&same.arn) == without_number(arn))
            {
                return Err(Refusal::LayerTwice { first: same.arn.clone(), second: arn.clone() }.into());
            }
            attached.push(layer);
        }
        Ok(attached)
    }
}

fn find_package(
    connection: &Connection,
    arn: &str,
    name: &str,
    number: &str,
) -> Result<Option<AttachedLayer>> {
    let Ok(number) = number.parse::<u64>() else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT code_sha256, code_size_bytes FROM layer_version
         JOIN layer ON layer.id = layer_version.layer WHERE layer.name = ?1 AND number = ?2",
    )?;
    let found = statement
        .query_row(params![name, number], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
        .optional()?;
    let Some((sha256, size_bytes)) = found else { return Ok(None) };
    let sha256 = crate::rows::stored_digest(&sha256)?;
    Ok(Some(AttachedLayer { arn: arn.to_owned(), sha256, size_bytes }))
}
