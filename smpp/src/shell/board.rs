//! What the outside sees of an account: the sum of its binds.

use std::sync::{Mutex, PoisonError};

use voxea_core::channel::{Meter, Reporter, State};

/// The binds of one account, and who is told of them.
pub(super) struct Board {
    reporter: Reporter,
    /// Those that we make.
    slots: Vec<Meter>,
    /// Those that the SMSC makes.
    guests: Mutex<Vec<Meter>>,
    /// Where the SMSC connects to.
    listening: Option<String>,
}

impl Board {
    pub(super) fn new(reporter: Reporter, slots: Vec<Meter>, listening: Option<String>) -> Self {
        let board = Self {
            reporter,
            slots,
            guests: Mutex::default(),
            listening,
        };
        board.publish();
        board
    }

    /// A bind that the SMSC makes.
    pub(super) fn enter(&self, guest: Meter) {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner).push(guest);
        self.publish();
    }

    /// It is over.
    pub(super) fn leave(&self, name: &str) {
        let named = |guest: &Meter| &*guest.status().name == name;
        self.guests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|guest| !named(guest));
        self.publish();
    }

    fn all(&self) -> Vec<Meter> {
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        self.slots.iter().chain(guests.iter()).cloned().collect()
    }

    fn publish(&self) {
        self.reporter.binds(self.all());
    }

    /// After a bind came up or ended: the account works while one of them does, and says which do not. `false` when none
    /// does; nothing was said then.
    pub(super) fn refresh(&self) -> bool {
        let binds: Vec<_> = self.all().iter().map(Meter::status).collect();
        let up: Vec<_> = binds.iter().filter(|bind| bind.state == State::Up).collect();
        // Who is only called is there while nobody calls.
        if up.is_empty() && !(self.slots.is_empty() && self.listening.is_some()) {
            return false;
        }
        let addresses = up.iter().filter_map(|bind| bind.address.clone());
        self.reporter.up(self.listening.iter().cloned().chain(addresses).collect());
        let away: Vec<_> = binds
            .iter()
            .filter(|bind| matches!(bind.state, State::Retrying | State::Halted))
            .collect();
        let mut alarm = away.first().map(|first| {
            let error = first.last_error.as_deref().unwrap_or("it ended");
            format!("{} of {} binds are away; bind {}: {error}", away.len(), binds.len(), first.name)
        });
        if up.is_empty() {
            alarm = Some("the SMSC has not connected: nothing comes in or goes out".to_owned());
        }
        self.reporter.alarm(alarm.as_deref());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::base::account::{Account, Kind};
    use voxea_core::channel::Channels;

    #[test]
    fn an_account_works_while_one_bind_does() {
        let channels = Channels::default();
        let reporter = channels.register(Account::new(Kind::Smpp, "short-number"));
        let slots = vec![Meter::new("1", "transceiver", 64), Meter::new("2", "transceiver", 64)];
        let board = Board::new(reporter, slots.clone(), None);
        assert!(!board.refresh());
        slots[0].up("tcp:127.0.0.1:1");
        slots[1].failed("it closed the connection", None, false);
        assert!(board.refresh());
        let status = channels.list().remove(0);
        assert_eq!((status.state, status.addresses), (State::Up, vec!["tcp:127.0.0.1:1".to_owned()]));
        assert_eq!(
            status.alarm.as_deref(),
            Some("1 of 2 binds are away; bind 2: it closed the connection")
        );
        slots[1].up("tcp:127.0.0.1:2");
        assert!(board.refresh());
        let status = channels.list().remove(0);
        assert_eq!((status.addresses.len(), status.binds.len(), status.alarm), (2, 2, None));
        for slot in &slots {
            slot.failed("it closed the connection", None, false);
        }
        assert!(!board.refresh(), "what then is, its task says");
    }
}
