//! One transaction of the intake.

use super::contact::{Accepted, IntakeError};
use super::marks::Waiting;
use super::part::PartAccepted;
use super::parts::WholeKey;
use super::prepare::{Prepared, PreparedPart};
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::store::Tx;

#[derive(Debug)]
pub(super) enum Item {
    Contact(Box<Prepared>),
    Part(Box<PreparedPart>),
    Expire(WholeKey, Millis),
}

impl Item {
    pub(super) fn account(&self) -> &str {
        match self {
            Self::Contact(contact) => &contact.account,
            Self::Part(part) => &part.account,
            Self::Expire(key, _) => &key.account,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Done {
    Contact(Accepted),
    Part(PartAccepted),
    Expired(bool),
}

#[derive(Debug)]
pub(super) struct Written {
    pub(super) done: Vec<std::result::Result<Done, IntakeError>>,
    pub(super) events: usize,
    pub(super) acknowledgements: usize,
}

pub(super) async fn write(_tx: &mut Tx, _items: &[Item], _marks: &Waiting) -> Result<Written> {
    Err(CoreError::Unavailable("not built yet".to_owned()))
}
