//! What a runtime identifier means on this host.
//!
//! ```text
//! code folder ──► detect ──► Runtime + handler ──► launch ──► program, arguments, variables
//!                    │                                │
//!                    └────────► Interpreters ◄────────┘
//!                        (asks what is installed, once)
//! ```
//!
//! Only this crate knows runtime identifiers, where interpreters lie and what is put on their command
//! lines. Managed runtimes are run by the host's interpreter with a small bootstrap of our own, which
//! [`install_bootstraps`] writes out; a function that brings AWS's own client is run with that.
//!
//! Called while a function is prepared and planned. It starts nothing but the short probes that ask an
//! interpreter for its version; running a function is left to whoever takes the [`Launch`].
#![forbid(unsafe_code)]

mod bootstraps;
mod detect;
mod interpreter;
mod launch;
mod nodejs;
mod places;
mod probe;
mod python;
mod runtime;
mod search;

pub use bootstraps::{InstallError, compile_bootstraps, install_bootstraps};
pub use detect::{DetectError, Detected, detect};
pub use interpreter::{Interpreter, InterpreterNotFound, Interpreters, Version};
pub use launch::{Launch, LaunchError, launch};
pub use places::{Layout, Place, Places, SYSTEM_FOLDERS};
pub use runtime::{AmazonLinux, Runtime, RuntimeError};
