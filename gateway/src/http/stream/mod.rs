//! The feed as it is read over HTTP: what a reader asks for, and the forms in which it is answered.

mod asked;
pub(crate) mod atom;
mod event;
mod hub;
pub(crate) mod sse;
pub(crate) mod wait;

pub(crate) use asked::{Asked, Query, themes};
pub(crate) use event::{Changes, Event};
pub(crate) use hub::Hub;
