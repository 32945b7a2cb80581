//! Functions: their names, their settings, and which of them a request means.
//!
//! ```text
//!  path part + Qualifier ──► FunctionReference ──► Catalog::find ──► Arc<Function>
//!        (name.rs, arn.rs, reference.rs)           (catalog.rs)      (function.rs)
//! ```
//!
//! Only this crate knows how AWS spells a function's name and which settings it accepts. Every value
//! of these types has been checked once, where it was made, so nobody checks it again.
//!
//! Called by the front door (to find the function a request names) and by `serve` (to fill the
//! catalog). It does no I/O: it neither opens the code folder it is told of nor asks whether the
//! runtime exists on this host, and it knows nothing of status codes; a refusal carries the words
//! AWS uses and the data to choose the code from.
#![forbid(unsafe_code)]

mod account;
mod aliases;
mod arn;
mod attachments;
mod catalog;
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
mod paging;
mod permissions;
mod policy;
mod recursion;
mod reference;
mod refusal;
mod resolve;
mod rows;
mod runtime_management;
mod store;
mod tags;
mod timestamps;
mod variables;
mod version;
mod versions;

pub use account::{Account, AccountLimits, AccountUsage};
pub use aliases::{Alias, AliasUpdate, NewAlias, Weighted};
pub use arn::Arn;
pub use catalog::{Catalog, DuplicateName, NotFound};
pub use code::{Code, CodeDigest, InvalidDigest, PackageType};
pub use code_signing::{CodeSigningConfig, CodeSigningSettings, CodeSigningUpdate, UntrustedArtifact};
pub use concurrency::ProvisionedConcurrency;
pub use configuration::{Architecture, Configuration, ConfigurationUpdate, ImageConfig, SnapStart, Tracing};
pub use event_invoke::{Destinations, EventInvokeConfig, EventInvokeSettings, EventInvokeUpdate};
pub use event_sources::{EventSourceMapping, MAPPING_STATE, MAPPING_STATE_REASON, MappingFilter};
pub use function::{Function, InvalidSetting, Settings};
pub use function_urls::{AuthType, Cors, FunctionUrl, InvokeMode, UrlSettings, UrlUpdate};
pub use functions::{CodeUpdate, Deleted, FunctionDescription, Listed, NewFunction, Settlement, Updated};
pub use layer_policies::NewLayerStatement;
pub use layers::{AboutLayer, LayerFilter, LayerVersion, NewLayerVersion};
pub use logging::{LogFormat, LogLevel, Logging, LoggingUpdate};
pub use name::{FunctionName, InvalidName, InvalidQualifier, Qualifier};
pub use paging::{Page, Paging};
pub use policy::{NewStatement, Policy};
pub use recursion::RecursiveLoop;
pub use reference::{FunctionReference, ReferenceError};
pub use refusal::{Refusal, RefusalKind, RevisionOf};
pub use resolve::{Alternative, Resolved, Target};
pub use runtime_management::{RuntimeManagement, UpdateRuntimeOn};
pub use store::{CatalogError, OpenError, Store, StoreFailure};
pub use tags::{TaggedResource, Tags};
pub use timestamps::text as timestamp_text;
pub use variables::{InvalidVariables, RESERVED_KEYS, Variables};
pub use version::{AttachedLayer, LastUpdate, Reason, State, Version, VersionNumber};
pub use versions::Publication;
