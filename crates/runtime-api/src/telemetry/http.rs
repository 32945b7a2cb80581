//! Batches as HTTP requests.
//!
//! Used by `delivery` for one subscriber. A batch is sent again, unchanged, until the listener answers 2xx; its
//! `Sequence-Id` lets a listener recognise one that it has had before. Whatever host the extension named, the
//! listener is on this machine's loopback, and only there.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sha2::{Digest, Sha256};
use tracing::debug;

use super::delivery::{Hurry, Patience, Pauses};
use super::dial::Dial;

/// A listener for HTTP requests.
pub(super) struct Http {
    client: Client<Dial, Full<Bytes>>,
    method: Method,
    uri: Uri,
    host: String,
    patience: Patience,
}

impl Http {
    pub(super) fn new(dial: Dial, port: u16, path: &str, put: bool, patience: Patience) -> Self {
        let client = Client::builder(TokioExecutor::new()).http1_title_case_headers(true).build(dial);
        Http {
            client,
            method: if put { Method::PUT } else { Method::POST },
            uri: uri(port, path),
            host: format!("sandbox.localdomain:{port}"),
            patience,
        }
    }

    /// Returns once the listener has the batch.
    pub(super) async fn deliver(&mut self, batch: &[Bytes], hurry: &Hurry) {
        let body = array(batch);
        let sequence_id = BASE64_STANDARD.encode(Sha256::digest(&body));
        let mut pauses = Pauses::new();
        loop {
            self.patience.awake().await;
            let request = Request::builder()
                .method(&self.method)
                .uri(self.uri.clone())
                .header(HOST, &self.host)
                .header(CONTENT_TYPE, "application/json")
                .header("Sequence-Id", &sequence_id)
                .body(Full::new(body.clone()))
                .expect("base64 is a header");
            match self.patience.with(self.client.request(request)).await {
                Some(Ok(response)) if response.status().is_success() => return,
                Some(Ok(response)) => debug!(status = %response.status(), "a subscriber refused its events"),
                Some(Err(error)) => debug!(%error, "a subscriber could not be reached"),
                None => debug!("a subscriber did not answer"),
            }
            pauses.pause(hurry).await;
        }
    }
}

/// Put together from parts, which may be longer in all than a URI that is read from text: the address may be longer
/// than the name that the extension gave.
fn uri(port: u16, path: &str) -> Uri {
    Uri::builder()
        .scheme("http")
        .authority(format!("127.0.0.1:{port}"))
        .path_and_query(path)
        .build()
        .expect("the path of a URI makes a URI again")
}

fn array(events: &[Bytes]) -> Bytes {
    let size = 1 + events.iter().map(|event| event.len() + 1).sum::<usize>();
    let mut array = BytesMut::with_capacity(size.max(2));
    array.put_u8(b'[');
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            array.put_u8(b',');
        }
        array.put_slice(event);
    }
    array.put_u8(b']');
    array.freeze()
}

#[cfg(test)]
mod tests {
    use hyper::Uri;

    use super::super::{Api, Destination, parse};

    #[test]
    fn the_longest_path_can_be_asked_for() {
        // As long as a URI may be, with a host that is shorter than the listener's address.
        let longest: Uri = format!("http://sandbox:1/{}", "x".repeat(65_534 - 17)).parse().unwrap();
        let body = format!(
            r#"{{"schemaVersion":"2022-12-13","types":["platform"],"destination":{{"protocol":"HTTP","URI":"{longest}"}}}}"#
        );
        let Destination::Http { port, path, .. } =
            parse(Api::Telemetry, body.as_bytes()).unwrap().destination
        else {
            panic!("the destination is a listener for HTTP")
        };
        assert_eq!(super::uri(port, &path).path(), longest.path());
    }
}
