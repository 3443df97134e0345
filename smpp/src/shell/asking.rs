//! What is asked of the SMSC about texts that it has: to forget them, or what became of them.
//!
//! It takes places in the window and no token of the pace: nothing is sent to anybody. What is lost with a link the outbox
//! hands out again.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use voxea_core::outbox::{self, Ask, Outbound, Settlement};

use crate::content::{self, ReceiptState};
use crate::held::{Held, Question, Told};
use crate::pdu::{self, Address};
use crate::session::{Handle, Session};
use crate::status;

type Settlements = Vec<(String, Settlement)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Forget,
    State,
}

struct Asked {
    reply_id: String,
    message_id: String,
    about: About,
}

/// Questions on one link.
pub(super) struct Asking {
    number: Address,
    waiting: VecDeque<Asked>,
    under_way: HashMap<Handle, Asked>,
}

impl Asking {
    pub(super) fn new(number: Address) -> Self {
        Self {
            number,
            waiting: VecDeque::new(),
            under_way: HashMap::new(),
        }
    }

    /// Takes what is to be asked, and hands back what is to be sent.
    pub(super) fn take(&mut self, mut reply: Outbound) -> Option<Outbound> {
        let (ids, about) = match std::mem::take(&mut reply.ask) {
            Ask::Forget(ids) => (ids, About::Forget),
            Ask::Query(ids) => (ids, About::State),
            ask @ (Ask::Send | Ask::Replace { .. }) => {
                reply.ask = ask;
                return Some(reply);
            }
        };
        let asked = |message_id| Asked {
            reply_id: reply.reply_id.clone(),
            message_id,
            about,
        };
        self.waiting.extend(ids.into_iter().map(asked));
        None
    }

    /// Asks what the window has room for.
    pub(super) fn pump(&mut self, session: &mut Session, now: Instant, settlements: &mut Settlements) {
        while session.room() > 0
            && let Some(asked) = self.waiting.pop_front()
        {
            let held = Held {
                source: self.number.clone(),
                message_id: asked.message_id.clone(),
            };
            let question = match asked.about {
                About::Forget => Question::Forget(held),
                About::State => Question::State(held),
            };
            match session.ask(&question, now) {
                Ok(handle) => drop(self.under_way.insert(handle, asked)),
                Err(error) => settlements.push(unasked(asked, error.to_string())),
            }
        }
    }

    /// Nothing more is asked on this link.
    pub(super) fn give_up(&mut self) {
        // They come again.
        self.waiting.clear();
    }

    /// The SMSC answered, and not what became of a text; `None` when it was not asked here.
    pub(super) fn answered(&mut self, handle: Handle, code: u32, settlements: &mut Settlements) -> Option<&'static str> {
        let asked = self.under_way.remove(&handle)?;
        if asked.about == About::State {
            settlements.push((asked.reply_id, Settlement::Unsaid));
            return Some("queries_refused");
        }
        Some(self.forgot(asked.reply_id, code, settlements))
    }

    /// The SMSC said what became of a text; `None` when it was not asked here.
    pub(super) fn told(&mut self, handle: Handle, told: Told, settlements: &mut Settlements) -> Option<&'static str> {
        let asked = self.under_way.remove(&handle)?;
        if asked.about == About::Forget {
            // An answer to another question is none.
            return Some(self.forgot(asked.reply_id, pdu::status::INVALID_COMMAND, settlements));
        }
        let (state, word) = content::message_state(told.state).unwrap_or((ReceiptState::Unknown, ""));
        let (state, reason) = match state {
            ReceiptState::Delivered => (outbox::ReceiptState::Delivered, None),
            ReceiptState::Failed if told.error == 0 => (outbox::ReceiptState::Rejected, Some(word.to_owned())),
            ReceiptState::Failed => (outbox::ReceiptState::Rejected, Some(format!("{word} err {}", told.error))),
            ReceiptState::OnTheWay | ReceiptState::Unknown => {
                settlements.push((asked.reply_id, Settlement::Unsaid));
                return Some("queries_on_the_way");
            }
        };
        let heard = Settlement::Heard {
            native_id: asked.message_id,
            state,
            reason,
        };
        settlements.push((asked.reply_id, heard));
        Some("queries")
    }

    /// No answer came, or will come. What it was to forget the outbox asks again after a while; what became of a text is
    /// asked once.
    pub(super) fn unanswered(&mut self, handle: Handle, settlements: &mut Settlements) {
        if let Some(asked) = self.under_way.remove(&handle)
            && asked.about == About::State
        {
            settlements.push((asked.reply_id, Settlement::Unsaid));
        }
    }

    /// The SMSC has forgotten a message, or will not. Of several segments the last answer counts when all forget, and the
    /// first that does not otherwise.
    fn forgot(&mut self, reply_id: String, code: u32, settlements: &mut Settlements) -> &'static str {
        let same = |asked: &Asked| asked.about == About::Forget && asked.reply_id == reply_id;
        if code != pdu::status::OK {
            self.under_way.retain(|_, asked| !same(asked));
            self.waiting.retain(|asked| !same(asked));
            let reason = format!("it could not be taken back: {}", status::name(code));
            settlements.push((reply_id, Settlement::NotCancelled { reason }));
            return "texts_not_cancelled";
        }
        if !self.under_way.values().chain(&self.waiting).any(same) {
            settlements.push((reply_id, Settlement::Cancelled));
        }
        "texts_cancelled"
    }

    /// The question that waits longest for its answer.
    #[cfg(test)]
    pub(super) fn oldest(&self) -> Option<Handle> {
        self.under_way.keys().min().copied()
    }
}

/// Of what cannot be asked: an id that does not fit its field.
fn unasked(asked: Asked, reason: String) -> (String, Settlement) {
    let settlement = match asked.about {
        About::Forget => Settlement::NotCancelled { reason },
        About::State => Settlement::Unsaid,
    };
    (asked.reply_id, settlement)
}
