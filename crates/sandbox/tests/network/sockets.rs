//! Sockets made in one namespace and used from another.

use std::net::{Shutdown, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::actor::{Actor, Answer};
use crate::scenario::Scenario;

const PLACE: &str = "127.0.0.1:9001";

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario { name: "a_socket_listens_where_it_was_made", run: where_it_was_made },
        Scenario { name: "a_port_is_free_once_its_listener_is_shut_down", run: free_once_shut_down },
    ]
}

fn where_it_was_made() {
    let mut one = Actor::in_its_own_namespace();
    let mut other = Actor::in_its_own_namespace();
    let first = listen(one.socket());
    // The same place, in another namespace.
    let second = listen(other.socket());
    assert_eq!(one.tcp(PLACE), Answer::Reached);
    accept(&first);
    assert_eq!(Actor::here().tcp(PLACE), Answer::Refused);
    drop(first);
    assert_eq!(one.tcp(PLACE), Answer::Refused);
    assert_eq!(other.tcp(PLACE), Answer::Reached);
    let accepted = accept(&second);
    assert!(accepted.nodelay().unwrap());
}

fn free_once_shut_down() {
    let mut sandbox = Actor::in_its_own_namespace();
    let first = listen(sandbox.socket());
    assert_eq!(sandbox.tcp(PLACE), Answer::Reached);
    let connection = accept(&first);
    let socket = sandbox.socket();
    // Somebody still has it, and the port with it.
    let kept = first.try_clone().unwrap();
    let refused = bind_and_listen(&socket).unwrap_err();
    assert_eq!(refused, rustix::io::Errno::ADDRINUSE);
    rustix::net::shutdown(&first, rustix::net::Shutdown::Read).unwrap();
    let second = listen(sandbox.socket());
    assert_eq!(sandbox.tcp(PLACE), Answer::Reached);
    accept(&second);
    // Connections that were accepted before are none the worse.
    connection.shutdown(Shutdown::Both).unwrap();
    drop(kept);
    assert_eq!(sandbox.tcp(PLACE), Answer::Reached);
}

fn listen(socket: OwnedFd) -> TcpListener {
    bind_and_listen(&socket).unwrap();
    socket.into()
}

fn bind_and_listen(socket: &OwnedFd) -> rustix::io::Result<()> {
    rustix::net::bind(socket, &PLACE.parse::<SocketAddrV4>().unwrap())?;
    rustix::net::listen(socket, 128)
}

/// Waits until there is a connection, but not for ever.
fn accept(listener: &TcpListener) -> std::net::TcpStream {
    let limit = Duration::from_secs(5).try_into().unwrap();
    let mut news = [rustix::event::PollFd::new(listener, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut news, Some(&limit)).unwrap(), 1, "nothing arrives here");
    listener.accept().unwrap().0
}
