//! A contact, as a channel hands it over.

use bytes::Bytes;
use serde_json::Value;
use voxea_rules::command::Command;

use super::acknowledgement::NewAcknowledgement;
use super::redelivery::Redelivery;
use crate::artefact::StoredBlob;
use crate::base::account::{Account, Channel};
use crate::base::actor::Actor;
use crate::base::time::Millis;
use crate::request::NewExternal;
use crate::vault::DataKey;

/// The largest artefact that is kept in its row, in bytes; a larger one goes to the blob store first.
pub const RAW_INLINE_BYTES: usize = 256 * 1024;

/// One contact of a citizen. Make it with [`Contact::new`] and set what is known beyond that.
///
/// Texts may hold anything: NUL is taken out, over-long addresses and ids are cut, nothing is refused for its content.
#[derive(Debug, Clone)]
pub struct Contact {
    /// The account that took it in.
    pub account: Account,
    /// The epoch that [`super::Intake::register`] gave for the account.
    pub epoch: i64,
    /// Who brings it in, when it is not the account itself: an agent at the counter, through the API.
    pub actor: Option<Actor>,
    /// The channel that the citizen used.
    pub channel: Channel,
    /// By what it would be known again.
    pub dedup: Dedup,
    /// The peer's own id: Message-ID, Call-ID.
    pub native_id: Option<String>,
    /// The citizen's number (E.164 where it can be) or address; empty when it was withheld.
    pub from: String,
    /// The citizen's name, as they gave it.
    pub from_name: Option<String>,
    /// The number or address that was reached.
    pub to: String,
    /// Of a mail or form.
    pub subject: Option<String>,
    /// The full text, with LF.
    pub text: Option<String>,
    /// The text without what it quotes.
    pub text_stripped: Option<String>,
    /// When the citizen acted, by the peer's word: milliseconds UTC.
    pub occurred_at: Millis,
    /// When it reached us: milliseconds UTC. The rules of redelivery and of joining count from here.
    pub received_at: Millis,
    /// What there is to say of it.
    pub flags: Vec<Flag>,
    /// What the town's own mail server found out about the sender, as the channel words it: a JSON object.
    pub authenticity: Option<String>,
    /// The artefact as it came.
    pub raw: Option<Raw>,
    /// Files that came with it, each in the blob store already.
    pub attachments: Vec<NewAttachment>,
    /// Of a call.
    pub call: Option<NewCall>,
    /// Of a call that will be recorded.
    pub recording: Option<NewRecording>,
    /// Whether it may belong to a request that is there.
    pub joining: Joining,
    /// Its own Message-IDs, angle brackets included: remembered, so that answers to it find its request.
    pub message_ids: Vec<String>,
    /// Sent only when the contact opened a request, and the breakers allow it.
    pub acknowledgement: Option<NewAcknowledgement>,
    /// What the text asks of the machine, and nothing else: it opens a request that is closed at once. The intake reads it
    /// where [`super::AutomaticTexts`] answer commands.
    pub command: Option<Command>,
    /// Somebody must say what it is about: the request that it opens is `to_qualify`.
    pub to_qualify: bool,
    /// The theme's code, when somebody chose one.
    pub theme: Option<String>,
    /// What a form asked by the theme's schema, which the caller has held it against: a JSON object.
    pub fields: Option<String>,
    /// By what another system knows the request that it opens; its dedup key is [`crate::request::ExternalId::dedup_key`].
    pub external: Option<NewExternal>,
    /// The theme that the account has for what names none.
    pub default_theme: Option<String>,
}

impl Contact {
    /// A contact of which no more is known than this; `occurred_at` is `received_at`, and it opens a request.
    #[must_use]
    pub fn new(account: Account, epoch: i64, channel: Channel, dedup: Dedup, from: String, to: String, received_at: Millis) -> Self {
        Self {
            account,
            epoch,
            actor: None,
            channel,
            dedup,
            native_id: None,
            from,
            from_name: None,
            to,
            subject: None,
            text: None,
            text_stripped: None,
            occurred_at: received_at,
            received_at,
            flags: Vec::new(),
            authenticity: None,
            raw: None,
            attachments: Vec::new(),
            call: None,
            recording: None,
            joining: Joining::New,
            message_ids: Vec::new(),
            acknowledgement: None,
            command: None,
            to_qualify: false,
            theme: None,
            fields: None,
            external: None,
            default_theme: None,
        }
    }
}

/// By what a contact is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dedup {
    /// It can only be new: an agent noted it, under an Idempotency-Key of its own.
    Never,
    /// One key, unique within the account.
    Key(String),
    /// Several keys: one that is known makes the contact known. All are remembered.
    Keys(Vec<String>),
    /// A text, by the rule of redelivery.
    Redelivery(Redelivery),
}

/// Whether a contact may belong to a request that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joining {
    /// It opens its own.
    New,
    /// A text: the open request of the reference, when it is the same citizen's; or that of the same number and account which
    /// waits for an answer to a question at most 72 h old; or the latest one, when its last contact is at most `within` old
    /// and neither that contact nor this one has a keyword.
    Conversation {
        /// Milliseconds.
        within: Millis,
        /// A reference with a sound check digit that stands in the text.
        reference: Option<String>,
        /// Whether it stands apart; a first word that names a theme sets it.
        keyword: bool,
    },
    /// A document that shows references in codes: the first that leads to an open request decides, else the first one as an
    /// answer would: whoever sent it, since the paper on which the code stands went to that citizen.
    Document {
        /// References with a sound check digit, in the order in which they stand.
        references: Vec<String>,
    },
    /// A mail: the request of its twin, else of the first that is proved, known or named below and takes it in. One that was
    /// closed at most 30 days ago is reopened by it; one that was closed earlier, or ended otherwise, is linked to the one that it
    /// opens. What is automatic brings nothing back.
    Thread {
        /// Reply tokens that it bears. From the intake on: the ids of the requests that they prove.
        proofs: Vec<String>,
        /// In-Reply-To, then References from the last to the first: the first that is known decides. Unknown ones are
        /// remembered for those who take part in the request.
        message_ids: Vec<String>,
        /// A reference with a sound check digit in the subject. It counts for who takes part in that request: who opened it, who
        /// wrote to it before, and whoever has an address of its citizen. For others it is a mention.
        reference: Option<String>,
        /// By what a copy of it in another mailbox of ours is found: both are kept, on one request, whatever became of that.
        twins: Twins,
    },
}

/// By what the same mail in two of our mailboxes is known; at most four of each kind are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Twins {
    /// Under which it is found.
    pub kept: Vec<String>,
    /// Which it looks for, the surest first. Where less is known of one copy than of the other, each keeps keys that it does not
    /// look for itself.
    pub sought: Vec<String>,
}

impl Twins {
    /// Known by one key alone.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self {
            kept: vec![key.to_owned()],
            sought: vec![key.to_owned()],
        }
    }
}

macro_rules! flags {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// What there is to say of an interaction.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Flag { $(#[doc = $doc] $variant,)* }

        impl Flag {
            /// Every flag.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that the API and the database use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

flags! {
    Undecodable = "undecodable", "Some of its text could not be read; the raw artefact has it all.";
    Partial = "partial", "Parts of a long text never came.";
    Redelivered = "redelivered", "The peer delivered it more than once.";
    Oversize = "oversize", "Too large to be taken in whole.";
    Truncated = "truncated", "Its text or its list of attachments was cut; the raw artefact has it all.";
    Automatic = "automatic", "A machine wrote it (RFC 3834).";
    List = "list", "It came through a mailing list (RFC 2919).";
    Spam = "spam", "The town's own mail server holds it for spam.";
    Signed = "signed", "It is signed (S/MIME, OpenPGP); nobody has verified it.";
    Encrypted = "encrypted", "It is encrypted (S/MIME, OpenPGP), and was not opened.";
    Invitation = "invitation", "It has an invitation to an appointment, which its text sums up.";
    Tnef = "tnef", "Outlook packed it into a `winmail.dat`, which is among its attachments.";
    Quarantined = "quarantined", "It could not be processed; only the raw artefact is sound.";
    Withheld = "withheld", "The citizen withheld their number.";
    Mention = "mention", "Its subject has the reference of a request, and nothing shows that its sender has to do with that.";
    Unsearched = "unsearched", "A document that came with it could not be searched for the code of a reference, or not to its end.";
    Command = "command", "It is STOP, CONTACT or AIDE and nothing else, and was answered by the machine.";
}

/// The artefact as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// Kept in a row; at most [`RAW_INLINE_BYTES`].
    Inline {
        /// `message/rfc822`, `message/sip`, `application/vnd.voxea.smpp`.
        media_type: &'static str,
        /// All of it.
        bytes: Bytes,
    },
    /// In the blob store already.
    Stored {
        /// As above.
        media_type: &'static str,
        /// Where.
        blob: StoredBlob,
    },
}

/// A file that came with a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttachment {
    /// Cleaned: no path, no control characters.
    pub name: String,
    /// What the sender called it, or what it was seen to be.
    pub media_type: String,
    /// Its content, in the blob store already.
    pub blob: StoredBlob,
    /// It belongs into the text, as an image of a mail's HTML does.
    pub inline: bool,
    /// By which the HTML of its mail names it (RFC 2392), without angle brackets.
    pub content_id: Option<String>,
}

/// What is particular to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCall {
    /// The user part of the Request-URI.
    pub dialled: String,
    /// User parts, the first diversion first (RFC 5806, RFC 7044).
    pub diverted_from: Vec<String>,
    /// What the header fields of the call said, as the channel words it: an object of at most 16 KiB, else it is left out.
    pub signalling: Option<Value>,
}

/// A recording that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecording {
    /// UUIDv7, given by the caller because the file bears it.
    pub id: String,
    /// Below the blob folder.
    pub path: String,
    /// `pcma` or `pcmu`.
    pub codec: String,
    /// Samples a second.
    pub rate: u32,
    /// The key of its file, when files are encrypted.
    pub key: Option<DataKey>,
    /// It is kept so many days after its request is closed.
    pub keep_days: u32,
}

/// Whether a contact was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not.
    Fresh,
    /// It was; nothing was added.
    Known,
}

/// What became of a contact. It is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its interaction, the first one when it is known.
    pub interaction_id: String,
    /// The request it opened or joined.
    pub request_id: String,
    /// That request's reference, for people.
    pub reference: String,
    /// Whether it was there before.
    pub outcome: Outcome,
    /// Of a text: to be handed back by [`super::Intake::flushed`] when the response has left.
    pub delivery: Option<super::DeliveryMark>,
}

/// Why a contact was not taken in. Nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// Another node has taken the account over; stop serving it.
    #[error("the account is fenced: another node has taken it over")]
    Fenced,
    /// The store cannot be reached, is full, or died in the commit. Do not acknowledge; the peer's repetition is harmless.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It will never be taken in as it is.
    #[error("{0}")]
    Invalid(String),
}
