//! What the account may have, and what it has.

use super::code::{self, ZIPPED_BYTES};
use crate::error::ApiError;
use crate::front::Front;
use crate::model::{AccountLimit, AccountUsage, GetAccountSettingsRequest, GetAccountSettingsResponse};

pub(crate) async fn settings(
    front: Front,
    _: GetAccountSettingsRequest,
) -> Result<GetAccountSettingsResponse, ApiError> {
    let limits = front.account().limits;
    let usage = front.catalog(|store| store.account_usage()).await?;
    let size = |bytes: u64| i64::try_from(bytes).ok();
    Ok(GetAccountSettingsResponse {
        account_limit: Some(AccountLimit {
            total_code_size: size(limits.total_code_size_bytes),
            code_size_unzipped: size(code::unzipped_limit_bytes(&front)?),
            code_size_zipped: i64::try_from(ZIPPED_BYTES).ok(),
            concurrent_executions: Some(limits.concurrent_executions.into()),
            unreserved_concurrent_executions: Some(usage.unreserved_concurrent_executions.into()),
        }),
        account_usage: Some(AccountUsage {
            total_code_size: size(usage.code_size_bytes),
            function_count: size(usage.functions),
        }),
    })
}
