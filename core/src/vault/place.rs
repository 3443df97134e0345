//! What is sealed, and what is looked up by a blind index.

macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type { $(#[doc = concat!("`", $name, "`")] $variant,)* }

        impl $type {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, which is part of what is sealed or hashed: it never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

named! {
    /// A column of which every value is sealed, as `table.column`.
    Place {
        RequestSubject = "request.subject",
        RequestFromAddress = "request.from_address",
        RequestFromName = "request.from_name",
        RequestFields = "request.fields",
        InteractionNativeId = "interaction.native_id",
        InteractionFromAddress = "interaction.from_address",
        InteractionFromName = "interaction.from_name",
        InteractionToAddress = "interaction.to_address",
        InteractionSubject = "interaction.subject",
        InteractionText = "interaction.text",
        InteractionTextStripped = "interaction.text_stripped",
        InteractionRawSha256 = "interaction.raw_sha256",
        InteractionAuthenticity = "interaction.authenticity",
        RawSha256 = "raw.sha256",
        RawBody = "raw.body",
        AttachmentName = "attachment.name",
        AttachmentSha256 = "attachment.sha256",
        AttachmentContentId = "attachment.content_id",
        CallDialled = "call_detail.dialled",
        CallDivertedFrom = "call_detail.diverted_from",
        CallSignalling = "call_detail.signalling",
        RecordingKey = "recording.data_key",
        RecordingHold = "recording.hold_reason",
        PartDetail = "part.detail",
        PartRaw = "part.raw",
        ReplyRecipient = "reply.recipient",
        ReplySubject = "reply.subject",
        ReplyText = "reply.text",
        ReplyInReplyTo = "reply.in_reply_to",
        ReplyReferences = "reply.mail_references",
        ReplyReason = "reply.reason",
        ReceiptReason = "receipt_parked.reason",
        HistoryDetail = "history.detail",
        IdempotencyResponse = "idempotency.response",
        CitizenGivenName = "citizen.given_name",
        CitizenFamilyName = "citizen.family_name",
        CitizenOrganisation = "citizen.organisation",
        CitizenNeeds = "citizen.needs",
        CitizenNote = "citizen.note",
        CitizenChangeDetail = "citizen_change.detail",
        PointRaw = "contact_point.raw",
        PointNormalised = "contact_point.normalised",
        PointLabel = "contact_point.label",
        PointVerifiedHow = "contact_point.verified_how",
        OptOutAddress = "opt_out.address",
        OptOutHow = "opt_out.how",
        SecretValue = "secret.value",
        UndeliverableReason = "undeliverable.reason",
        WebhookUrl = "webhook.url",
        WebhookSecret = "webhook.secret",
        WebhookSecretOld = "webhook.secret_old",
        ExternalId = "external_reference.external_id",
        ExternalStatus = "external_reference.status",
    }
}

named! {
    /// What a blind index is of. The same text of two kinds has two indexes, so that tables cannot be joined by them.
    Index {
        Address = "address",
        Dedup = "dedup",
        MessageId = "message_id",
        Delivery = "delivery",
        LongText = "long_text",
        Sender = "sender",
        IdempotencyKey = "idempotency_key",
        IdempotencyBody = "idempotency_body",
        External = "external",
    }
}
