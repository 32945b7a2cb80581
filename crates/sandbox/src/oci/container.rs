//! A container, from before it is made until it is deleted.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::Pid;

use super::bundle::Bundle;
use super::runtime::{Caller, not_unicode};

/// Deleted when dropped, which blocks for some ten milliseconds. Its first process is over by then, or is ended.
#[derive(Debug)]
pub(crate) struct Container {
    caller: Arc<Caller>,
    name: String,
    bundle: Bundle,
}

impl Container {
    pub(super) fn new(caller: Arc<Caller>, name: String, bundle: Bundle) -> Self {
        Container { caller, name, bundle }
    }

    /// Has it made and started. Returns the number of its first process, which is this process's child when the runtime is
    /// over. `control` becomes its descriptor 0.
    pub(super) fn run(&self, control: OwnedFd) -> io::Result<Pid> {
        let pid_file = self.bundle.folder().join("pid");
        // No pipe: the first process holds it until it has cleaned up what it was started with.
        let said = self.bundle.folder().join("said");
        let status = self
            .caller
            .command(&[
                "run",
                "--detach",
                "--bundle",
                self.bundle.folder().to_str().ok_or_else(|| not_unicode(self.bundle.folder()))?,
                "--pid-file",
                pid_file.to_str().ok_or_else(|| not_unicode(&pid_file))?,
                &self.name,
            ])?
            .stdin(control)
            .stdout(Stdio::null())
            .stderr(File::create(&said)?)
            .status()?;
        if !status.success() {
            let said = fs::read_to_string(said).unwrap_or_default();
            let program = self.caller.runtime.path().display();
            return Err(io::Error::other(format!("{program} ended with {status}: {}", said.trim())));
        }
        let text = fs::read_to_string(&pid_file)?;
        text.trim().parse().ok().and_then(Pid::from_raw).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the runtime calls {text:?} a process"))
        })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let deleted = self.caller.command(&["delete", "--force", &self.name]).and_then(|mut command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output()
        });
        match deleted {
            // Of one that could not be made there is nothing to be deleted.
            Ok(output) if output.status.success() || !self.caller.state.join(&self.name).exists() => {}
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                tracing::warn!(
                    container = self.name,
                    said = said.trim(),
                    "the runtime does not delete a container"
                );
            }
            Err(error) => tracing::warn!(container = self.name, %error, "a container cannot be deleted"),
        }
    }
}
