//! The API as a client sees it.

mod calls;
mod evidence;
mod town;
