//! What passes on one connection: counted, and kept masked for support.

use std::sync::Arc;

use bytes::Bytes;
use voxea_core::base::time;
use voxea_core::channel::{Capture, Meter};

use crate::capture;
use crate::frame::{Frame, HEADER};
use crate::pdu::command;

pub(super) struct Tap {
    meter: Meter,
    capture: Capture,
    bind: Arc<str>,
}

impl Tap {
    pub(super) fn new(meter: Meter, capture: Capture) -> Self {
        let bind = meter.status().name;
        Self { meter, capture, bind }
    }

    /// These came.
    pub(super) fn came(&self, frames: &[Frame]) {
        if frames.is_empty() {
            return;
        }
        let now = time::now();
        for frame in frames {
            self.capture.keep(now, false, &self.bind, capture::mask(frame.bytes()));
        }
        let messages = frames
            .iter()
            .filter(|frame| matches!(frame.id(), command::DELIVER_SM | command::DATA_SM));
        self.meter.passed(messages.count() as u64, 0, now);
    }

    /// These leave: whole PDUs, one behind the other, as our own machine wrote them.
    pub(super) fn leaves(&self, bytes: &Bytes) {
        let (now, mut texts, mut rest) = (time::now(), 0, &bytes[..]);
        while let Some((length, id)) = word(rest, 0).zip(word(rest, 4)) {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some((pdu, others)) = rest.split_at_checked(length.max(HEADER)) else {
                break;
            };
            self.capture.keep(now, true, &self.bind, capture::mask(pdu));
            texts += u64::from(id == command::SUBMIT_SM);
            rest = others;
        }
        self.meter.passed(0, texts, now);
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    word.try_into().ok().map(u32::from_be_bytes)
}
