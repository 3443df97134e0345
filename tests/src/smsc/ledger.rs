//! What the peer was told we have: the oracle of every loss test.

use std::collections::VecDeque;

use super::pdu::{Message, Replace, Submit};

/// Where a message of the SMSC stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It waits to be delivered, or to be delivered again.
    Queued,
    /// It was delivered; no answer came, or none was heard.
    Delivered,
    /// It was answered with status 0: the SMSC forgets it.
    Acknowledged,
    /// It was answered with this status, or with a generic_nack: the SMSC forgets it too.
    Refused(u32),
}

/// One message of the SMSC.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The bytes of its deliver_sm body, or of a whole PDU when `raw`.
    pub(super) bytes: Vec<u8>,
    pub(super) raw: bool,
    /// Where it stands.
    pub fate: Fate,
    /// How often it was delivered.
    pub deliveries: u32,
    /// How often an answer came, heard or not.
    pub answers: u32,
}

/// What to answer a submit_sm or a replace_sm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Taken.
    Take,
    /// Refused with this command_status.
    Refuse(u32),
    /// No answer at all.
    Silence,
}

/// What follows a submit_sm that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipts {
    /// Nothing.
    None,
    /// `DELIVRD`, after the response.
    Delivered,
    /// `DELIVRD`, before the response.
    Early,
    /// `UNDELIV`, after the response.
    Failed,
}

/// PDUs as one side wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wired {
    /// Whether the SMSC wrote them; else the ESME.
    pub ours: bool,
    /// The bind that they were seen on, by its number.
    pub link: u32,
    /// One PDU of the ESME, or as many as the SMSC wrote at once.
    pub bytes: Vec<u8>,
}

/// Everything that happened.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Every message, by the number that [`super::Smsc::send`] gave.
    pub entries: Vec<Entry>,
    /// Every submit_sm.
    pub submits: Vec<Submit>,
    /// The id of every cancel_sm.
    pub cancels: Vec<String>,
    /// Every replace_sm.
    pub replaces: Vec<Replace>,
    /// The id of every query_sm.
    pub queries: Vec<String>,
    /// How many binds were accepted.
    pub binds: u32,
    /// Whether one is up now.
    pub bound: bool,
    /// How many unbinds came.
    pub unbinds: u32,
    /// How many enquire_links were answered.
    pub enquiries: u32,
    /// Every PDU that is none of the above: command_id, command_status, sequence_number.
    pub others: Vec<[u32; 3]>,
    /// Acknowledged and refused messages, counted.
    pub settled: usize,
    /// How many responses were lost on purpose, by dropping and by cutting.
    pub lost: (usize, usize),
    /// Every PDU in its order, while [`super::Manner::tap`] is on.
    pub wire: Vec<Wired>,
    pub(super) queue: VecDeque<usize>,
    pub(super) answers: VecDeque<Answer>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            submits: Vec::new(),
            cancels: Vec::new(),
            replaces: Vec::new(),
            queries: Vec::new(),
            binds: 0,
            bound: false,
            unbinds: 0,
            enquiries: 0,
            others: Vec::new(),
            settled: 0,
            lost: (0, 0),
            wire: Vec::new(),
            queue: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    pub(super) fn add(&mut self, bytes: Vec<u8>, raw: bool) -> usize {
        let number = self.entries.len();
        self.entries.push(Entry {
            bytes,
            raw,
            fate: Fate::Queued,
            deliveries: 0,
            answers: 0,
        });
        self.queue.push_back(number);
        number
    }

    pub(super) fn receipt(&mut self, submit: &Submit, state: &str) {
        let message = Message {
            to: submit.source.2.clone(),
            ..Message::receipt(&submit.destination.2, &submit.ids.1, state)
        };
        self.add(message.encoded(), false);
    }

    pub(super) fn settle(&mut self, number: usize, status: u32) {
        if let Some(entry) = self.entries.get_mut(number) {
            entry.fate = if status == 0 { Fate::Acknowledged } else { Fate::Refused(status) };
            self.settled += 1;
        }
    }

    /// Everything without an answer is to be delivered again, in its order and before all that waits.
    pub(super) fn requeue(&mut self, open: impl Iterator<Item = usize>) {
        let mut open: Vec<usize> = open.collect();
        open.sort_unstable();
        for number in open.into_iter().rev() {
            if let Some(entry) = self.entries.get_mut(number) {
                entry.fate = Fate::Queued;
                self.queue.push_front(number);
            }
        }
    }

    /// Whether every message was answered and heard.
    #[must_use]
    pub fn all_settled(&self) -> bool {
        self.settled == self.entries.len()
    }

    /// The numbers of the messages that we were told are safe.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<usize> {
        let safe = |(number, entry): (usize, &Entry)| (entry.fate == Fate::Acknowledged).then_some(number);
        self.entries.iter().enumerate().filter_map(safe).collect()
    }
}
