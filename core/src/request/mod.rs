//! The demand of a citizen: what it is, where it stands, who changed it.

mod desk;
mod external;
mod history;
mod link;
mod moving;
mod public;
mod reopening;
mod row;
mod status;
mod telling;
mod transition;

pub use desk::{Desk, Filter, Listed, Patch};
pub(crate) use external::INSERT as EXTERNAL;
pub use external::{ExternalId, ExternalReference, NewExternal};
pub(crate) use history::Notes;
pub use history::{HistoryRow, record};
pub use link::{LinkKind, RequestLink};
pub use moving::{Moved, Moving};
pub use public::{PublicFilter, PublicMove, PublicRequest, SHOWN as PUBLIC_SHOWN};
pub(crate) use reopening::Reopened;
pub use row::RequestRow;
pub use status::Status;
pub use telling::Told;
