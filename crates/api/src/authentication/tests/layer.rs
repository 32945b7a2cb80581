//! The layer, with the clock as it is.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::task::Poll;
use tower_service::Service;

fn router() -> Router {
    let handler = async |request: axum::extract::Request| {
        let identity = Arc::clone(request.extensions().get::<Arc<Identity>>().unwrap());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        format!("{} {}", identity.arn, String::from_utf8_lossy(&body))
    };
    let layer = axum::middleware::from_fn_with_state(Arc::new(authenticator()), authenticate);
    Router::new().fallback(handler).layer(layer)
}

async fn answered(head: Parts, body: Body) -> (u16, String, String) {
    let response: Response = router().call(Request::from_parts(head, body)).await.unwrap();
    let class =
        response.headers().get("x-amzn-errortype").map_or("", |class| class.to_str().unwrap()).to_owned();
    if !class.is_empty() {
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, class, String::from_utf8(body.to_vec()).unwrap())
}

fn signed_now() -> Parts {
    let now = Timestamp::now().as_second() - NOW;
    Signing { seconds: now, ..Signing::default() }.invoke()
}

/// A body that nobody may ask for.
fn unread() -> Body {
    Body::new(StreamBody::new(futures_util::stream::poll_fn(
        |_| -> Poll<Option<std::io::Result<Frame<Bytes>>>> { panic!("the body was read") },
    )))
}

#[tokio::test]
async fn operations_learn_who_asks() {
    let (status, _, text) = answered(signed_now(), Body::from("{}")).await;
    assert_eq!((status, text.as_str()), (200, "arn:aws:iam::123456789012:user/alice {}"));
}

#[tokio::test]
async fn what_the_head_gives_away_is_refused_before_the_body_is_read() {
    let (head, ()) = Request::post(PATH).header("host", "h").body(()).unwrap().into_parts();
    let missing = (
        403,
        "MissingAuthenticationTokenException".to_owned(),
        r#"{"message":"Missing Authentication Token"}"#.to_owned(),
    );
    assert_eq!(answered(head, unread()).await, missing);
    let (status, class, _) = answered(Signing::default().invoke(), unread()).await;
    assert_eq!((status, class.as_str()), (403, INVALID), "signed for another year");
}

#[tokio::test]
async fn a_tampered_body_is_refused() {
    let (status, class, text) = answered(signed_now(), Body::from("[]")).await;
    assert_eq!((status, class.as_str()), (403, INVALID));
    assert!(text.starts_with(r#"{"message":"The request signature we calculated does not match"#), "{text}");
}

#[tokio::test]
async fn a_body_larger_than_any_request_is_refused_without_being_kept() {
    let piece = Bytes::from(vec![0; 1 << 20]);
    let pieces = (0..80).map(move |_| Ok::<_, std::io::Error>(Frame::data(piece.clone())));
    let body = Body::new(StreamBody::new(futures_util::stream::iter(pieces)));
    let (status, class, _) = answered(signed_now(), body).await;
    assert_eq!((status, class.as_str()), (413, "RequestEntityTooLargeException"));
}
