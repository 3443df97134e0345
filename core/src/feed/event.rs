//! What can happen, and what an event says of it: ids, channel, status and version, never personal data.

use crate::base::account::Channel;
use crate::store::{Row, ToField, row};

macro_rules! kinds {
    ($($variant:ident = $name:literal,)*) => {
        /// The type of an event, without its prefix `fr.voxea.`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum EventKind { $(#[doc = concat!("`fr.voxea.", $name, "`")] $variant,)* }

        impl EventKind {
            /// Every type that this build can emit.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The type without its prefix.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    RequestCreated = "request.created",
    RequestUpdated = "request.updated",
    RequestStatusChanged = "request.status_changed",
    RequestMerged = "request.merged",
    RequestSplit = "request.split",
    InteractionReceived = "interaction.received",
    InteractionSent = "interaction.sent",
    InteractionDelivery = "interaction.delivery",
    RecordingAvailable = "recording.available",
    RecordingFailed = "recording.failed",
    RecordingPurged = "recording.purged",
    ReplyQueued = "reply.queued",
    ReplySettled = "reply.settled",
    ThemeChanged = "theme.changed",
    ChannelUp = "channel.up",
    ChannelDown = "channel.down",
}

/// An event that is about to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// The request's id; for channel events the account, `kind/name`, or a trunk of it, `sip/sip/pbx`; for theme events the code.
    pub subject: String,
    data: Row,
}

impl NewEvent {
    /// An event of a request; `data.request_id` repeats its subject.
    #[must_use]
    pub fn of_request(kind: EventKind, request_id: &str) -> Self {
        Self {
            kind,
            subject: request_id.to_owned(),
            data: row!({"request_id": request_id}),
        }
    }

    /// An event of a channel account.
    #[must_use]
    pub fn of_account(kind: EventKind, account: &str) -> Self {
        Self {
            kind,
            subject: account.to_owned(),
            data: row!({"account": account}),
        }
    }

    /// An event of a theme.
    #[must_use]
    pub fn of_theme(kind: EventKind, code: &str) -> Self {
        Self {
            kind,
            subject: code.to_owned(),
            data: row!({"theme": code}),
        }
    }

    /// Adds a member. Ids, names of states and numbers only: whatever a citizen wrote stays out of the feed.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl ToField) -> Self {
        self.data = self.data.with(member, &value);
        self
    }

    /// Adds the channel.
    #[must_use]
    pub fn channel(self, channel: Channel) -> Self {
        self.with("channel", channel.as_str())
    }

    pub(super) fn data(&self) -> String {
        self.data.object()
    }
}
