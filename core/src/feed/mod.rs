//! The one ordered stream of changes that back-office applications pull.
//!
//! Positions come in commit order: they are taken from the counter `feed` as one of the last statements of a
//! transaction, and the counter's row stays locked until the commit. Whoever takes the next position therefore does so
//! after the earlier ones are visible, and a reader that has seen N has seen everything up to N.

mod begin;
mod event;
mod filter;
mod page;
mod position;
mod selection;
mod state;
mod stored;

pub use begin::Begin;
pub use event::{EventKind, NewEvent};
pub use filter::Filter;
pub use page::{Feed, Page};
pub use position::{add, append, next_numbers, next_positions};
pub use selection::{Selection, ThemeFilter, UnknownKind};
pub use state::{State, new_epoch};
pub use stored::Event;
