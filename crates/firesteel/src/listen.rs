//! Addresses to listen on. Where callers are not authenticated, only those on this machine may call.

use std::io;
use std::net::SocketAddr;

use firesteel_api::server::may_listen;
use tokio::net::{TcpListener, TcpSocket};

use crate::exit::Failure;

/// Callers that may come in one moment. Of more than that the system forgets the first try, and they try again in a second: with the 128
/// of the standard library, two hundred at once were a second late.
const WAITING: u32 = 4096;

/// A listener, and where it is if the system chose. `option` is what stands before the address on the command line.
pub(crate) async fn listen(
    option: &str,
    address: SocketAddr,
    authenticates: bool,
) -> Result<(TcpListener, SocketAddr), Failure> {
    if may_listen(address, authenticates).is_err() {
        return Err(Failure::usage(format!(
            "refusing to listen on {address}: callers are not authenticated"
        ))
        .try_next(format!(
            "--credentials FILE, or {option}127.0.0.1:9000 and a proxy that authenticates in front of it"
        )));
    }
    bind(address).map_err(|error| cannot_listen(option, address, &error))
}

/// A listener, and where it is if the system chose.
pub(crate) fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As `TcpListener::bind` does: a server that ended does not hold its address.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(WAITING)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn cannot_listen(option: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    let failure = Failure::usage(format!("cannot listen on {address}")).because(error);
    match error.kind() {
        std::io::ErrorKind::AddrInUse => failure.try_next(format!(
            "another port: {option}{} lets the system choose one",
            SocketAddr::new(address.ip(), 0)
        )),
        _ => failure.try_next(format!("{option}127.0.0.1:9000")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn callers_who_come_at_once_are_all_let_in() {
        let (listener, address) = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // Nobody takes them, so whoever is not let in at once never is.
        let limit = Duration::from_secs(10);
        let callers: Vec<_> = (0..400).map(|_| TcpStream::connect_timeout(&address, limit)).collect();
        assert!(callers.iter().all(Result::is_ok), "{callers:?}");
        drop(listener);
    }
}
