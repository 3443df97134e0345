//! Questions that change nothing: what `voxea doctor` asks.

use std::time::Instant;

use super::{Keeper, Settings, Task};
use crate::auth::LoginError;
use crate::endpoint::Ask;
use crate::flow::Flow;
use crate::wire::Response;

/// Asks a peer without a keeper's memory.
#[derive(Debug)]
pub struct Inquiry(Keeper);

impl Inquiry {
    /// `secret` is random.
    #[must_use]
    pub fn new(settings: Settings, secret: [u8; 32], now: Instant) -> Self {
        Self(Keeper::new(settings, secret, now))
    }

    /// OPTIONS, or a REGISTER without Contact, which only asks who is registered (RFC 3261 §10.2.3).
    pub fn ask(&mut self, task: Task, flow: Flow) -> Ask {
        let mut ask = self.0.compose(task, flow);
        if task == Task::Register {
            ask.headers.retain(|(name, _)| !matches!(*name, "Contact" | "Expires"));
        }
        ask
    }

    /// Whether the same is to be asked again, with credentials this time.
    ///
    /// # Errors
    /// When what a 401 or 407 asks for cannot be given.
    pub fn again(&mut self, task: Task, response: &Response) -> Result<bool, LoginError> {
        if !matches!(response.status, 401 | 407) {
            return Ok(false);
        }
        self.0.proves(task, response)
    }
}
