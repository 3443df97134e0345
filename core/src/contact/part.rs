//! A part of a long text.

use bytes::Bytes;

use super::contact::{Accepted, Outcome};
use super::redelivery::{DeliveryMark, Redelivery};
use crate::base::account::Account;
use crate::base::time::Millis;

/// How the bytes of a part are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// GSM 7-bit, one septet a byte (unpack before).
    Gsm7,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, big-endian. A part may end within a surrogate pair.
    Ucs2,
    /// None that we know: nothing is read, the raw artefact has it.
    Binary,
}

/// One part of a long text. It is durable before its acknowledgement; with the last one the text becomes a contact.
#[derive(Debug, Clone)]
pub struct Part {
    /// The account that took it in. Parts of one text may come by several of its links.
    pub account: Account,
    /// The epoch that [`super::Intake::register`] gave for the account.
    pub epoch: i64,
    /// What is common to the parts of one text and to no other text at the same time: source, destination and
    /// reference. Any text.
    pub whole: String,
    /// From 1.
    pub number: u8,
    /// How many there are; 1 to 255.
    pub total: u8,
    /// How to read `body`.
    pub coding: Coding,
    /// Its share of the text, without the user data header.
    pub body: Bytes,
    /// The PDU.
    pub raw: Bytes,
    /// The media type of `raw`.
    pub media_type: &'static str,
    /// By what it is known again.
    pub redelivery: Redelivery,
    /// The citizen's number.
    pub from: String,
    /// The short number.
    pub to: String,
    /// When the citizen sent it, by the peer's word.
    pub occurred_at: Millis,
    /// When it reached us.
    pub received_at: Millis,
    /// After this time, counted from the first part, what came is delivered; milliseconds.
    pub keep: Millis,
    /// As `within` of [`super::Joining::Conversation`].
    pub within: Millis,
    /// As [`super::Contact::default_theme`].
    pub default_theme: Option<String>,
}

/// What became of a part. It is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartAccepted {
    /// Whether the part was there before.
    pub outcome: Outcome,
    /// The text, when it is whole.
    pub whole: Option<Accepted>,
    /// To be handed back by [`super::Intake::flushed`] when the response has left.
    pub delivery: DeliveryMark,
}
