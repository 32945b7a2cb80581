//! What runs inside a measured server where no published program will do: a function that streams on demand, and an
//! extension that subscribes to telemetry. Both are copies of this program, by which [`function`] and [`layer`] make them:
//! nothing else of this machine is needed where they run, and each knows its part by its name.
//!
//! Both speak to the Runtime API over one raw socket, so that what is timed is the server and not a library.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::load::{ANSWER_LIMIT, pause};

/// What the function writes at a time when it is asked for many bytes.
const PIECE_BYTES: usize = 64 * 1024;

const FUNCTION: &str = "bootstrap";
const HEALTHY: &str = "healthy-subscriber";
const SILENT: &str = "silent-subscriber";

/// The part that a copy of this program plays.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// A function; see [`Event`].
    Function,
    /// An extension that subscribes to telemetry; a silent one accepts connections and reads nothing from them.
    Subscriber { silent: bool },
}

impl Role {
    /// By the name this program was started with; none when it is itself.
    pub(crate) fn of_this() -> Option<Self> {
        let program = std::env::args_os().next()?;
        match Path::new(&program).file_name()?.to_str()? {
            FUNCTION => Some(Self::Function),
            HEALTHY => Some(Self::Subscriber { silent: false }),
            SILENT => Some(Self::Subscriber { silent: true }),
            _ => None,
        }
    }
}

/// Why a guest ended. It shows in the server's log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestError {
    #[error("{name} is not set")]
    NoVariable {
        name: &'static str,
        #[source]
        source: std::env::VarError,
    },
    #[error("lost the Runtime API, or the bench")]
    Lost(#[from] io::Error),
    #[error("cannot read the event")]
    Event(#[from] serde_json::Error),
    #[error("{path} was answered with {status}")]
    Refused { path: String, status: u16 },
}

/// What the function is asked to do; whatever it is, the answer is a stream.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// So many chunks, each the time of its writing ([`now_ns`]), each after a datagram from `caller`. A datagram from the
    /// function says where to send them.
    Times { count: usize, caller: SocketAddr },
    /// So many bytes as fast as they go.
    Bytes(usize),
    /// The environment's own name at once, and nothing more until that time ([`now_ns`]).
    Hold { until_ns: u64 },
}

/// Nanoseconds of a clock that all processes of this machine share.
pub(super) fn now_ns() -> u64 {
    let now =
        Duration::try_from(clock_gettime(ClockId::Monotonic)).expect("this clock does not run below zero");
    u64::try_from(now.as_nanos()).expect("64 bits are enough for five hundred years")
}

/// Puts the function's bootstrap into `folder`.
pub(super) fn function(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("guest").join(FUNCTION);
    copy(&path)?;
    Ok(path)
}

/// Puts a layer with the extension into `folder`.
pub(super) fn layer(folder: &Path, silent: bool) -> io::Result<PathBuf> {
    let name = if silent { SILENT } else { HEALTHY };
    let layer = folder.join(format!("{name}-layer"));
    copy(&layer.join("extensions").join(name))?;
    Ok(layer)
}

/// Executable for whoever a server runs functions as.
fn copy(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::copy(std::env::current_exe()?, path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

pub(crate) fn run(role: Role) -> Result<ExitCode, GuestError> {
    let api = Connection::open(TcpStream::connect(variable("AWS_LAMBDA_RUNTIME_API")?)?)?;
    match role {
        Role::Function => stream_on_demand(api)?,
        Role::Subscriber { silent: false } => subscribe(api, HEALTHY, false)?,
        Role::Subscriber { silent: true } => subscribe(api, SILENT, true)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn variable(name: &'static str) -> Result<String, GuestError> {
    std::env::var(name).map_err(|source| GuestError::NoVariable { name, source })
}

/// The runtime: event after event, each answered by a stream.
fn stream_on_demand(mut api: Connection) -> Result<(), GuestError> {
    loop {
        let next = api.call("GET", "/2018-06-01/runtime/invocation/next", "", b"")?;
        let id = next.header("Lambda-Runtime-Aws-Request-Id").unwrap_or_default();
        let path = format!("/2018-06-01/runtime/invocation/{id}/response");
        api.send(
            "POST",
            &path,
            "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n",
            b"",
        )?;
        match serde_json::from_slice(&next.body)? {
            Event::Times { count, caller } => api.write_times(count, caller)?,
            Event::Bytes(count) => api.write_bytes(count)?,
            Event::Hold { until_ns } => {
                // There is one in each environment, and only there.
                api.write_chunk(variable("AWS_LAMBDA_LOG_STREAM_NAME")?.as_bytes())?;
                pause(Duration::from_nanos(until_ns.saturating_sub(now_ns())));
            }
        }
        api.write(b"0\r\n\r\n")?;
        api.receive(&path)?;
    }
}

/// The extension. It wants no events of invocations: invocations are not to wait for it.
fn subscribe(mut api: Connection, name: &str, silent: bool) -> Result<(), GuestError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        let mut unread = Vec::new();
        for stream in listener.incoming().flatten() {
            if silent {
                unread.push(stream);
            } else {
                // Ends with its connection.
                std::thread::spawn(move || Connection::open(stream).and_then(Connection::accept_all));
            }
        }
    });

    let header = format!("Lambda-Extension-Name: {name}\r\n");
    let registered = api.call("POST", "/2020-01-01/extension/register", &header, br#"{"events":[]}"#)?;
    let id = registered.header("Lambda-Extension-Identifier").unwrap_or_default();
    let header = format!("Lambda-Extension-Identifier: {id}\r\nContent-Type: application/json\r\n");
    let subscription = serde_json::json!({
        "schemaVersion": "2022-12-13",
        "types": ["platform", "function"],
        "destination": { "protocol": "HTTP", "URI": format!("http://sandbox.localdomain:{port}") },
        "buffering": { "timeoutMs": 25 },
    });
    api.call("PUT", "/2022-07-01/telemetry", &header, subscription.to_string().as_bytes())?;
    api.call("GET", "/2020-01-01/extension/event/next", &header, b"").map(drop)
}

/// HTTP/1.1 as far as it is needed here, of either side.
struct Connection {
    stream: BufReader<TcpStream>,
}

/// The head and the body of a message.
struct Message {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Message {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .iter()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then(|| value.trim()))
    }

    fn status(&self) -> u16 {
        let word = self.head.first().and_then(|line| line.split(' ').nth(1));
        word.and_then(|word| word.parse().ok()).unwrap_or_default()
    }
}

impl Connection {
    fn open(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    fn call(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Message, GuestError> {
        self.send(method, path, &format!("{headers}Content-Length: {}\r\n", body.len()), body)?;
        self.receive(path)
    }

    fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<()> {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: platform\r\n{headers}\r\n");
        self.write(&[head.as_bytes(), body].concat())
    }

    fn receive(&mut self, path: &str) -> Result<Message, GuestError> {
        let message = self.message()?;
        match message.status() {
            200..300 => Ok(message),
            status => Err(GuestError::Refused { path: path.to_owned(), status }),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn message(&mut self) -> io::Result<Message> {
        let mut message = Message { head: Vec::new(), body: Vec::new() };
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "" => break,
                line => message.head.push(line.to_owned()),
            }
        }
        let length = message.header("Content-Length").and_then(|value| value.parse().ok()).unwrap_or(0);
        message.body.resize(length, 0);
        self.stream.read_exact(&mut message.body)?;
        Ok(message)
    }

    /// The other side of telemetry: reads whatever comes, and says that all is well.
    fn accept_all(mut self) -> io::Result<()> {
        loop {
            self.message()?;
            self.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
    }

    fn write_times(&mut self, count: usize, caller: SocketAddr) -> io::Result<()> {
        let signs = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        signs.set_read_timeout(Some(ANSWER_LIMIT))?;
        signs.connect(caller)?;
        signs.send(&[])?;
        for _ in 0..count {
            signs.recv(&mut [])?;
            let mut chunk = *b"8\r\n........\r\n";
            chunk[3..11].copy_from_slice(&now_ns().to_be_bytes());
            self.write(&chunk)?;
        }
        Ok(())
    }

    fn write_bytes(&mut self, count: usize) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let size = left.min(PIECE_BYTES);
            self.write_chunk(&[b'x'; PIECE_BYTES][..size])?;
            left -= size;
        }
        Ok(())
    }

    fn write_chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        let head = format!("{:x}\r\n", bytes.len());
        self.write(&[head.as_bytes(), bytes, b"\r\n"].concat())
    }
}

/// The time since a chunk was written, if that is what these bytes are.
pub(super) fn age(chunk: &[u8]) -> Option<Duration> {
    let written = u64::from_be_bytes(chunk.try_into().ok()?);
    Some(Duration::from_nanos(now_ns().checked_sub(written)?))
}
