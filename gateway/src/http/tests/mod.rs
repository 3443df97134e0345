//! The API as a client sees it.

mod agents;
mod audit;
mod calls;
mod catalogue;
mod citizens;
mod contract;
mod contracts;
mod control;
mod conventions;
mod evidence;
mod external;
mod feed;
mod moves;
mod open311;
mod rights;
mod town;
mod xml;
