//! What is sent by itself when a contact has come: the acknowledgement of the request that it opened, or the answer to a
//! command.

use voxea_rules::command::Command;

use crate::base::account::{Account, Channel};

/// Stands for the request's reference in the subject and text of an acknowledgement: the reference is given in the same
/// transaction.
pub const REFERENCE: &str = "{reference}";

/// An acknowledgement, written before its request exists. [`REFERENCE`] in subject and text becomes the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAcknowledgement {
    /// The account that sends it.
    pub account: Account,
    /// By which channel.
    pub channel: Channel,
    /// The town's address or number that the citizen sees.
    pub from: String,
    /// The citizen's address or number.
    pub recipient: String,
    /// Of a mail.
    pub subject: Option<String>,
    /// What it says.
    pub text: String,
    /// Its Message-ID, angle brackets included: the same on every try. The request's reply token comes before its `@`.
    pub message_id: Option<String>,
    /// The Message-ID that it answers.
    pub in_reply_to: Option<String>,
    /// Separated by spaces.
    pub references: Option<String>,
    /// At most so many of these an hour for the account; a sender gets at most six.
    pub per_hour: u32,
    /// The command that it answers, once within 24 hours and sender; `None` for an acknowledgement.
    pub answers: Option<Command>,
}
