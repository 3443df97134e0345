//! The API as a client sees it.

mod agents;
mod calls;
mod catalogue;
mod contract;
mod evidence;
mod town;
