//! A server in a folder of its own, its functions and their URLs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use firesteel_api::Front;
use firesteel_api::authentication::{Authenticator, Credentials, Replay};
use firesteel_api::server::Settings;
use firesteel_catalog::{
    Account, AuthType, Code, Configuration, FunctionReference, NewAlias, NewFunction, NewStatement,
    Settlement, Store, UrlSettings, VersionNumber,
};
use firesteel_environment::{Capacity, Folder, Limits, Output, Pool};
use firesteel_image::{S3Settings, S3Store};
use firesteel_invoke::plan::Host;
use firesteel_invoke::queue::{Queue, Slots};
use firesteel_invoke::{Admission, Deployments, Invoker, Parts, admission};
use firesteel_runtimes::{Interpreters, Layout};
use firesteel_sandbox::Backend;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::RUNTIME;

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const ACCOUNT: &str = "111122223333";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<Store>,
    invoker: Invoker,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
    folder: TempDir,
}

impl Server {
    /// One that knows nobody.
    pub(crate) async fn start() -> Self {
        Self::with_credentials(None).await
    }

    /// One that knows those in the file of credentials.
    pub(crate) async fn knowing(credentials: &str) -> Self {
        Self::with_credentials(Some(Arc::new(Credentials::parse(credentials).unwrap()))).await
    }

    async fn with_credentials(credentials: Option<Arc<Credentials>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime_dir = folder.path().join("runtime");
        std::fs::create_dir(&runtime_dir).unwrap();
        let store = Arc::new(Store::in_memory(Account::new(REGION, ACCOUNT)).unwrap());
        let limits =
            Limits { capacity: Capacity::of_environments(4), idle_timeout: PATIENCE, max_wait: PATIENCE };
        let environments = Folder { parent: folder.path().to_owned() };
        let pool = Pool::new(limits, environments, Backend::Process, Output::new(|_| {}));
        let host = Host {
            interpreters: Interpreters::searching(Vec::new(), None),
            runtime_dir,
            layout: Layout::Host,
            mounts: Vec::new(),
        };
        let invoker = Invoker::new(Parts {
            store: Arc::clone(&store),
            deployments: Deployments::new(Arc::clone(&store), None, None, host, pool.clone()),
            pool,
            admission: Admission::new(admission::Limits::AWS),
            queue: Queue::open(None, Slots::default()).unwrap(),
            stream_bandwidth: None,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let s3 = S3Settings { endpoint: None, region: REGION.into(), credentials: None, path_style: true };
        let authenticator =
            |replay| credentials.clone().map(|known| Arc::new(Authenticator::new(known, REGION, replay)));
        let front = Front::new(firesteel_api::Parts {
            invoker: invoker.clone(),
            s3: S3Store::new(s3).unwrap(),
            origin: format!("http://{address}"),
            authenticator: authenticator(Replay::Refused),
            url_authenticator: authenticator(Replay::Accepted),
        });
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let task =
            tokio::spawn(firesteel_api::serve(listener, front.unwrap(), Settings::default(), shutdown));
        Server { address, store, invoker, stop, task, folder }
    }

    pub(crate) async fn close(self) {
        drop(self.stop);
        self.task.await.unwrap().unwrap();
        self.invoker.shutdown(Duration::ZERO).await;
    }

    /// Makes a function that can be invoked, and an alias `live` of it.
    pub(crate) fn function(&self, name: &str) -> FunctionReference {
        let code = self.folder.path().join(name);
        std::fs::create_dir(&code).unwrap();
        let executable = std::env::current_exe().unwrap();
        let bootstrap = code.join("bootstrap");
        std::fs::write(&bootstrap, format!("#!/bin/sh\nexec '{}' {RUNTIME}\n", executable.display()))
            .unwrap();
        std::fs::set_permissions(&bootstrap, std::fs::Permissions::from_mode(0o755)).unwrap();
        let new = NewFunction {
            name: name.parse().unwrap(),
            configuration: Configuration {
                runtime: Some("provided.al2023".into()),
                handler: Some("unused".into()),
                timeout_s: 20,
                ..Configuration::default()
            },
            layers: Vec::new(),
            code: Code::Folder { path: code, opt: None },
            tags: BTreeMap::new(),
            code_signing_config: None,
            publish: false,
        };
        let version = self.store.create_function(new).unwrap();
        self.store.settle(&version, &Settlement::Ready { image_digest: None }).unwrap();
        let alias = NewAlias {
            name: "live".into(),
            version: VersionNumber::Latest,
            weights: Vec::new(),
            description: String::new(),
        };
        self.store.create_alias(version.name(), &alias).unwrap();
        reference(name)
    }

    /// Gives what is referred to a URL; the answer is its id.
    pub(crate) fn url(&self, of: &FunctionReference, settings: UrlSettings) -> String {
        self.store.create_function_url(of, settings).unwrap().id
    }

    /// A function that anybody may ask, and its URL's host.
    pub(crate) fn public(&self, name: &str, settings: UrlSettings) -> String {
        let function = self.function(name);
        self.store.add_permission(&function, &everybody(), None).unwrap();
        host(&self.url(&function, settings))
    }
}

pub(crate) fn reference(path: &str) -> FunctionReference {
    FunctionReference::parse(path, None, REGION, ACCOUNT).unwrap()
}

/// The name of a URL.
pub(crate) fn host(id: &str) -> String {
    format!("{id}.lambda-url.{REGION}.localhost:9000")
}

pub(crate) fn settings(auth_type: AuthType) -> UrlSettings {
    UrlSettings { auth_type, cors: None, invoke_mode: None }
}

/// What tools add to a policy for auth type `NONE`.
pub(crate) fn everybody() -> NewStatement {
    NewStatement {
        sid: "urlPermission".into(),
        action: "lambda:InvokeFunctionUrl".into(),
        principal: "*".into(),
        function_url_auth_type: Some("NONE".into()),
        ..NewStatement::default()
    }
}
