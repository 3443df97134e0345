//! The demand of a citizen: what it is, where it stands, who changed it.

mod desk;
mod history;
mod moving;
mod row;
mod status;
mod transition;

pub use desk::{Desk, Filter, Listed, Patch};
pub(crate) use history::Notes;
pub use history::{HistoryRow, record};
pub use moving::{Moved, Moving};
pub use row::RequestRow;
pub use status::Status;
