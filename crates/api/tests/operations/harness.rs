//! A server without a socket, for one test.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use firesteel_api::{Front, Parts};
use firesteel_catalog::{Account, Store};
use firesteel_environment::{Capacity, Folder, Limits, Output, Pool};
use firesteel_image::{CodeStore, S3Settings, S3Store, StoreLimits};
use firesteel_invoke::admission::{self, Admission};
use firesteel_invoke::plan::Host;
use firesteel_invoke::queue::{Queue, Slots};
use firesteel_invoke::{Deployments, Images, Invoker};
use firesteel_runtimes::{Interpreters, Layout};
use firesteel_sandbox::Backend;
use http_body_util::BodyExt;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_service::Service;

use crate::package;

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const ORIGIN: &str = "http://127.0.0.1:9000";
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/r";
pub(crate) const FUNCTIONS: &str = "/2015-03-31/functions";

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A test, with a server of its own.
pub(crate) fn test<F>(name: &str, body: fn(Arc<Server>) -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    test_with(name, Given::default, body)
}

/// Likewise, of a server that is not as others.
pub(crate) fn test_with<F>(name: &str, given: fn() -> Given, body: fn(Arc<Server>) -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let run = move || -> Result<(), Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let server = Arc::new(Server::new(given()));
            body(Arc::clone(&server)).await;
            server.invoker.shutdown(Duration::ZERO).await;
        });
        Ok(())
    };
    Trial::test(name, run)
}

/// What may be otherwise.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) code: StoreLimits,
    /// Where objects are asked for.
    pub(crate) s3_endpoint: Option<String>,
    /// Who loads images. With one, functions have a root of their own, in which none can be run here.
    pub(crate) images: Option<Images>,
}

pub(crate) struct Server {
    router: Router,
    pub(crate) invoker: Invoker,
    pub(crate) store: Arc<Store>,
    pub(crate) code: Arc<CodeStore>,
    // Removed after all else has ended.
    _folder: TempDir,
}

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// `x-amzn-ErrorType`
    pub(crate) error_type: Option<String>,
    pub(crate) content: Bytes,
}

impl Server {
    fn new(given: Given) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let subfolder = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let store = Arc::new(Store::in_memory(Account::new(REGION, ACCOUNT)).unwrap());
        let code = Arc::new(CodeStore::open(&subfolder("code"), given.code).unwrap());
        let limits =
            Limits { capacity: Capacity::of_environments(4), idle_timeout: PATIENCE, max_wait: PATIENCE };
        let environments = Folder { parent: subfolder("environments") };
        let pool = Pool::new(limits, environments, Backend::Process, Output::new(|_| {}));
        let host = Host {
            interpreters: Interpreters::searching(Vec::new(), None),
            runtime_dir: subfolder("runtime"),
            layout: if given.images.is_some() { Layout::OwnRoot } else { Layout::Host },
            mounts: Vec::new(),
        };
        let deployments =
            Deployments::new(Arc::clone(&store), Some(Arc::clone(&code)), given.images, host, pool.clone());
        let invoker = Invoker::new(firesteel_invoke::Parts {
            store: Arc::clone(&store),
            deployments,
            pool,
            admission: Admission::new(admission::Limits::AWS),
            queue: Queue::open(None, Slots::default()).unwrap(),
            stream_bandwidth: None,
        });
        let s3 = S3Settings {
            // Nobody listens there.
            endpoint: Some(given.s3_endpoint.unwrap_or_else(|| "http://127.0.0.1:9".to_owned())),
            region: REGION.to_owned(),
            credentials: None,
            path_style: true,
        };
        let front = Front::new(Parts {
            invoker: invoker.clone(),
            s3: S3Store::new(s3).unwrap(),
            origin: ORIGIN.to_owned(),
            authenticator: None,
            url_authenticator: None,
        });
        let router = firesteel_api::router(front.unwrap());
        Server { router, invoker, store, code, _folder: folder }
    }

    /// Asks, with nothing in the body where `body` is null.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        let response = self.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            error_type: parts
                .headers
                .get("x-amzn-errortype")
                .map(|error_type| error_type.to_str().unwrap().to_owned()),
            content: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &Value::Null).await
    }

    /// Makes a function that tells its name, and waits until it can be invoked.
    pub(crate) async fn create(&self, name: &str) {
        self.post(FUNCTIONS, &new_function(name)).await.json(201);
        self.settled(name).await;
    }

    /// Other code for a function, and what `also` says besides.
    pub(crate) async fn update_code(&self, name: &str, package: &str, also: Value) -> Value {
        let mut body = json!({"ZipFile": package::base64(&package::function(package))});
        body.as_object_mut().unwrap().extend(also.as_object().cloned().unwrap_or_default());
        let updated = self.put(&format!("{FUNCTIONS}/{name}/code"), &body).await.json(200);
        self.settled(name).await;
        updated
    }

    pub(crate) async fn update_configuration(&self, name: &str, body: &Value) -> Value {
        let updated = self.put(&format!("{FUNCTIONS}/{name}/configuration"), body).await.json(200);
        self.settled(name).await;
        updated
    }

    /// Waits until it is known whether the function, or the version that `name` is followed by, can be run.
    pub(crate) async fn settled(&self, name: &str) -> Value {
        let path = format!("{FUNCTIONS}/{name}/configuration");
        let settled = async {
            loop {
                let shown = self.get(&path).await.json(200);
                if shown["State"] != "Pending" && shown["LastUpdateStatus"] != "InProgress" {
                    return shown;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("functions settle")
    }

    /// What the function answers to `{"n": 1}`.
    pub(crate) async fn invoke(&self, name: &str) -> Value {
        self.post(&format!("{FUNCTIONS}/{name}/invocations"), &json!({"n": 1})).await.json(200)
    }
}

impl Answer {
    /// The body, of an answer with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.content));
        serde_json::from_slice(&self.content).unwrap()
    }

    /// That there is nothing to say.
    #[track_caller]
    pub(crate) fn nothing(&self) {
        assert_eq!((self.status.as_u16(), &*self.content), (204, &b""[..]));
    }

    /// The text of a refusal of this status and class.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16, error_type: &str) -> String {
        let body = self.json(status);
        assert_eq!(self.error_type.as_deref(), Some(error_type), "{body}");
        let text = body.get("message").or_else(|| body.get("Message"));
        text.unwrap().as_str().unwrap().to_owned()
    }
}

/// The request that makes a function which tells its name.
pub(crate) fn new_function(name: &str) -> Value {
    json!({
        "FunctionName": name,
        "Runtime": "provided.al2023",
        "Handler": "h",
        "Role": ROLE,
        "Code": {"ZipFile": package::base64(&package::function(name))},
    })
}

/// The request, with these members besides or instead.
pub(crate) fn with(mut request: Value, members: impl Borrow<Value>) -> Value {
    request.as_object_mut().unwrap().extend(members.borrow().as_object().cloned().unwrap());
    request
}

/// An ARN of this server's.
pub(crate) fn arn(rest: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:{rest}")
}

/// An answer as it can be compared: what is another each time is replaced by what it is.
pub(crate) fn comparable(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("RevisionId", Value::String(text)) if text.len() == 36 => json!("<revision>"),
                    ("LastModified", Value::String(text)) if is_date(text) => json!("<date>"),
                    ("CodeSha256", Value::String(text)) if text.len() == 44 => json!("<sha256>"),
                    ("CodeSize", Value::Number(size)) if size.as_u64() > Some(0) => json!("<size>"),
                    ("Location", Value::String(text)) if text.starts_with(ORIGIN) => json!("<link>"),
                    ("RuntimeVersionArn", Value::String(text)) => {
                        let hash = text.strip_prefix("arn:aws:lambda:eu-west-1::runtime:").unwrap();
                        assert_eq!(hash.len(), 64, "{text}");
                        json!("<runtime>")
                    }
                    (_, value) => comparable(value),
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(elements) => elements.iter().map(comparable).collect(),
        value => value.clone(),
    }
}

/// `2025-01-01T00:00:00.000+0000`
fn is_date(text: &str) -> bool {
    let digits = |character: char| if character.is_ascii_digit() { '0' } else { character };
    text.chars().map(digits).collect::<String>() == "0000-00-00T00:00:00.000+0000"
}
