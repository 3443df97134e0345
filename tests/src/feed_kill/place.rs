//! Where the events are kept.

use crate::postgres::Postgres;

/// Where the town keeps what it has.
#[derive(Debug)]
pub enum Place<'a> {
    /// A file, which dies with the daemon.
    Sqlite,
    /// A database of this cluster, by this name.
    Postgres(&'a Postgres, String),
}
