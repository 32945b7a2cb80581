//! A pool in a folder of its own, and functions for it.

use std::sync::Arc;
use std::time::Duration;

use firesteel_environment::{
    Account, Answer, Capacity, Credentials, Entrypoint, Folder, INIT_LIMIT, InitializationType, Invocation,
    InvokeError, Layout, Limits, Output, Pool, ResponseDelivery, Spec,
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::RUNTIME;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Fixture {
    pub(crate) pool: Pool,
    // Removed after the pool has ended.
    _folder: TempDir,
}

impl Fixture {
    pub(crate) fn new(max_environments: usize) -> Self {
        Self::with_patience(max_environments, Duration::ZERO)
    }

    /// One in which invocations wait for room.
    pub(crate) fn patient(max_environments: usize) -> Self {
        Self::with_patience(max_environments, PATIENCE)
    }

    fn with_patience(max_environments: usize, max_wait: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits {
            capacity: Capacity::of_environments(max_environments),
            idle_timeout: PATIENCE,
            max_wait,
        };
        let parent = Folder { parent: folder.path().to_owned() };
        let pool = Pool::new(limits, parent, firesteel_sandbox::Backend::Process, Output::new(|_| {}));
        Fixture { pool, _folder: folder }
    }

    pub(crate) async fn close(self) {
        self.pool.shutdown(Duration::ZERO).await;
    }

    /// An invocation that is answered at once.
    pub(crate) async fn invoke(&self, spec: &Arc<Spec>) -> Account {
        let invoked = self.pool.invoke(spec, event(0)).await.unwrap();
        assert!(matches!(invoked.answer, Answer::Response { .. }), "{:?}", invoked.answer);
        invoked.account.await.unwrap()
    }

    /// One that is busy until it is let go.
    pub(crate) async fn begin(&self, spec: &Arc<Spec>) -> Busy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (pool, spec) = (self.pool.clone(), Arc::clone(spec));
        let invocation = tokio::spawn(async move {
            let invoked = pool.invoke(&spec, event(port)).await?;
            assert!(matches!(invoked.answer, Answer::Response { .. }), "{:?}", invoked.answer);
            Ok(invoked.account.await.unwrap())
        });
        let gate = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap().0;
        Busy { gate, invocation }
    }

    pub(crate) async fn eventually(&self, count: usize) {
        eventually(&format!("{count} environments"), || self.pool.count() == count).await;
    }
}

/// An invocation that runs.
pub(crate) struct Busy {
    gate: TcpStream,
    invocation: JoinHandle<Result<Account, InvokeError>>,
}

impl Busy {
    /// It answers, and is over.
    pub(crate) async fn end(self) -> Account {
        drop(self.gate);
        self.invocation.await.unwrap().unwrap()
    }
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, patience).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// See [`crate::runtime`].
pub(crate) fn event(port: u16) -> Invocation {
    Invocation {
        request_id: Uuid::new_v4(),
        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        payload: port.to_string().into(),
        content_type: "application/json".into(),
        trace: "Root=1-5759e988-bd862e3fe1be46a994272793".into(),
        client_context: None,
        delivery: ResponseDelivery::Whole,
        permit: None,
    }
}

/// A function whose init succeeds, unless its handler says otherwise.
pub(crate) fn function(handler: &str) -> Spec {
    Spec {
        function_name: "f".into(),
        version: "$LATEST".into(),
        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        region: "us-east-1".into(),
        handler: handler.into(),
        memory_mib: 128,
        timeout: PATIENCE,
        init_limit: INIT_LIMIT,
        runtime_version: "provided:al2023".into(),
        tmp_mib: 512,
        layout: Layout::Host,
        places: Vec::new(),
        image: None,
        entrypoint: Entrypoint {
            program: std::env::current_exe().unwrap(),
            arguments: vec![RUNTIME.to_owned()],
        },
        task_root: "/".into(),
        opt: None,
        runtime_dir: "/".into(),
        runtime_variables: Vec::new(),
        customer_variables: std::collections::BTreeMap::new(),
        credentials: Credentials::placeholder(),
        log_format: None,
        application_log_level: None,
        system_log_level: None,
        account_id: "000000000000".into(),
        extensions: Vec::new(),
        initialization: InitializationType::OnDemand,
        max_concurrency: None,
        keeps_alive: None,
    }
}
