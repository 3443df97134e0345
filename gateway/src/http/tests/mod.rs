//! The API as a client sees it.

mod audit;
mod calls;
mod catalogue;
mod citizens;
mod contract;
mod evidence;
mod rights;
mod town;
