//! What the user of the endpoint decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::invite::success;
use super::{Call, Endpoint, Event, Timer};
use crate::call::{CallHandle, EndedBy, Established, Phase, Then};
use crate::dialog::Dialog;
use crate::interval;
use crate::sdp::{self, Local};
use crate::srtp::Security;
use crate::wire::build::Reply;

/// The call is no longer there: its caller gave up, or it was decided on before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call is gone")]
pub struct Gone;

impl Endpoint {
    /// Answers an offered call with 200. `media` is our RTP socket as the peer reaches it.
    /// To be called only after the call was committed.
    ///
    /// # Errors
    /// [`Gone`] when the caller gave up meanwhile.
    pub fn accept(&mut self, call: CallHandle, media: SocketAddr, now: Instant) -> Result<(), Gone> {
        self.establish(call, media, Then::Answer, now)
    }

    /// Lets the caller of an offered call hear something before it is answered, which is not paid for: a reliable 183
    /// (RFC 3262), for a call that is `reliable`. [`Event::Early`] says that sound may flow; then
    /// [`hangup`](Self::hangup) refuses the call.
    ///
    /// # Errors
    /// [`Gone`] when the caller gave up meanwhile.
    pub fn announce(&mut self, call: CallHandle, media: SocketAddr, now: Instant) -> Result<(), Gone> {
        self.establish(call, media, Then::Ask, now)
    }

    fn establish(&mut self, call: CallHandle, media: SocketAddr, then: Then, now: Instant) -> Result<(), Gone> {
        let (session, secret) = (self.ids.number() >> 1, self.ids.secret());
        let Some(Call::Offered { transaction, offered }) = self.calls.get(&call) else {
            return Err(Gone);
        };
        let local = Local {
            address: media,
            session,
            version: 1,
            security: Security::new(self.sound_of(offered.trunk, offered.source), secret),
        };
        let transaction = *transaction;
        let Some(server) = self.servers.get(&transaction) else {
            return Err(Gone);
        };
        let (tag, flow) = (server.tag.clone(), server.flow);
        let (text, agreed) = match offered.offer.as_ref().map(|offer| sdp::answer(offer, &local, None)) {
            None => (sdp::offer(&local), None),
            Some(Ok(answer)) => (answer.sdp, Some(answer.media)),
            // It was acceptable when the INVITE came, and nothing of it depends on our address.
            Some(Err(sdp::NotAcceptable)) => return Err(Gone),
        };
        let Some(Call::Offered { offered, .. }) = self.calls.remove(&call) else {
            return Err(Gone);
        };
        self.timers.cancel(Timer::Trying(call));
        let session_id = format!("{:016x}{:016x}", self.ids.number(), self.ids.number());
        let listening = Arc::clone(&self.listening);
        let dialog = Dialog::called(&offered.invite, &tag, offered.source, session_id, listening);
        let reply = dialog.identified(Reply::to(200, &offered.invite.headers, &offered.invite.via, &tag));
        self.dialogs.insert(dialog.key(), call);
        let established = Established {
            dialog,
            trunk: offered.trunk,
            local,
            media: agreed,
            pending: None,
            answered: false,
            phase: Phase::Talking,
            session: None,
            updates: interval::updates(&offered.invite.headers),
            early: None,
            sdp: text.clone(),
            asking: false,
        };
        self.calls.insert(call, Call::Established(Box::new(established)));
        if then == Then::Ask || offered.invite.requires("100rel") {
            self.progress(call, transaction, *offered, flow, text, then, now);
            return Ok(());
        }
        self.offered.remove(&transaction);
        let reply = success(reply, &offered.invite, Some(flow), offered.session).with_sdp(text);
        self.answer(transaction, call, reply, offered.invite.cseq, agreed.is_none(), now);
        self.keep(call, offered.session, now);
        Ok(())
    }

    /// Refuses an offered call. `retry_after` in seconds, for 503.
    ///
    /// # Errors
    /// [`Gone`] when the caller gave up meanwhile, or the call was answered.
    pub fn reject(&mut self, call: CallHandle, status: u16, retry_after: Option<u32>, now: Instant) -> Result<(), Gone> {
        if !matches!(self.calls.get(&call), Some(Call::Offered { .. })) {
            return Err(Gone);
        }
        self.refuse(call, status, retry_after, now);
        Ok(())
    }

    /// Ends a call with our BYE, or with 480 when it is not answered yet. While our 200 is not confirmed,
    /// the BYE waits for the ACK (RFC 3261 §15). [`Event::Ended`] says when it is sent.
    ///
    /// # Errors
    /// [`Gone`] when it is over already.
    pub fn hangup(&mut self, call: CallHandle, now: Instant) -> Result<(), Gone> {
        match self.calls.get_mut(&call) {
            None => Err(Gone),
            Some(Call::Offered { .. }) => {
                self.refuse(call, 480, None, now);
                Ok(())
            }
            Some(Call::Established(established)) => {
                if established.early.is_some() {
                    self.refuse(call, 480, None, now);
                    self.event(Event::Cancelled { call });
                    return Ok(());
                }
                match established.phase {
                    Phase::Over => return Err(Gone),
                    _ if !established.answered => established.phase = Phase::Leaving,
                    _ => self.leave(call, EndedBy::Us, now),
                }
                Ok(())
            }
        }
    }
}
