//! HTML of mails: made into text, and made fit to be shown.
//!
//! [`text`] is a single pass of ours over the tags, so that no tree is built of what strangers send. [`safe()`] builds one,
//! when somebody asks for it, behind bounds that `tokens` makes exact.

mod render;
mod safe;
mod tokens;

pub use render::text;
pub use safe::{Safe, safe};
