//! The process that stands for the host, and the world around it.

use std::fs;

use firesteel_sandbox::InitProgram;
use firesteel_sandbox::network::{Egress, Uplink};
use firesteel_sandbox_init::network::{self, Link};
use rustix::mount::MountPropagationFlags;
use rustix::thread::UnshareFlags;

use crate::actor::{self, Actor, Answer, Order};

pub(crate) const MODE: &str = "lab";

/// A machine on the internet, and the metadata service of the cloud that the host is in.
pub(crate) const INTERNET: &str = "198.51.100.7";
pub(crate) const METADATA: &str = "169.254.169.254";
/// The host, on the network that it shares with its gateway, and on another.
pub(crate) const HOST: &str = "192.0.2.2";
pub(crate) const HOST_ELSEWHERE: &str = "10.9.9.9";

/// Makes this process the host.
pub(crate) fn enter() {
    actor::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS);
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    network::loopback_up().unwrap();
}

/// The host has these nameservers.
pub(crate) fn set_resolv_conf(text: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, text).unwrap();
    rustix::mount::mount_bind(file.path(), "/etc/resolv.conf").unwrap();
}

/// On hosts where it is root's alone, one is put in its place, in this process's mounts only.
pub(crate) fn open_tun_to_everybody() {
    use rustix::fs::{CWD, FileType, Mode};
    let folder = tempfile::tempdir_in("/dev").unwrap();
    let node = folder.path().join("tun");
    rustix::fs::mknodat(CWD, &node, FileType::CharacterDevice, Mode::empty(), rustix::fs::makedev(10, 200))
        .unwrap();
    rustix::fs::chmod(&node, Mode::from_raw_mode(0o666)).unwrap();
    rustix::mount::mount_bind(&node, "/dev/net/tun").unwrap();
}

/// The internet, listening on port 80 of its addresses; the host is connected to it, and listens on port 80 of its own.
pub(crate) struct World {
    pub(crate) outside: Actor,
    _host: std::net::TcpListener,
}

pub(crate) fn world() -> World {
    let mut outside = Actor::in_its_own_namespace();
    actor::ip(&format!("link add eth0 type veth peer name eth0 netns {}", outside.pid())).unwrap();
    for address in [INTERNET, METADATA] {
        outside.ip(&format!("address add {address}/32 dev lo"));
    }
    outside.ip("address add 192.0.2.1/24 dev eth0");
    outside.ip("link set eth0 up");
    outside.listen("0.0.0.0:80");
    outside.must(&Order::Echo(format!("{INTERNET}:53").parse().unwrap()));
    actor::ip(&format!("address add {HOST}/24 dev eth0")).unwrap();
    actor::ip(&format!("address add {HOST_ELSEWHERE}/32 dev lo")).unwrap();
    actor::ip("link set eth0 up").unwrap();
    actor::ip("route add default via 192.0.2.1").unwrap();
    World { outside, _host: std::net::TcpListener::bind("0.0.0.0:80").unwrap() }
}

/// A server with its router and its way out.
pub(crate) struct Server {
    pub(crate) router: Actor,
    pub(crate) egress: Egress,
    pub(crate) uplink: Uplink,
}

pub(crate) fn serve(allowed: &[&str]) -> Server {
    let egress = Egress::find(allowed.iter().map(|text| text.parse().unwrap()).collect()).unwrap();
    let mut router = Actor::in_its_own_namespace();
    router.must(&Order::Open(egress.plan().clone()));
    let uplink = egress.start(router.pid(), &InitProgram::CurrentExe).unwrap();
    Server { router, egress, uplink }
}

/// A sandbox connected to a router, listening on port 80 itself.
pub(crate) fn sandbox(router: &mut Actor) -> (Actor, Link) {
    let mut sandbox = Actor::in_its_own_namespace();
    let link = connect(router, &mut sandbox);
    sandbox.listen("0.0.0.0:80");
    (sandbox, link)
}

pub(crate) fn connect(router: &mut Actor, sandbox: &mut Actor) -> Link {
    let Answer::Connected(link) = router.ask(&Order::Connect(sandbox.pid())) else { panic!("not connected") };
    sandbox.must(&Order::Configure(link));
    link
}
