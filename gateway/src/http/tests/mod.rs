//! The API as a client sees it.

mod calls;
mod catalogue;
mod evidence;
mod town;
