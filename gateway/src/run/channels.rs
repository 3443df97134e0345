//! Which channels the configuration asks for, and how each is run and probed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use voxea_core::Core;
use voxea_core::base::account::{Account, Kind};

use super::supervisor::Start;
use crate::config::Config;

/// The one SIP endpoint's name.
const SIP: &str = "sip";

/// Every configured channel, the longest wait between its tries where it has one of its own, and what runs it.
pub(crate) fn starts(config: &Config, core: &Core) -> Vec<(Account, Option<Duration>, Start)> {
    let mut starts: Vec<(Account, Option<Duration>, Start)> = Vec::new();
    if let Some(sip) = config.sip.clone() {
        let core = core.clone();
        let start: Start = Arc::new(move |reporter, stop| Box::pin(voxea_sip::run(Arc::clone(&sip), core.clone(), reporter, stop)));
        starts.push((Account::new(Kind::Sip, SIP), None, start));
    }
    // Before the first text comes, and all of them: no account answers another one of ours.
    for (account, texts) in &config.texts {
        core.intake.answer_texts(account, texts.clone());
    }
    for (name, smpp) in &config.smpp {
        // Before the API takes replies, so that none is refused for want of a sender.
        if let Some(sender) = smpp.sender() {
            core.outbox.register(sender);
            core.outbox.set_texting(&smpp.account(), smpp.sending.texting);
        }
        let (smpp, core, longest) = (Arc::clone(smpp), core.clone(), smpp.reconnect);
        let start: Start = Arc::new(move |reporter, stop| Box::pin(voxea_smpp::run(Arc::clone(&smpp), core.clone(), reporter, stop)));
        starts.push((Account::new(Kind::Smpp, name), Some(longest), start));
    }
    for (name, mailbox) in &config.mailboxes {
        if let Some(sender) = mailbox.sender() {
            core.outbox.register(sender);
        }
        let (mailbox, core) = (Arc::clone(mailbox), core.clone());
        let start: Start = Arc::new(move |reporter, stop| Box::pin(voxea_imap::run(Arc::clone(&mailbox), core.clone(), reporter, stop)));
        starts.push((Account::new(Kind::Mailbox, name), None, start));
    }
    for (name, folder) in &config.scans {
        let (folder, core) = (Arc::clone(folder), core.clone());
        let start: Start =
            Arc::new(move |reporter, stop| Box::pin(voxea_imap::scan::run(Arc::clone(&folder), core.clone(), reporter, stop)));
        starts.push((Account::new(Kind::Scan, name), None, start));
    }
    starts
}

/// What was found, or what failed and what to do about it.
pub(crate) type Probe = BoxFuture<'static, Result<String, String>>;

/// Every configured channel and what tries it.
pub(crate) fn probes(config: &Config) -> Vec<(Account, Probe)> {
    let mut probes: Vec<(Account, Probe)> = Vec::new();
    if let Some(sip) = config.sip.clone() {
        probes.push((Account::new(Kind::Sip, SIP), Box::pin(async move { voxea_sip::probe(&sip).await })));
    }
    for (name, smpp) in config.smpp.iter().cloned() {
        probes.push((
            Account::new(Kind::Smpp, name),
            Box::pin(async move { voxea_smpp::probe(&smpp).await }),
        ));
    }
    for (name, mailbox) in config.mailboxes.iter().cloned() {
        probes.push((
            Account::new(Kind::Mailbox, name),
            Box::pin(async move { voxea_imap::probe(&mailbox).await }),
        ));
    }
    for (name, folder) in config.scans.iter().cloned() {
        probes.push((
            Account::new(Kind::Scan, name),
            Box::pin(async move { voxea_imap::scan::probe(&folder).await }),
        ));
    }
    probes
}
