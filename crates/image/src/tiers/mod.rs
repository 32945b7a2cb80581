//! Where a chunk comes from when a function reads it.
pub mod simulated;

mod admission;
mod limits;
mod local;
mod memory;
mod prefetch;
mod prefetch_list;
mod recency;
mod shelf;
mod statistics;
mod touches;

pub use admission::{AdmissionOptions, AdmissionReport, StartAdmission, StartPermit, StartRefused};
pub use limits::{OriginLimits, OriginOptions};
pub use local::{DiskOptions, LocalCache, LocalOptions, LocalReport};
pub use prefetch::{Prefetch, PrefetchOptions, PrefetchReport, Prefetcher};
pub use prefetch_list::{BadPrefetchList, PrefetchList};
pub use shelf::{DiskReport, ShelfError};
pub use statistics::TierReport;
pub use touches::Touches;
