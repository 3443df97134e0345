//! From a delivery to a committed contact.

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use voxea_core::base::account::{Account, Channel};
use voxea_core::base::error::CoreError;
use voxea_core::base::time::{self, Millis};
use voxea_core::contact::{Coding, Contact, Dedup, DeliveryMark, Flag, Intake, IntakeError, Joining, Outcome, Part, Raw, Redelivery};
use voxea_core::outbox::{self, Outbox, ReceiptIn};
use voxea_rules::{phone, reference};

use crate::content::{self, Alphabet, Content, DefaultAlphabet, Ids, Receipt, ReceiptState, Text};
use crate::pdu::{self, Address, Delivery, Unreadable, status};
use crate::session::Handle;

/// The dialling plan by which national numbers are read.
const COUNTRY: &str = "FR";
const MEDIA_TYPE: &str = "application/vnd.voxea.smpp";
/// Bytes of a fingerprint: enough that no two texts of two days meet by chance, and a key that is half as long.
const FINGERPRINT: usize = 16;
/// A text joins the open conversation of its number for so long.
const CONVERSATION: Millis = 24 * 3600 * 1000;

/// What a link needs to take texts in.
pub(super) struct Entrance {
    pub(super) intake: Intake,
    pub(super) outbox: Outbox,
    pub(super) account: Account,
    pub(super) epoch: i64,
    /// Of this connection; never used again.
    pub(super) link: String,
    pub(super) alphabet: DefaultAlphabet,
    pub(super) receipt_ids: Ids,
    pub(super) redelivery_seconds: u32,
    pub(super) parts: Millis,
    pub(super) theme: Option<String>,
    /// What to answer while the store is away; `None`: nothing.
    pub(super) busy_status: Option<u32>,
}

/// What came.
pub(super) enum Came {
    Read(Delivery),
    Unread { raw: Bytes, unreadable: Unreadable },
}

/// What became of it.
pub(super) enum Taken {
    /// It is safe, or there was nothing to keep: answer with `status`.
    Safe {
        status: u32,
        mark: Option<DeliveryMark>,
        event: &'static str,
    },
    /// Nothing is safe; it may be tried again.
    Unavailable { came: Came, reason: String },
    /// The account is another node's now.
    Fenced,
}

/// A finished attempt.
pub(super) struct Done {
    pub(super) handle: Handle,
    pub(super) taken: Taken,
}

impl Entrance {
    /// Takes in what came, and returns when it is committed or failed.
    pub(super) async fn take(&self, handle: Handle, came: Came) -> Done {
        let taken = match &came {
            Came::Read(delivery) => match content::read(delivery, self.alphabet) {
                Content::Text(text) => self.text(delivery, text).await,
                // What is rarer is boxed apart, so that a text need not have room for it.
                Content::Receipt(receipt) => Box::pin(self.receipt(delivery, receipt)).await,
            },
            Came::Unread { raw, unreadable } => Box::pin(self.unread(raw, unreadable)).await,
        };
        let taken = taken.unwrap_or_else(|failure| match failure {
            IntakeError::Fenced => Taken::Fenced,
            IntakeError::Unavailable(reason) => Taken::Unavailable { came, reason },
            IntakeError::Invalid(_) => Taken::Safe {
                status: status::PERMANENT_REFUSAL,
                mark: None,
                event: "refused",
            },
        });
        Done { handle, taken }
    }

    async fn text(&self, delivery: &Delivery, text: Text) -> Result<Taken, IntakeError> {
        let redelivery = self.redelivery(fingerprint(delivery, &text));
        if text.part.is_some() {
            let part = self.part(delivery, text, redelivery);
            let accepted = Box::pin(self.intake.part(part)).await?;
            let event = if accepted.outcome == Outcome::Known {
                "parts_known"
            } else {
                "parts_in"
            };
            return Ok(Taken::Safe {
                status: status::OK,
                mark: Some(accepted.delivery),
                event,
            });
        }
        let accepted = self.intake.accept(self.contact(delivery, &text, redelivery)).await?;
        let event = if accepted.outcome == Outcome::Known {
            "texts_known"
        } else {
            "texts_in"
        };
        Ok(Taken::Safe {
            status: status::OK,
            mark: accepted.delivery,
            event,
        })
    }

    fn redelivery(&self, fingerprint: String) -> Redelivery {
        Redelivery {
            fingerprint,
            link: self.link.clone(),
            window_seconds: self.redelivery_seconds,
        }
    }

    fn contact(&self, delivery: &Delivery, text: &Text, redelivery: Redelivery) -> Contact {
        let from = phone::normalise_smpp(&delivery.source.number, delivery.source.ton, COUNTRY);
        let words = text.words();
        let mut flags = Vec::new();
        if words.undecodable {
            flags.push(Flag::Undecodable);
        }
        if from.is_withheld() {
            flags.push(Flag::Withheld);
        }
        let said = words.text.as_deref().unwrap_or_default();
        let joining = Joining::Conversation {
            within: CONVERSATION,
            reference: reference::find(said).map(|reference| reference.to_string()),
            keyword: false,
        };
        Contact {
            text: words.text,
            flags,
            raw: Some(Raw::Inline {
                media_type: MEDIA_TYPE,
                bytes: delivery.raw.clone(),
            }),
            joining,
            default_theme: self.theme.clone(),
            ..self.bare(from.into_string(), normal(&delivery.destination), redelivery)
        }
    }

    fn bare(&self, from: String, to: String, redelivery: Redelivery) -> Contact {
        let dedup = Dedup::Redelivery(redelivery);
        Contact::new(self.account.clone(), self.epoch, Channel::Sms, dedup, from, to, time::now())
    }

    fn part(&self, delivery: &Delivery, text: Text, redelivery: Redelivery) -> Part {
        let now = time::now();
        let part = text.part.unwrap_or(pdu::Part {
            reference: 0,
            total: 1,
            number: 1,
        });
        let (source, destination) = (&delivery.source.number, &delivery.destination.number);
        Part {
            account: self.account.clone(),
            epoch: self.epoch,
            whole: format!("{source}|{destination}|{}|{}", part.reference, part.total),
            number: part.number,
            total: part.total,
            coding: match text.alphabet {
                Alphabet::Gsm7 => Coding::Gsm7,
                Alphabet::Latin1 => Coding::Latin1,
                Alphabet::Ucs2 => Coding::Ucs2,
                Alphabet::Binary => Coding::Binary,
            },
            body: text.bytes,
            raw: delivery.raw.clone(),
            media_type: MEDIA_TYPE,
            redelivery,
            from: normal(&delivery.source),
            to: normal(&delivery.destination),
            occurred_at: now,
            received_at: now,
            keep: self.parts,
            within: CONVERSATION,
            default_theme: self.theme.clone(),
        }
    }

    /// What cannot be read is kept as it came, and the SMSC is told not to send it again.
    async fn unread(&self, raw: &Bytes, unreadable: &Unreadable) -> Result<Taken, IntakeError> {
        let mut event = "receipts_malformed";
        let mut mark = None;
        // A broken receipt is no citizen's.
        if !unreadable.esm_class.is_some_and(content::is_receipt) {
            let number = |address: &Option<Address>| address.as_ref().map(normal).unwrap_or_default();
            // Without its header: a repetition has another sequence number.
            let body = raw.get(crate::frame::HEADER..).unwrap_or_default();
            let redelivery = self.redelivery(hexadecimal([b"unread", body]));
            let contact = Contact {
                flags: vec![Flag::Undecodable, Flag::Quarantined],
                raw: Some(Raw::Inline {
                    media_type: MEDIA_TYPE,
                    bytes: raw.clone(),
                }),
                ..self.bare(number(&unreadable.source), number(&unreadable.destination), redelivery)
            };
            mark = self.intake.accept(contact).await?.delivery;
            event = "texts_malformed";
        }
        Ok(Taken::Safe {
            status: status::PERMANENT_REFUSAL,
            mark,
            event,
        })
    }

    async fn receipt(&self, delivery: &Delivery, receipt: Receipt) -> Result<Taken, IntakeError> {
        let state = match receipt.state {
            ReceiptState::Delivered => Some(outbox::ReceiptState::Delivered),
            ReceiptState::Failed => Some(outbox::ReceiptState::Rejected),
            ReceiptState::OnTheWay | ReceiptState::Unknown => None,
        };
        let event = match state {
            Some(state) if !receipt.ids.is_empty() => {
                let rejected = state == outbox::ReceiptState::Rejected;
                let reason = receipt.reason.filter(|_| rejected);
                let from = phone::normalise_smpp(&delivery.source.number, delivery.source.ton, COUNTRY);
                let receipt = ReceiptIn {
                    from: (!from.is_withheld()).then(|| from.into_string()),
                    ids: self.receipt_ids.of(&receipt.ids),
                    state,
                    reason,
                    at: time::now(),
                };
                self.outbox.receipt(&self.account, &receipt).await.map_err(|error| match error {
                    CoreError::Invalid { message, .. } => IntakeError::Invalid(message),
                    other => IntakeError::Unavailable(other.to_string()),
                })?;
                "receipts"
            }
            Some(_) => "receipts_nameless",
            None => "receipts_on_the_way",
        };
        Ok(Taken::Safe {
            status: status::OK,
            mark: None,
            event,
        })
    }
}

/// One spelling for a number, E.164 where it can be.
pub(super) fn normal(address: &Address) -> String {
    phone::normalise_smpp(&address.number, address.ton, COUNTRY).into_string()
}

/// Source, destination, header and body: equal for the same text sent twice and for its redelivery.
fn fingerprint(delivery: &Delivery, text: &Text) -> String {
    let part = text.part.map_or([0; 4], |part| {
        let [high, low] = part.reference.to_be_bytes();
        [high, low, part.total, part.number]
    });
    let (source, destination) = (delivery.source.number.as_bytes(), delivery.destination.number.as_bytes());
    hexadecimal([source, b"\0", destination, b"\0", &part, &text.header, b"\0", &text.bytes])
}

fn hexadecimal<const N: usize>(pieces: [&[u8]; N]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut context = Context::new(&SHA256);
    for piece in pieces {
        context.update(piece);
    }
    let mut text = String::with_capacity(2 * FINGERPRINT);
    for byte in context.finish().as_ref().iter().take(FINGERPRINT) {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
