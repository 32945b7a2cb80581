//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{GetAccountSettingsRequest, Request};

pub(crate) async fn settings(
    _: Front,
    _: GetAccountSettingsRequest,
) -> Result<<GetAccountSettingsRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetAccountSettings" })
}
