//! Functions and everything that AWS lets one attach to them: durable truth, in SQLite.
//!
//! ```text
//!  path part + Qualifier ──► FunctionReference ─┬─► Store::resolve ──► Arc<Resolved>   invocations: from memory
//!     (name.rs, arn.rs, reference.rs)           │     (resolve.rs, store/cache.rs)
//!                                               └─► Store::…       ──► one operation   control: one transaction
//!                                                     (a module for each noun)
//! ```
//!
//! | what | modules |
//! |---|---|
//! | functions and their versions | `functions`, `settling`, `versions`, `aliases`; made of `version`, `configuration`, `logging`, `variables`, `code` |
//! | functions of a command line, before they are in the store | `function` |
//! | attached to a version or alias (`attachments`) | `permissions`, `concurrency`, `event_invoke`, `function_urls`, `runtime_management` |
//! | attached to a function | `concurrency`, `recursion`, `code_signing`, `tags` |
//! | beside functions | `layers`, `layer_policies`, `event_sources`, `account`, `packages` |
//! | what all are made of | `store` (the file), `rows`, `paging`, `policy`, `refusal`, `timestamps` |
//!
//! Only this crate knows how AWS spells a function's name, which settings it accepts, and how all that is
//! stored. Whoever asks has had the shapes of single members checked by AWS's model; here is refused what
//! depends on what is there, in AWS's words ([`Refusal`]). Status codes and JSON are the front door's.
//!
//! Called by the front door, by the invoker (what an invocation means) and by `serve`. Synchronous; it
//! neither opens packages nor asks whether a runtime exists on this host: what came of that, it is told
//! ([`Store::settle`]).
#![forbid(unsafe_code)]

mod account;
mod aliases;
mod arn;
mod attachments;
mod code;
mod code_signing;
mod concurrency;
mod configuration;
mod event_invoke;
mod event_source;
mod event_sources;
mod function;
mod function_urls;
mod functions;
mod layer_policies;
mod layers;
mod logging;
mod name;
mod packages;
mod paging;
mod permissions;
mod policy;
mod recursion;
mod reference;
mod refusal;
mod resolve;
mod rows;
mod runtime_management;
mod settling;
mod store;
mod tags;
mod timestamps;
mod variables;
mod version;
mod versions;

pub use account::{Account, AccountLimits, AccountUsage};
pub use aliases::{Alias, AliasUpdate, NewAlias, Weighted};
pub use arn::Arn;
pub use code::{Code, CodeDigest, InvalidDigest, PackageType};
pub use code_signing::{CodeSigningConfig, CodeSigningSettings, CodeSigningUpdate, UntrustedArtifact};
pub use concurrency::ProvisionedConcurrency;
pub use configuration::{Architecture, Configuration, ConfigurationUpdate, ImageConfig, SnapStart, Tracing};
pub use event_invoke::{Destinations, EventInvokeConfig, EventInvokeSettings, EventInvokeUpdate};
pub use event_sources::{EventSourceMapping, MAPPING_STATE, MAPPING_STATE_REASON, MappingFilter};
pub use function::{Function, InvalidSetting, Settings};
pub use function_urls::{AuthType, Cors, FunctionUrl, InvokeMode, UrlSettings, UrlUpdate};
pub use functions::{CodeUpdate, Deleted, FunctionDescription, Listed, NewFunction, Updated};
pub use layer_policies::NewLayerStatement;
pub use layers::{AboutLayer, LayerFilter, LayerVersion, NewLayerVersion};
pub use logging::{LogFormat, LogLevel, Logging, LoggingUpdate};
pub use name::{FunctionName, InvalidName, InvalidQualifier, Qualifier};
pub use paging::{Page, Paging};
pub use policy::{NewStatement, Policy};
pub use recursion::RecursiveLoop;
pub use reference::{FunctionReference, ReferenceError, UnknownArn};
pub use refusal::{Refusal, RefusalKind, RevisionOf};
pub use resolve::{Alternative, Resolved, Target};
pub use runtime_management::{RuntimeManagement, UpdateRuntimeOn};
pub use settling::Settlement;
pub use store::{CatalogError, OpenError, Store, StoreFailure};
pub use tags::{TaggedResource, Tags};
pub use timestamps::timestamp_text;
pub use variables::{InvalidVariables, RESERVED_KEYS, Variables};
pub use version::{AttachedLayer, LastUpdate, Reason, State, Version, VersionNumber};
pub use versions::Publication;
