//! The API as a client sees it.

mod agents;
mod audit;
mod calls;
mod catalogue;
mod citizens;
mod contract;
mod contracts;
mod control;
mod evidence;
mod feed;
mod moves;
mod rights;
mod town;
