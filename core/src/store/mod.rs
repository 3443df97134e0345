//! Two databases behind one SQL text.
//!
//! `$1` placeholders, `ON CONFLICT` and `RETURNING` mean the same on both. A statement stands once, inside `on!`,
//! which compiles it for each. Where they differ (sets of rows, below) a [`Rows`] writes the difference.

mod kind;
mod on;
mod open;
mod reach;
mod row;
mod rows;
mod script;
mod tx;
mod writer;

pub use kind::{Sqlite, Store};
pub(crate) use on::on;
pub use reach::{Condition, Reach, Themes, Way};
pub(crate) use row::row;
pub use row::{Field, Row, ToField};
pub use rows::{Column, Rows, SetSql};
pub use script::Script;
pub use tx::Tx;
pub use writer::{Writer, Writing};
