//! What happens later: one table, one loop, one step at a time, each visible at `/v1/jobs`.

mod step;
mod table;

pub use step::{Runner, Step};
pub use table::{JobRow, Jobs};
