//! What `config.json` says: the OCI runtime specification, of which few fields are needed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use firesteel_sandbox_init::furnishing::Confinement;
use firesteel_sandbox_init::protocol::Bind;
use firesteel_sandbox_init::{CONTAINER_MODE, layout, ownership};
use rustix::thread::CapabilitySet;
use serde_json::{Value, json};

use super::runtime::{OciRuntime, not_unicode};
use crate::system;

/// Where the program is found in a container that becomes its first process.
pub(super) const INIT: &str = "/.firesteel/init";

/// Where a tree is found that is to become the root.
pub(super) const TREE: &str = "/.firesteel/tree";

/// Of the specification: what is used here has been in it since.
const OCI_VERSION: &str = "1.0.2";

/// What a first process needs to confine what it starts, and to reach what it has confined.
const CAPABILITIES: [(CapabilitySet, &str); 7] = [
    // For a view of control groups that begins at the sandbox's own.
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
    (CapabilitySet::SETPCAP, "CAP_SETPCAP"),
    (CapabilitySet::SETUID, "CAP_SETUID"),
    (CapabilitySet::SETGID, "CAP_SETGID"),
    (CapabilitySet::KILL, "CAP_KILL"),
    // Working folders may be their owner's alone.
    (CapabilitySet::DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"),
    // Not to be the one that goes when a sandbox runs out of memory.
    (CapabilitySet::SYS_RESOURCE, "CAP_SYS_RESOURCE"),
];

/// What differs from container to container.
#[derive(Debug)]
pub(super) struct Config<'a> {
    pub(super) runtime: &'a OciRuntime,
    /// The first process's program.
    pub(super) init: &'a Path,
    /// To whom private folders are shown.
    pub(super) guest: &'a Confinement,
    pub(super) places: &'a [Bind],
    /// What is to become the root.
    pub(super) tree: Option<&'a Path>,
    pub(super) tmp: Tmp,
    pub(super) network: NetworkNamespace,
    /// `None`: no group of its own.
    pub(super) cgroups_path: Option<String>,
}

/// Which network a container is in.
#[derive(Debug)]
pub(super) enum NetworkNamespace {
    /// The host's.
    Host,
    /// A new one, with a loopback alone.
    New,
    /// One that is there, and what it is entered by.
    Given(PathBuf),
}

/// What is mounted at `/tmp`.
#[derive(Debug)]
pub(super) enum Tmp {
    /// This device, with an ext4 on it.
    Disk(PathBuf),
    /// Memory.
    Memory {
        /// At most.
        bytes: u64,
    },
}

impl Config<'_> {
    /// `system`: what is shown of the host at the same place.
    pub(super) fn json(&self, system: &[PathBuf]) -> io::Result<Value> {
        let capabilities = capabilities()?;
        let mut namespaces: Vec<Value> =
            ["pid", "mount", "ipc", "uts"].iter().map(|kind| json!({ "type": kind })).collect();
        match &self.network {
            NetworkNamespace::Host => {}
            NetworkNamespace::New => namespaces.push(json!({ "type": "network" })),
            NetworkNamespace::Given(path) => {
                namespaces.push(json!({ "type": "network", "path": text(path)? }));
            }
        }
        let below_proc =
            |names: &[&str]| names.iter().map(|name| format!("/proc/{name}")).collect::<Vec<_>>();
        let mut linux = json!({
            "namespaces": namespaces,
            "maskedPaths": below_proc(&layout::MASKED),
            "readonlyPaths": below_proc(&layout::READ_ONLY_PROC),
        });
        if let Some(path) = &self.cgroups_path {
            linux["cgroupsPath"] = json!(path);
        }
        Ok(json!({
            "ociVersion": OCI_VERSION,
            "process": {
                "terminal": false,
                "user": { "uid": 0, "gid": 0 },
                "args": [INIT, CONTAINER_MODE],
                "env": [],
                "cwd": "/",
                "capabilities": {
                    "bounding": capabilities,
                    "effective": capabilities,
                    "inheritable": [],
                    "permitted": capabilities,
                },
                "noNewPrivileges": true,
            },
            "root": { "path": "rootfs", "readonly": true },
            "hostname": system::HOSTNAME,
            "mounts": self.mounts(system)?,
            "linux": linux,
        }))
    }

    fn mounts(&self, system: &[PathBuf]) -> io::Result<Vec<Value>> {
        let mut mounts = vec![
            json!({
                "destination": "/proc", "type": "proc", "source": "proc",
                "options": ["nosuid", "nodev", "noexec"],
            }),
            json!({
                "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "noexec", "mode=755", "size=64k", "ro"],
            }),
        ];
        let processors = Path::new("/").join(layout::PROCESSORS);
        // Links are in the skeleton.
        let is_shown = |path: &&PathBuf| fs::symlink_metadata(path).is_ok_and(|found| !found.is_symlink());
        for path in system.iter().filter(is_shown).chain([&processors]) {
            mounts.push(bind(path, path, true, None)?);
        }
        mounts.push(bind(self.init, Path::new(INIT), true, None)?);
        mounts.push(match &self.tmp {
            Tmp::Disk(device) => json!({
                "destination": "/tmp", "type": "ext4", "source": text(device)?,
                // It is thrown away in the end: nobody needs to wait until it is safe on the disk.
                "options": ["nosuid", "nodev", "noatime", "nobarrier"],
            }),
            Tmp::Memory { bytes } => json!({
                "destination": "/tmp", "type": "tmpfs", "source": "tmp",
                "options": ["nosuid", "nodev", "noatime", "mode=1777", format!("size={bytes}")],
            }),
        });
        for Bind { from, at, read_only } in self.places {
            // To write as the owner is another matter: what a guest made would be root's on the host.
            let mapping = if *read_only { self.mapping(from)? } else { None };
            mounts.push(bind(from, at, *read_only, mapping.as_deref())?);
        }
        if let Some(tree) = self.tree {
            mounts.push(bind(tree, Path::new(TREE), true, None)?);
            mounts.push(json!({
                "destination": layout::WORKSPACE, "type": "tmpfs", "source": "workspace",
                "options": ["nosuid", "nodev", "mode=755", "size=1m"],
            }));
        }
        Ok(mounts)
    }

    /// The option that shows as the guest's what only its owner may read.
    fn mapping(&self, from: &Path) -> io::Result<Option<String>> {
        let found = fs::metadata(from)?;
        if !ownership::is_private(&found) {
            return Ok(None);
        }
        if !self.runtime.can_map_owners() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{from} cannot be read by the sandbox's user, and {runtime} cannot show it as theirs: \
                     try `chmod -R o+rX {from}`, or crun",
                    from = from.display(),
                    runtime = self.runtime.path().display()
                ),
            ));
        }
        let (uid, gid) = (found.uid(), found.gid());
        let Confinement { uid: guest_uid, gid: guest_gid, .. } = self.guest;
        Ok(Some(format!("idmap=uids={uid}-{guest_uid}-1;gids={gid}-{guest_gid}-1")))
    }
}

fn bind(from: &Path, at: &Path, read_only: bool, mapping: Option<&str>) -> io::Result<Value> {
    let mut options = vec!["rbind", "rprivate", "nosuid", "nodev"];
    options.extend(read_only.then_some("ro"));
    if fs::metadata(from)?.is_dir() {
        // For what is mounted below, too. Nothing is below a file, and crun refuses to look.
        options.extend(["rnosuid", "rnodev"]);
        options.extend(read_only.then_some("rro"));
    }
    options.extend(mapping);
    Ok(json!({ "destination": text(at)?, "type": "bind", "source": text(from)?, "options": options }))
}

/// Those that this process has itself; a container around it may have taken some.
fn capabilities() -> io::Result<Vec<&'static str>> {
    let own = rustix::thread::capabilities(None)?.permitted;
    Ok(CAPABILITIES.iter().filter(|(it, _)| own.contains(*it)).map(|(_, name)| *name).collect())
}

fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| not_unicode(path))
}
