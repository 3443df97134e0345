//! Orders for recordings, as the driver obeys them.

use voxea_core::artefact::CallEnd;
use voxea_core::contact::{Done, Order, Wish};

use super::deposit::Stage;
use super::driver::Driver;

impl Driver {
    /// Does what is wanted. An order without an answer says that nobody here has the call.
    pub(super) fn ordered(&mut self, order: Order) {
        let found = self.calls.iter_mut().find(|(_, deposit)| deposit.recording == order.recording);
        let Some((&call, deposit)) = found else { return };
        let ended = deposit.end.is_some();
        match (order.wish, &mut deposit.stage) {
            (Wish::Pause | Wish::Resume, Stage::Talking(leg)) if !ended && deposit.wanted.begun => {
                let paused = order.wish == Wish::Pause;
                leg.pause(paused, order.at, order.answer);
                if paused {
                    self.orders.paused.insert(deposit.wanted.call_id.clone());
                } else {
                    self.orders.paused.remove(&deposit.wanted.call_id);
                }
            }
            (Wish::Stop, Stage::Talking(leg)) if !ended && deposit.wanted.begun => {
                leg.stop(order.at);
                deposit.wanted.stopped_by = Some(order.by);
                deposit.wanted.wait(order.answer);
                deposit.ends(CallEnd::Operator, order.at);
                self.hang_up(call, CallEnd::Operator);
            }
            (Wish::Discard, stage) => {
                if let Stage::Talking(leg) = stage {
                    leg.discard(order.at);
                }
                deposit.wanted.discarded = true;
                deposit.wanted.wait(order.answer);
                deposit.ends(CallEnd::Operator, order.at);
                self.hang_up(call, CallEnd::Operator);
            }
            (_, Stage::Over) => drop(order.answer.send(Done::Ending)),
            _ if ended => drop(order.answer.send(Done::Ending)),
            _ => drop(order.answer.send(Done::NotBegun)),
        }
    }
}
