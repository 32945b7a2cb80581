//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{GetFunctionRecursionConfigRequest, PutFunctionRecursionConfigRequest, Request};

pub(crate) async fn put(
    _: Front,
    _: PutFunctionRecursionConfigRequest,
) -> Result<<PutFunctionRecursionConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "PutFunctionRecursionConfig" })
}

pub(crate) async fn get(
    _: Front,
    _: GetFunctionRecursionConfigRequest,
) -> Result<<GetFunctionRecursionConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetFunctionRecursionConfig" })
}
