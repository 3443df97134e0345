//! Which messages that go out by themselves a batch may send.

use std::collections::HashSet;

use voxea_rules::command::Command;

use super::acknowledgement::NewAcknowledgement;
use super::acknowledging::{Allowed, Breakers};
use super::join::Placement;
use super::ledger::Entry;
use crate::base::account::{Account, Channel};
use crate::base::error::Result;
use crate::citizen;
use crate::store::{Script, Tx};
use crate::vault::Vault;

/// What was decided.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// Whether each entry's message goes out.
    pub(super) allowed: Vec<bool>,
    /// Those that a limit of the hour held back: whose, and the name of the limit.
    pub(super) held: Vec<(Account, &'static str)>,
}

/// Decides of each entry: an acknowledgement goes to who opened a request, an answer to who asked, as far as the breakers
/// allow, which are added to the script. After a STOP nobody is texted an acknowledgement, until a START.
///
/// # Errors
/// The store's.
pub(super) async fn decide(
    tx: &mut Tx,
    entries: &[Entry<'_>],
    placements: &[Placement],
    vault: &Vault,
    script: &mut Script,
) -> Result<Allowance> {
    let wanted = |entry: &Entry<'_>, placement: &Placement| entry.prepared().contact.acknowledgement.is_some() && placement.opened;
    let wanted: Vec<bool> = entries.iter().zip(placements).map(|(entry, place)| wanted(entry, place)).collect();
    let mut allowance = Allowance {
        allowed: vec![false; entries.len()],
        held: Vec::new(),
    };
    if !wanted.contains(&true) {
        return Ok(allowance);
    }
    let chosen = || entries.iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(entry, _)| entry);
    let news: Vec<&NewAcknowledgement> = chosen()
        .filter_map(|entry| entry.prepared().contact.acknowledgement.as_ref())
        .collect();
    let mut breakers = Breakers::read(tx, &news, vault).await?;
    let texted = chosen().filter(|entry| texts_unasked(entry.prepared().contact.acknowledgement.as_ref()));
    let mut opted_out: HashSet<String> = citizen::opted_out(tx, texted.filter_map(|entry| entry.prepared().sender.as_deref())).await?;
    for (at, entry) in entries.iter().enumerate() {
        let contact = &entry.prepared().contact;
        let sender = entry.prepared().sender.as_ref();
        match (contact.command, sender) {
            (Some(Command::Stop), Some(sender)) => drop(opted_out.insert(sender.clone())),
            (Some(Command::Start), Some(sender)) => drop(opted_out.remove(sender)),
            _ => {}
        }
        let Some(new) = contact.acknowledgement.as_ref().filter(|_| wanted[at]) else {
            continue;
        };
        if texts_unasked(Some(new)) && sender.is_some_and(|sender| opted_out.contains(sender)) {
            continue;
        }
        match breakers.allow(new, contact.received_at) {
            Allowed::Yes => allowance.allowed[at] = true,
            Allowed::Held(limit) => allowance.held.push((contact.account.clone(), limit)),
            Allowed::Answered => (),
        }
    }
    breakers.write(script);
    Ok(allowance)
}

/// An acknowledgement by text.
fn texts_unasked(new: Option<&NewAcknowledgement>) -> bool {
    new.is_some_and(|new| new.channel == Channel::Sms && new.answers.is_none())
}
