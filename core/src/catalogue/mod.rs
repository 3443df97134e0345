//! The catalogue: domain, service, theme.
//!
//! It is small and read by everything, so that a node keeps it in memory; the counter `catalogue` tells when it is old.

mod check;
mod door;
mod known;
mod nouns;
mod reach;
pub mod schema;
mod snapshot;
mod table;

pub use crate::base::expected::Expected;
pub use check::{Wrong, check};
pub use door::Catalogue;
pub use known::UnknownCode;
pub use nouns::{ClosedDays, Confidentiality, Decision, Document, Domain, Regime, Service, Theme};
pub use snapshot::{Kind, Snapshot};
