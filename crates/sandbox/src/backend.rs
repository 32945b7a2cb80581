//! By what sandboxes are held apart.

use std::io;
use std::sync::Arc;

use crate::cgroup::Enforcement;
use crate::event::Events;
#[cfg(target_os = "linux")]
use crate::namespace::{Namespaces, Settings};
#[cfg(target_os = "linux")]
use crate::oci::{Containers, OciRuntime};
use crate::sandbox::{CreateError, Sandbox, Spec};

/// What makes sandboxes. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Backend {
    /// Trees of ordinary processes: ended completely, and neither isolated nor limited.
    Process,
    /// Namespaces, control groups and a file system of their own; see [`crate::namespace`].
    #[cfg(target_os = "linux")]
    Namespace(NamespaceBackend),
    /// Containers, made by an OCI runtime; see [`crate::oci`].
    #[cfg(target_os = "linux")]
    Oci(OciBackend),
}

/// See [`Backend::Namespace`].
#[cfg(target_os = "linux")]
#[derive(Debug, Clone)]
pub struct NamespaceBackend(Arc<Namespaces>);

/// See [`Backend::Oci`].
#[cfg(target_os = "linux")]
#[derive(Debug, Clone)]
pub struct OciBackend(Arc<Containers>);

#[cfg(target_os = "linux")]
impl OciBackend {
    /// What makes the containers.
    #[must_use]
    pub fn runtime(&self) -> &OciRuntime {
        self.0.runtime()
    }
}

impl Backend {
    /// Sandboxes with namespaces of their own. Blocks for some milliseconds.
    ///
    /// # Errors
    /// When this host does not allow it.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    #[cfg(target_os = "linux")]
    pub fn namespace(settings: Settings) -> io::Result<Self> {
        Ok(Backend::Namespace(NamespaceBackend(Namespaces::open(settings)?)))
    }

    /// Sandboxes in containers. Nothing is made ahead, whatever [`Settings::blanks`] says. Blocks for some milliseconds.
    ///
    /// # Errors
    /// Without root or cgroup2, or when a folder cannot be made.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    #[cfg(target_os = "linux")]
    pub fn oci(settings: Settings, runtime: OciRuntime) -> io::Result<Self> {
        Ok(Backend::Oci(OciBackend(Arc::new(Containers::open(settings, runtime)?))))
    }

    /// Makes a sandbox. Dropped while waiting, everything begun is ended.
    ///
    /// # Errors
    /// See [`CreateError`]. Nothing is left running.
    pub async fn create(&self, spec: Spec) -> Result<(Sandbox, Events), CreateError> {
        match self {
            Backend::Process if spec.mounts.tree.is_some() => Err(CreateError::Root {
                id: spec.id,
                reason: "plain processes have this machine's root and no other".to_owned(),
            }),
            Backend::Process => Sandbox::create(spec).await,
            #[cfg(target_os = "linux")]
            Backend::Namespace(NamespaceBackend(namespaces)) => namespaces.create(spec).await,
            #[cfg(target_os = "linux")]
            Backend::Oci(OciBackend(containers)) => containers.create(spec).await,
        }
    }

    /// Whether functions find their folders where AWS has them, in a root of their own.
    #[must_use]
    pub fn has_own_root(&self) -> bool {
        !matches!(self, Backend::Process)
    }

    /// Makes a sandbox to see whether that can be done, and keeps it for who asks first. From then on others are made
    /// ahead, if that was wanted.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn probe(&self) -> Result<(), CreateError> {
        match self {
            Backend::Process => Ok(()),
            #[cfg(target_os = "linux")]
            Backend::Namespace(NamespaceBackend(namespaces)) => namespaces.probe().await,
            #[cfg(target_os = "linux")]
            Backend::Oci(OciBackend(containers)) => containers.probe().await,
        }
    }

    /// What holds which limit, or why nothing does; `None` where nothing is limited by design.
    #[must_use]
    pub fn enforcement(&self) -> Option<&Enforcement> {
        match self {
            Backend::Process => None,
            #[cfg(target_os = "linux")]
            Backend::Namespace(NamespaceBackend(namespaces)) => Some(namespaces.enforcement()),
            #[cfg(target_os = "linux")]
            Backend::Oci(OciBackend(containers)) => Some(containers.enforcement()),
        }
    }

    /// Why what functions write to `/tmp` counts as memory, if it does.
    #[must_use]
    pub fn tmp_in_memory(&self) -> Option<&str> {
        match self {
            Backend::Process => None,
            #[cfg(target_os = "linux")]
            Backend::Namespace(NamespaceBackend(namespaces)) => namespaces.tmp_in_memory(),
            #[cfg(target_os = "linux")]
            Backend::Oci(OciBackend(containers)) => containers.tmp_in_memory(),
        }
    }

    /// Ends what was made ahead. To be called when no more sandboxes are wanted.
    pub async fn close(&self) {
        match self {
            Backend::Process => {}
            #[cfg(target_os = "linux")]
            Backend::Namespace(NamespaceBackend(namespaces)) => namespaces.close().await,
            #[cfg(target_os = "linux")]
            Backend::Oci(OciBackend(containers)) => containers.close().await,
        }
    }
}
