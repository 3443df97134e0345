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
    RequestDeleted = "request.deleted",
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

impl EventKind {
    /// Whether it tells of a request, and not of a channel or a theme.
    #[must_use]
    pub const fn is_of_request(self) -> bool {
        !matches!(self, Self::ThemeChanged | Self::ChannelUp | Self::ChannelDown)
    }
}

/// An event that is about to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// The request's id; for channel events the account, `kind/name`, or a trunk of it, `sip/sip/pbx`; for theme events the code.
    pub subject: String,
    data: Row,
    /// The channel of its request, where the caller said it; the table of requests says it otherwise.
    pub(super) channel: Option<String>,
    /// Of which theme it is: with a channel its request's, without one the theme itself.
    pub(super) theme: Option<String>,
    /// The theme before, where that changed; empty for none.
    pub(super) theme_from: Option<String>,
}

impl NewEvent {
    /// An event of a request; `data.request_id` repeats its subject.
    #[must_use]
    pub fn of_request(kind: EventKind, request_id: &str) -> Self {
        Self::of(kind, request_id, row!({"request_id": request_id}))
    }

    /// An event of a channel account.
    #[must_use]
    pub fn of_account(kind: EventKind, account: &str) -> Self {
        Self::of(kind, account, row!({"account": account}))
    }

    /// An event of a theme.
    #[must_use]
    pub fn of_theme(kind: EventKind, code: &str) -> Self {
        Self {
            theme: Some(code.to_owned()),
            ..Self::of(kind, code, row!({"theme": code}))
        }
    }

    fn of(kind: EventKind, subject: &str, data: Row) -> Self {
        Self {
            kind,
            subject: subject.to_owned(),
            data,
            channel: None,
            theme: None,
            theme_from: None,
        }
    }

    /// Says of which channel and theme its request is. Needed where that is inserted by the statement that inserts the event,
    /// which cannot read it yet.
    #[must_use]
    pub fn of_new(mut self, channel: &str, theme: Option<&str>) -> Self {
        self.channel = Some(channel.to_owned());
        self.theme = theme.map(str::to_owned);
        self
    }

    /// Says that its request had another theme until now: whoever reads of that one alone learns by this event that it left.
    #[must_use]
    pub fn theme_was(mut self, before: Option<&str>) -> Self {
        self.theme_from = Some(before.unwrap_or_default().to_owned());
        self
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
