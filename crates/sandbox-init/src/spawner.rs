//! The process that first processes are copies of.
//!
//! ```text
//!   server ──(socket, descriptor 0)── spawner
//!      │                                 └── clone3: new namespaces, the server's child
//!      └──(control socket)── first process ◄──┘
//! ```
//!
//! A server with many threads and much memory cannot fork, and to start its executable anew for every sandbox takes a
//! millisecond and some hundred kibibytes. This process is started once per server, has one thread, and what it has in
//! memory is shared by all copies of it.
//!
//! Where the server is not root, a user namespace is entered first, in which a single user and group exist: the server's,
//! by the numbers that functions are to find. All rights over the namespaces of sandboxes come from it.
//!
//! Where an OCI runtime makes sandboxes in its stead, it makes their networks alone.
//!
//! It refuses to know what it makes: no list, no waiting, no end. First processes are the server's children.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::thread::UnshareFlags;

use crate::clone3::{Clone, Forked};
use crate::network::{self, Router, RouterPlan};
use crate::protocol::{Made, Order};
use crate::serve;
use crate::wire::{self, Frames};
use crate::world::World;

/// Namespaces that every sandbox has its own of. That of control groups is made later, in the groups it is to show.
const NAMESPACES: libc::c_int =
    libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// The user and group that functions run as, as on AWS, where there is a user namespace.
pub const GUEST_UID: u32 = 993;
/// See [`GUEST_UID`].
pub const GUEST_GID: u32 = 990;

/// Serves until the server closes the socket or dies. Returns in copies too, once they are over.
pub(crate) fn serve(world: World) {
    let World { control, .. } = &world;
    let mut router = None;
    let mut frames = Frames::default();
    while let Ok(true) = frames.receive(control) {
        while let Ok(Some(order)) = frames.take_message::<Order>() {
            let mut sent = None;
            let made = match order {
                Order::Begin { router: plan } => begin(plan.as_deref()).map(|opened| {
                    router = opened;
                    Made::Ready
                }),
                Order::Network => vacant_network(router.as_mut()).map(|network| {
                    sent = Some(network);
                    Made::Network
                }),
                Order::SetHost(host) => {
                    router.as_mut().map_or(Ok(()), |router| router.set_host(host)).map(|()| Made::Ready)
                }
                Order::Clone { own_network } => {
                    let (socket, cgroup) = (frames.take_descriptor(), frames.take_descriptor());
                    let Some(socket) = socket else { return };
                    match clone(own_network) {
                        Ok(Forked::Child) => {
                            // What is the spawner's own, and no business of a sandbox.
                            drop((frames, router, world));
                            first_process(socket, cgroup);
                            return;
                        }
                        Ok(Forked::Parent(pid)) => {
                            let router = router.as_mut().filter(|_| own_network);
                            let link = router.map(|router| router.connect(pid.as_raw_pid().unsigned_abs()));
                            let link = link.transpose().map_err(|error| error.to_string());
                            Ok(Made::FirstProcess { pid: pid.as_raw_pid(), link })
                        }
                        Err(error) => Err(error),
                    }
                }
            };
            let made = made.unwrap_or_else(|error| Made::Failed { reason: error.to_string() });
            let descriptors: Vec<_> = sent.iter().map(AsFd::as_fd).collect();
            if wire::send_whole(control, &made, &descriptors).is_err() {
                return;
            }
        }
    }
}

/// Without root, in a user namespace. The router stands in a network namespace of this process's own, since it is here that the
/// ends of the sandboxes' ways come out.
fn begin(plan: Option<&RouterPlan>) -> io::Result<Option<Router>> {
    enter_user_namespace()
        .map_err(|error| io::Error::new(error.kind(), format!("no user namespace: {error}")))?;
    plan.map(|plan| {
        // SAFETY: dangerous only for descriptors shared between threads (`FILES`, which is not asked for);
        // and there is one thread.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
        Router::open(plan)
    })
    .transpose()
}

fn vacant_network(router: Option<&mut Router>) -> io::Result<OwnedFd> {
    router.map_or_else(|| Err(io::Error::other("there is no router")), network::vacant)
}

fn clone(own_network: bool) -> io::Result<Forked> {
    let network = if own_network { libc::CLONE_NEWNET } else { 0 };
    Clone { namespaces: NAMESPACES | network, sibling: true, ..Clone::default() }.fork()
}

fn first_process(socket: OwnedFd, cgroup: Option<OwnedFd>) {
    // Fails when there are no descriptors left, which the end of the socket tells.
    if let Ok(world) = World::of_clone(socket) {
        serve::serve_cloned(world, cgroup);
    }
}

fn enter_user_namespace() -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // SAFETY: dangerous only for descriptors shared between threads (`FILES`, which is not asked for);
    // and there is one thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) }?;
    // Without it the kernel refuses a map of groups written without privilege.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{GUEST_UID} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{GUEST_GID} {gid} 1"))?;
    Ok(())
}
