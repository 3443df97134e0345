//! What a text message costs, and which one is refused: the 160 rule.
//!
//! A message of the 7-bit alphabet holds 160 septets (the extension characters cost two);
//! one foreign character and the whole message is UCS-2, which holds 70 units of UTF-16.
//! A longer text goes out in several billed segments, which carry a header and so hold less:
//! 153 or 67 (3GPP TS 23.040 §9.2.3.24.1). Voxea refuses instead, with a proposal, unless a
//! [`Policy`] lets it split; nothing is ever cut.
//!
//! Every function here looks at the text *after* [`typography`], and that is also the text
//! that goes out.

mod coding;
mod plain;
mod policy;
mod prepared;
mod preview;
mod reply;
mod segment;

pub use crate::typography::typography;
pub use coding::{Coding, Encoded};
pub use policy::{Alphabet, Letters, NoSuchPolicy, Policy, ReferenceWidth};
pub use prepared::Prepared;
pub use preview::{MAX_OFFENDING, Offending, Preview, preview, preview_by};
pub use reply::{Refused, check_reply, encode_for_submit, fits_one_segment, prepare};
pub use segment::Segment;
