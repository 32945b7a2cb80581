//! Runs a program that ends when its parent does, however that ends.
//!
//! ```text
//!   server's thread ── this executable, in its hidden mode ── becomes the program
//!                        └── asks the kernel to be killed when that thread ends
//! ```
//!
//! What is asked for survives becoming another program, unless that changes who it runs as: such a program must be told not to.
//!
//! The kernel means the *thread* that started it. Whoever uses this must start it from one that lives as long as the program is to.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal};

/// The first argument that turns a start of the executable into a tether.
const HIDDEN_MODE: &str = "sandbox-tether";

/// What it exits with when the program cannot be started, as a shell does.
const NOT_STARTED: i32 = 127;

/// Starts `program` with its arguments when run, by way of `executable`, whose `main` must begin with
/// [`enter_if_asked`](crate::enter_if_asked).
#[must_use]
pub fn command(executable: &Path, program: &Path) -> Command {
    let mut command = Command::new(executable);
    command.arg(HIDDEN_MODE).arg(std::process::id().to_string()).arg(program).env_clear();
    command
}

/// Becomes the program and never returns, if this process was started as a tether; otherwise returns at once.
pub(crate) fn enter_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|argument| argument != HIDDEN_MODE) {
        return;
    }
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let error = match (parent, arguments.next()) {
        (Some(parent), Some(program)) => match hold_to(parent) {
            Ok(()) => Command::new(program).args(arguments).exec(),
            Err(error) => error,
        },
        _ => io::Error::from(io::ErrorKind::InvalidInput),
    };
    // Cannot be written only where nobody reads.
    let _ = writeln!(io::stderr(), "{error}");
    #[expect(
        clippy::disallowed_methods,
        reason = "called first in main, when nothing of the caller exists that would want dropping"
    )]
    std::process::exit(NOT_STARTED);
}

fn hold_to(parent: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before that.
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
}
