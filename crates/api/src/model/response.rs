//! A typed response as HTTP: the operation's status, the request's id, and JSON where the operation answers with any.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use uuid::Uuid;

use super::schema::{Answer, Operation, Request};
use super::shapes::OPERATIONS;
use crate::error::{ApiError, REQUEST_ID, request_id_value};

/// The answer of `T`'s operation to the request of this id.
pub(crate) fn respond<T: Request>(response: &T::Response, request_id: Uuid) -> Response {
    let operation = operation::<T>();
    let body = match operation.answer {
        Answer::Json => match serde_json::to_vec(response) {
            Ok(json) => json,
            Err(error) => {
                tracing::error!(operation = operation.name, %error, "a response is not JSON");
                return ApiError::Service.into_response_to(request_id);
            }
        },
        Answer::Empty | Answer::Bytes | Answer::EventStream => Vec::new(),
    };
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() =
        StatusCode::from_u16(operation.success).expect("statuses of the model are those of HTTP");
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REQUEST_ID, request_id_value(request_id));
    answer
}

fn operation<T: Request>() -> &'static Operation {
    let named = OPERATIONS.iter().find(|operation| operation.id == T::OPERATION);
    named.expect("all operations are in the table")
}

#[cfg(test)]
mod tests {
    use super::super::shapes::{
        AliasConfiguration, Concurrency, CreateFunctionRequest, DeleteFunctionRequest, EnvironmentResponse,
        FunctionConfiguration, GetAliasRequest, GetFunctionConcurrencyRequest,
        GetFunctionConcurrencyResponse, GetFunctionConfigurationRequest, PutFunctionConcurrencyRequest,
        TagResourceRequest,
    };
    use super::*;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    async fn parts<T: Request>(response: &T::Response) -> (u16, Option<Value>) {
        let id = Uuid::new_v4();
        let answer = respond::<T>(response, id);
        assert_eq!(answer.headers()[REQUEST_ID], id.to_string());
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap()))
    }

    #[tokio::test]
    async fn what_is_not_there_is_left_out() {
        let alias = AliasConfiguration { name: Some("prod".into()), ..AliasConfiguration::default() };
        assert_eq!(parts::<GetAliasRequest>(&alias).await, (200, Some(json!({"Name": "prod"}))));
        let none = GetFunctionConcurrencyResponse::default();
        assert_eq!(parts::<GetFunctionConcurrencyRequest>(&none).await, (200, Some(json!({}))));
        let some = Concurrency { reserved_concurrent_executions: Some(0) };
        let expected = json!({"ReservedConcurrentExecutions": 0});
        assert_eq!(parts::<PutFunctionConcurrencyRequest>(&some).await, (200, Some(expected)));
    }

    #[tokio::test]
    async fn statuses_are_the_operations_own() {
        assert_eq!(parts::<DeleteFunctionRequest>(&()).await, (204, None));
        assert_eq!(parts::<TagResourceRequest>(&()).await, (204, None));
        let created = FunctionConfiguration::default();
        assert_eq!(parts::<CreateFunctionRequest>(&created).await, (201, Some(json!({}))));
    }

    #[tokio::test]
    async fn names_are_the_models_own() {
        let variables = [("NAME".to_owned(), "value".to_owned())].into();
        let configuration = FunctionConfiguration {
            kms_key_arn: Some("arn".into()),
            code_size: Some(7),
            environment: Some(EnvironmentResponse { variables: Some(variables), error: None }),
            layers: Some(Vec::new()),
            ..FunctionConfiguration::default()
        };
        let expected = json!({
            "KMSKeyArn": "arn", "CodeSize": 7, "Environment": {"Variables": {"NAME": "value"}}, "Layers": [],
        });
        assert_eq!(parts::<GetFunctionConfigurationRequest>(&configuration).await, (200, Some(expected)));
    }
}
