//! Citizens: who writes to the town, the addresses by which they are found again, and who wants no campaigns.
//!
//! Matching is exact on one key an address ([`Address::match_key`]). A citizen is never needed: what comes from an unknown,
//! shared or withheld address is taken in all the same, and belongs to nobody until somebody says so.

mod address;
mod adoption;
mod check;
mod door;
mod nouns;
mod opt_outs;
mod points;
mod stop;
mod table;
mod undeliverable;

pub use address::{Address, PointKind};
pub use door::{Citizens, Created, Found};
pub use nouns::{
    Citizen, CitizenChange, CitizenKind, CitizenStatus, Filter, Listed, NewCitizen, NewPoint, OptedOut, Patch, Point, PointPatch, Verified,
};
pub use opt_outs::{OptOut, OptOutFilter, OptOuts, OptOutsListed};
pub(crate) use stop::{START, STOP, opted_out, start_row, stop_row};
pub(crate) use table::linkable;
pub use undeliverable::Undeliverable;
pub(crate) use undeliverable::{REACHED, enter as enter_undeliverable, undeliverable};
