//! The commands of the binary, one file each.

mod agent;
mod audit;
mod catalogue;
mod check;
mod cli;
mod client;
mod common;
mod decode;
mod doctor;
mod feed;
mod key;
mod mailbox;
mod migrate;
mod recording;
mod terms;
mod vault;

pub(crate) use cli::Cli;
