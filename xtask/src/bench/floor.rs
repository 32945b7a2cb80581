//! The floor: the least a server can do and still hand a runtime its events.
//!
//! One front listener; N environments, each a spawned runtime with a listener of its own. A `next` waits on a
//! channel, a `response` travels back to the caller, a streamed one piece by piece. No check, no log, no deadline, no limit, no isolation: whatever
//! a real server costs above this, it costs by its own doing. Same HTTP library and same kind of async runtime as
//! Firesteel, in a process of its own, as Firesteel is. Started by `bench` as a hidden task of xtask.
//!
//! The floor of a cold start is in this file too: a bare fork and exec, until the runtime asks for its first event.

use std::convert::Infallible;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Channel, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};

use super::server::{Server, StartError, free_address};

/// How long a bare process may take until it asks for its first event.
const SPAWN_LIMIT: Duration = Duration::from_secs(10);

/// What a runtime expects to find around it, beside the address of its Runtime API.
const GUEST_VARIABLES: [(&str, &str); 7] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "function"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/function"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "floor"),
    ("AWS_REGION", "us-east-1"),
    ("_HANDLER", "function.handler"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    environments: usize,
    /// The function's bootstrap.
    function: PathBuf,
}

/// Why the floor's server ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FloorError {
    #[error("cannot start the async runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot start the function {function:?}")]
    Spawn {
        function: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the function {function:?} did not ask for an event within {} s", SPAWN_LIMIT.as_secs())]
    NoNext { function: PathBuf },
}

/// Starts the floor in a process of its own.
pub(super) async fn start(function: &Path, environments: usize, log: PathBuf) -> Result<Server, StartError> {
    let prepare = |source| StartError::Prepare { program: "the floor".to_owned(), source };
    let address = free_address().map_err(prepare)?;
    let mut command = Command::new(std::env::current_exe().map_err(prepare)?);
    command.arg("floor").args(["--listen", &address.to_string()]);
    command.args(["--environments", &environments.to_string()]).arg(function);
    Server::start(command, address, "function", log).await
}

/// Spawns the function and times it until its first `next` has arrived; then kills it.
pub(super) fn bare_spawn(function: &Path) -> Result<Duration, FloorError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listen = |source| FloorError::Listen { address: any, source };
    let listener = std::net::TcpListener::bind(any).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let spawn = |source| FloorError::Spawn { function: function.to_owned(), source };

    let start = Instant::now();
    let mut guest = std::process::Command::new(function)
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .envs(GUEST_VARIABLES)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(spawn)?;
    // Accepting must end even when the function never connects: a thread of its own, left behind in that case.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(first_request(&listener).map(|()| Instant::now())));
    let asked = told.recv_timeout(SPAWN_LIMIT);
    // Ended by itself when the kill fails; the wait reaps it either way.
    let _ = guest.kill();
    let _ = guest.wait();
    match asked {
        Ok(Ok(at)) => Ok(at.duration_since(start)),
        _ => Err(FloorError::NoNext { function: function.to_owned() }),
    }
}

/// Returns when the whole head of the first request is there.
fn first_request(listener: &std::net::TcpListener) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(SPAWN_LIMIT))?;
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => head.extend_from_slice(&piece[..count]),
        }
    }
    Ok(())
}

/// Whole, or still on its way.
type Body = Either<Full<Bytes>, Channel<Bytes>>;

/// An event on its way to a runtime, and the way back.
#[derive(Debug)]
struct Job {
    event: Bytes,
    reply: oneshot::Sender<Body>,
}

/// Runtimes that have asked for an event. One permit of `count` for each entry of `waiting`; callers beyond that
/// queue at the semaphore. The runtime that asked last runs next: its memory is still in the processor's caches.
#[derive(Debug)]
struct Idle {
    count: Semaphore,
    waiting: Mutex<Vec<oneshot::Sender<Job>>>,
}

impl Idle {
    fn enter(&self) -> oneshot::Receiver<Job> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        self.count.add_permits(1);
        receiver
    }

    async fn run(&self, event: Bytes) -> Option<Body> {
        self.count.acquire().await.ok()?.forget();
        let runtime = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        let (reply, answered) = oneshot::channel();
        runtime.send(Job { event, reply }).ok()?;
        answered.await.ok()
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(options: &Options) -> Result<ExitCode, FloorError> {
    // A bench that was killed cannot stop its servers; without this the floor and its runtimes would stay.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .map_err(|errno| FloorError::Runtime(errno.into()))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(FloorError::Runtime)?;
    runtime.block_on(serve(options))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(options: &Options) -> Result<(), FloorError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(FloorError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(FloorError::Runtime)?;
    let idle = Arc::new(Idle { count: Semaphore::new(0), waiting: Mutex::default() });
    // Held until the end, where dropping them kills the processes.
    let mut guests = Vec::new();
    for _ in 0..options.environments {
        guests.push(environment(&options.function, Arc::clone(&idle)).await?);
    }
    let address = options.listen;
    let front = TcpListener::bind(address).await.map_err(|source| FloorError::Listen { address, source })?;
    let handle = move |request: Request<Incoming>| {
        let idle = Arc::clone(&idle);
        async move {
            let event = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            match idle.run(event).await {
                Some(answer) => Response::new(answer),
                None => reply(StatusCode::BAD_GATEWAY, Bytes::new()),
            }
        }
    };
    tokio::select! {
        () = accept(front, handle) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Spawns one runtime with a Runtime API of its own.
async fn environment(function: &Path, idle: Arc<Idle>) -> Result<Child, FloorError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listen = |source| FloorError::Listen { address: any, source };
    let listener = TcpListener::bind(any).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let running: Arc<Mutex<Option<oneshot::Sender<Body>>>> = Arc::default();
    let handle = move |request: Request<Incoming>| {
        let (idle, running) = (Arc::clone(&idle), Arc::clone(&running));
        async move {
            if request.method() == Method::GET {
                let Ok(job) = idle.enter().await else {
                    return reply(StatusCode::GONE, Bytes::new());
                };
                *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(job.reply);
                return next(job.event);
            }
            let caller = || running.lock().unwrap_or_else(PoisonError::into_inner).take();
            if request.headers().contains_key("Lambda-Runtime-Function-Response-Mode") {
                relay(request.into_body(), caller()).await;
            } else {
                let body =
                    request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                // A caller that went away needs no answer.
                let _ = caller().map(|caller| caller.send(Either::Left(Full::new(body))));
            }
            reply(StatusCode::ACCEPTED, Bytes::from_static(b"{\"status\":\"OK\"}\n"))
        }
    };
    tokio::spawn(accept(listener, handle));
    Command::new(function)
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .envs(GUEST_VARIABLES)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| FloorError::Spawn { function: function.to_owned(), source })
}

/// Hands the caller a streamed answer as it comes, one piece at a time.
async fn relay(mut answer: Incoming, caller: Option<oneshot::Sender<Body>>) {
    let (mut sender, body) = Channel::new(1);
    // A caller that went away is found out by the first piece.
    let _ = caller.map(|caller| caller.send(Either::Right(body)));
    while let Some(Ok(piece)) = answer.frame().await {
        if sender.send(piece).await.is_err() {
            return;
        }
    }
}

/// Serves every connection of `listener` with `handle`, for ever.
async fn accept<H, F>(listener: TcpListener, handle: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    loop {
        // A connection lost before it was accepted is the client's to notice.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let handle = handle.clone();
        let service = service_fn(move |request| {
            let answer = handle(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// An event as a runtime receives it.
fn next(event: Bytes) -> Response<Body> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let id = format!("00000000-0000-4000-8000-{count:012x}");
    // A new one for every event, as everywhere: runtimes put it into their environment variables, and what the C library
    // does for a new value is no small part of the Rust client's time.
    let trace = format!("Root=1-00000000-{count:024x};Parent={count:016x};Sampled=0");
    // Likewise: runtimes that know it read it and send it back.
    let invocation_id = format!("00000000-0000-4000-9000-{count:012x}");
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_secs(60);
    Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string())
        .header(
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:000000000000:function:function",
        )
        .header("Lambda-Runtime-Invocation-Id", invocation_id)
        .header("Lambda-Runtime-Trace-Id", trace)
        .body(Either::Left(Full::new(event)))
        .expect("constant names, and values of digits and hyphens, make a response")
}

fn reply(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_caller_waits_until_a_runtime_asks_and_gets_its_answer() {
        let idle = Arc::new(Idle { count: Semaphore::new(0), waiting: Mutex::default() });
        let asked = Arc::clone(&idle);
        let caller = tokio::spawn(async move { asked.run(Bytes::from_static(b"event")).await });
        let job = idle.enter().await.unwrap();
        assert_eq!(job.event, "event");
        job.reply.send(Either::Left(Full::from("answer"))).unwrap();
        let answer = caller.await.unwrap().unwrap();
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "answer");
    }

    #[test]
    fn a_function_that_cannot_be_started_has_no_bare_spawn() {
        let outcome = bare_spawn(Path::new("/nonexistent/bootstrap"));
        assert!(matches!(outcome, Err(FloorError::Spawn { .. })), "{outcome:?}");
    }
}
