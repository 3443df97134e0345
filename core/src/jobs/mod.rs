//! What happens later: one table, one step at a time (and one beside it that waits for object storage), each visible at `/v1/jobs`.

mod step;
mod table;

pub use step::{Lane, Runner, Step};
pub use table::{JobRow, Jobs, Which};
