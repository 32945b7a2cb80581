//! A registry in this process, which can be told to misbehave.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use firesteel_image::oci::Digest;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::packing::Image;

/// What goes wrong with one answer.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// This status, and when to ask again.
    Status(u16, Option<&'static str>),
    /// The connection ends after so many bytes.
    CutAfter(usize),
    /// Nothing comes after so many bytes, and the connection stays.
    StallAfter(usize),
    /// Nothing comes at all.
    Silence,
    /// One byte is another.
    OtherByte,
    /// One byte more than there should be, with the length that this gives.
    OneMore,
    /// More and more bytes, of no announced length.
    NoEnd,
    /// It is elsewhere.
    Redirect(String),
    /// Ranges are passed over.
    WholeOnly,
    /// Likewise, and the connection ends after so many bytes.
    WholeUntil(usize),
    /// Another part than was asked for.
    OtherRange,
    /// Another digest in the header.
    OtherDigest,
    /// Tokens that were given are of no use any more.
    Expired,
}

/// Who may ask.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    Open,
    Basic,
    /// With a token, which everybody can have.
    Token,
    /// With a token, which is given for a name and a password, or an identity token.
    TokenForLogin,
}

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "pass:word";
/// Of the above.
const BASIC: &str = "Basic dXNlcjpwYXNzOndvcmQ=";

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
}

pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    runtime: Option<Runtime>,
}

struct Inner {
    address: SocketAddr,
    things: Mutex<Things>,
}

struct Things {
    blobs: BTreeMap<String, Vec<u8>>,
    /// Digest and media type by tag and by digest.
    manifests: BTreeMap<String, (String, String)>,
    uploads: BTreeMap<String, Vec<u8>>,
    troubles: Vec<(String, Trouble, bool)>,
    seen: Vec<Seen>,
    door: Door,
    tokens: BTreeSet<String>,
    given: usize,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let things = Things {
            blobs: BTreeMap::new(),
            manifests: BTreeMap::new(),
            uploads: BTreeMap::new(),
            troubles: Vec::new(),
            seen: Vec::new(),
            door: Door::Open,
            tokens: BTreeSet::new(),
            given: 0,
        };
        let inner = Arc::new(Inner { address, things: Mutex::new(things) });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Registry { address, inner, runtime: Some(runtime) }
    }

    /// It has an image under a tag, in every repository.
    pub(crate) fn with(self, tag: &str, image: &Image) -> Self {
        let mut things = self.inner.things.lock().unwrap();
        things.blobs.extend(image.blobs.clone());
        let media_type = image.root["mediaType"].as_str().unwrap().to_owned();
        things.manifests.insert(tag.to_owned(), (image.digest().to_owned(), media_type));
        drop(things);
        self
    }

    pub(crate) fn behind(self, door: Door) -> Self {
        self.inner.things.lock().unwrap().door = door;
        self
    }

    pub(crate) fn reference(&self, tag: &str) -> String {
        format!("{}/team/app:{tag}", self.address)
    }

    /// The next request whose path contains `part` gets into trouble.
    pub(crate) fn trouble(&self, part: &str, trouble: Trouble) {
        self.inner.things.lock().unwrap().troubles.push((part.to_owned(), trouble, false));
    }

    /// And all after it.
    pub(crate) fn always(&self, part: &str, trouble: Trouble) {
        self.inner.things.lock().unwrap().troubles.push((part.to_owned(), trouble, true));
    }

    /// No more trouble.
    pub(crate) fn calm(&self) {
        self.inner.things.lock().unwrap().troubles.clear();
    }

    pub(crate) fn seen(&self, part: &str) -> Vec<Seen> {
        let things = self.inner.things.lock().unwrap();
        things.seen.iter().filter(|seen| seen.path.contains(part)).cloned().collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let seen = Seen {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: header("authorization"),
        range: header("range"),
    };
    let trouble = {
        let mut things = inner.things.lock().unwrap();
        things.seen.push(seen.clone());
        let found = things.troubles.iter().position(|(part, _, _)| seen.path.contains(part));
        found.map(|place| match things.troubles[place].2 {
            true => things.troubles[place].1.clone(),
            false => things.troubles.remove(place).1,
        })
    };
    match &trouble {
        Some(Trouble::Silence) => std::future::pending().await,
        Some(Trouble::Redirect(place)) => {
            let location = place.replace("{path}", &seen.path);
            return response(307).header("location", location).body(Body::empty()).unwrap();
        }
        Some(Trouble::Status(status, wait)) => {
            let mut response = response(*status);
            if let Some(wait) = wait {
                response = response.header("retry-after", *wait);
            }
            let said = r#"{"errors":[{"code":"TROUBLE","message":"as it was told"}]}"#;
            return response.body(said.into()).unwrap();
        }
        Some(Trouble::Expired) => inner.things.lock().unwrap().tokens.clear(),
        _ => {}
    }
    if seen.path.starts_with("/token") {
        return inner.token(&seen, &body);
    }
    if let Some(refusal) = inner.check(&seen) {
        return refusal;
    }
    inner.serve(&parts.method, &parts.uri, &parts.headers, &body, trouble.as_ref())
}

fn response(status: u16) -> axum::http::response::Builder {
    Response::builder().status(StatusCode::from_u16(status).unwrap())
}

fn empty(status: u16) -> Response {
    response(status).body(Body::empty()).unwrap()
}

impl Inner {
    fn token(&self, seen: &Seen, body: &Bytes) -> Response {
        let mut things = self.things.lock().unwrap();
        let form = String::from_utf8_lossy(body);
        let scope = "repository%3Ateam%2Fapp%3Apull";
        if !seen.query.contains(scope) && !form.contains(scope) {
            return empty(400);
        }
        let known = seen.authorization.as_deref() == Some(BASIC) || form.contains("refresh_token=identity");
        if matches!(things.door, Door::TokenForLogin) && !known {
            return empty(401);
        }
        things.given += 1;
        let token = format!("token-{}", things.given);
        things.tokens.insert(format!("Bearer {token}"));
        response(200).body(format!(r#"{{"token":"{token}","expires_in":60}}"#).into()).unwrap()
    }

    fn check(&self, seen: &Seen) -> Option<Response> {
        let things = self.things.lock().unwrap();
        let authorization = seen.authorization.as_deref().unwrap_or_default();
        let (passes, challenge) = match things.door {
            Door::Open => (true, String::new()),
            Door::Basic => (authorization == BASIC, "Basic realm=\"here\"".to_owned()),
            Door::Token | Door::TokenForLogin => {
                let realm = format!("http://{}/token", self.address);
                (things.tokens.contains(authorization), format!("Bearer realm=\"{realm}\",service=\"here\""))
            }
        };
        (!passes).then(|| response(401).header("www-authenticate", challenge).body(Body::empty()).unwrap())
    }

    fn serve(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &Bytes,
        trouble: Option<&Trouble>,
    ) -> Response {
        let mut things = self.things.lock().unwrap();
        let path = uri.path();
        let last = path.rsplit('/').next().unwrap_or_default();
        if path.contains("/blobs/uploads/") {
            return things.upload(method, uri, last, body);
        }
        if path.contains("/manifests/") && method == Method::PUT {
            let digest = Digest::of(body).to_string();
            let media_type = headers["content-type"].to_str().unwrap().to_owned();
            things.blobs.insert(digest.clone(), body.to_vec());
            things.manifests.insert(last.to_owned(), (digest.clone(), media_type.clone()));
            things.manifests.insert(digest.clone(), (digest.clone(), media_type));
            return response(201).header("docker-content-digest", digest).body(Body::empty()).unwrap();
        }
        let (digest, media_type) = if path.contains("/manifests/") {
            match things.manifests.get(last) {
                Some((digest, media_type)) => (digest.clone(), media_type.clone()),
                None => (last.to_owned(), crate::packing::OCI_MANIFEST.to_owned()),
            }
        } else {
            (last.to_owned(), "application/octet-stream".to_owned())
        };
        if path == "/v2/" {
            return empty(200);
        }
        let Some(bytes) = things.blobs.get(&digest).cloned() else {
            let said = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such thing"}]}"#;
            return response(404).body(said.into()).unwrap();
        };
        give(bytes, &digest, &media_type, method, headers, trouble)
    }
}

impl Things {
    fn upload(&mut self, method: &Method, uri: &Uri, last: &str, body: &Bytes) -> Response {
        let upload = if last.is_empty() { format!("u{}", self.uploads.len()) } else { last.to_owned() };
        let content = self.uploads.entry(upload.clone()).or_default();
        content.extend_from_slice(body);
        if method == Method::PUT {
            let content = std::mem::take(content);
            let digest = Digest::of(&content).to_string();
            assert!(
                uri.query().unwrap().contains(&digest.replace(':', "%3A"))
                    || uri.query().unwrap().contains(&digest)
            );
            self.blobs.insert(digest.clone(), content);
            return response(201).header("docker-content-digest", digest).body(Body::empty()).unwrap();
        }
        let end = content.len().saturating_sub(1);
        let folder = uri.path().rsplit_once('/').unwrap().0;
        response(202)
            .header("location", format!("{folder}/{upload}"))
            .header("range", format!("0-{end}"))
            .body(Body::empty())
            .unwrap()
    }
}

fn give(
    mut bytes: Vec<u8>,
    digest: &str,
    media_type: &str,
    method: &Method,
    headers: &HeaderMap,
    trouble: Option<&Trouble>,
) -> Response {
    let told = if matches!(trouble, Some(Trouble::OtherDigest)) {
        Digest::of(b"other").to_string()
    } else {
        digest.to_owned()
    };
    let mut builder = response(200).header("content-type", media_type).header("docker-content-digest", told);
    let start = headers.get("range").and_then(|range| {
        range.to_str().unwrap().strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
    });
    match trouble {
        Some(Trouble::OtherByte) => bytes[0] ^= 1,
        Some(Trouble::OneMore) => bytes.push(0),
        _ => {}
    }
    if let Some(start) =
        start.filter(|_| !matches!(trouble, Some(Trouble::WholeOnly | Trouble::WholeUntil(_))))
    {
        if start >= bytes.len() {
            return empty(416);
        }
        let told = if matches!(trouble, Some(Trouble::OtherRange)) { start + 1 } else { start };
        builder = builder
            .status(206)
            .header("content-range", format!("bytes {told}-{}/{}", bytes.len() - 1, bytes.len()));
        bytes.drain(..start);
    }
    if !matches!(trouble, Some(Trouble::NoEnd)) {
        builder = builder.header("content-length", bytes.len());
    }
    if method == Method::HEAD {
        return builder.body(Body::empty()).unwrap();
    }
    let piece = |bytes: Vec<u8>| stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    let body = match trouble {
        Some(Trouble::CutAfter(count) | Trouble::WholeUntil(count)) => {
            bytes.truncate(*count);
            // Time for what came before to be seen.
            let cut = stream::once(async {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                Err(std::io::Error::other("cut"))
            });
            Body::from_stream(piece(bytes).chain(cut))
        }
        Some(Trouble::StallAfter(count)) => {
            bytes.truncate(*count);
            Body::from_stream(piece(bytes).chain(stream::pending()))
        }
        Some(Trouble::NoEnd) => {
            Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 65536]))))
        }
        _ => Body::from(bytes),
    };
    builder.body(body).unwrap()
}
