//! Addresses to listen on. Where callers are not authenticated, only those on this machine may call.

use std::net::SocketAddr;

use firesteel_api::server::may_listen;
use tokio::net::TcpListener;

use crate::exit::Failure;

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
    let bound = TcpListener::bind(address).await.and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|error| cannot_listen(option, address, &error))
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
