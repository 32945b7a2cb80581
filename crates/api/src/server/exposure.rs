//! Where a server that asks nobody who he is may be reached: on loopback, and nowhere else.

use std::net::SocketAddr;

/// Anybody who reaches this address could run every function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, and without credentials everybody who does may do everything"
)]
pub struct Exposed(
    /// Where it was to listen.
    pub SocketAddr,
);

/// Whether a server may listen there.
///
/// # Errors
///
/// Requests are not authenticated, and the address is not a loopback one.
pub fn may_listen(address: SocketAddr, authenticates: bool) -> Result<(), Exposed> {
    if authenticates || address.ip().to_canonical().is_loopback() { Ok(()) } else { Err(Exposed(address)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_needs_no_credentials() {
        for (address, loopback) in [
            ("127.0.0.1:80", true),
            ("127.1.2.3:80", true),
            ("[::1]:80", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("0.0.0.0:80", false),
            ("[::]:80", false),
            ("192.0.2.1:80", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(may_listen(address, false).is_ok(), loopback, "{address}");
            assert_eq!(may_listen(address, true), Ok(()));
        }
    }
}
