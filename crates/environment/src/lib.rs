//! Execution environments: made, initialised, handed invocations, reset, ended.
//!
//! ```text
//!  invoke ─► Pool::invoke ─► Lease ─► driver ◄──► lifecycle::step   (the rules)
//!                                      │ ▲
//!                sandbox: processes ◄──┘ └── runtime-api: the guest's calls
//! ```
//!
//! [`pool`] chooses the environment, [`lifecycle`] holds the rules, the driver carries them out for one
//! environment; [`concurrent`] has the rules and the driver of those that take several invocations at a time. What both
//! do with processes is in `processes`. `logs` and `billing` account for it. The crate is given a [`Spec`] and knows nothing of where
//! that comes from; it returns an [`Answer`] and an [`Account`] and knows nothing of where those go.
#![forbid(unsafe_code)]

mod billing;
pub mod concurrent;
mod current;
mod driver;
mod environment;
mod failure;
mod invocation;
pub mod lifecycle;
mod logs;
mod outcome;
pub mod pool;
mod posted;
mod processes;
mod spec;
mod variables;

pub use environment::{CreateError, Folder};
pub use failure::RESPONSE_LIMIT_BYTES;
pub use invocation::{Invocation, Invoked, ResponseDelivery};
pub use logs::{Line, Output, Source};
pub use outcome::{Account, Answer, ChunkStream, StreamEnd};
pub use pool::{
    Capacity, Full, InvokeError, Limits, Pool, Progress, ProvisionFailure, ProvisionStatus, Provisioned,
};
pub use spec::{
    Credentials, Entrypoint, INIT_LIMIT, Image, InitializationType, Layout, LogFormat, LogLevel, Placed,
    Spec, extension_files, extension_files_of_image,
};
pub use variables::variables_of_runtime;
