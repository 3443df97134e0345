//! Trying the binds of an account, for `voxea doctor`.

use std::time::Instant;

use futures_util::future::join_all;
use voxea_core::base::exit::Exit;

use super::certificate;
use super::connect::{CONNECT, connect};
use super::link::exit_of;
use super::wire::{Moved, Wire};
use crate::config::Config;
use crate::pdu::Bind;
use crate::session::{Event, Output, Session};

/// Makes every bind of an account, as the daemon would, and ends them. `Ok` says what was found, `Err` what failed and what to do.
///
/// # Errors
/// A sentence for the operator.
pub async fn probe(config: &Config) -> Result<String, String> {
    let slots = config.slots();
    if slots.is_empty() {
        return Ok("the SMSC connects to us; nothing to be tried".to_owned());
    }
    // All at once: an operator that allows fewer than are configured refuses the last one.
    let tried = join_all(slots.iter().map(|(_, bind)| one(config, *bind))).await;
    let mut failed: Vec<(&str, &String)> = Vec::new();
    for ((name, _), found) in slots.iter().zip(&tried) {
        if let Err(words) = found {
            failed.push((name.as_str(), words));
        }
    }
    let by = if config.tls.is_some() { " by TLS" } else { "" };
    let peer = format!("{}:{}{by} as {}", config.host, config.port, config.system_id);
    match &failed[..] {
        [] if slots.len() == 1 => Ok(format!("bound to {peer} and unbound")),
        [] => Ok(format!("bound to {peer} and unbound: {} binds", slots.len())),
        [(_, first), rest @ ..] if failed.len() == slots.len() && rest.iter().all(|(_, words)| words == first) => Err((*first).clone()),
        _ => {
            let words: Vec<String> = failed.iter().map(|(name, words)| format!("bind {name}: {words}")).collect();
            let made = slots.len() - failed.len();
            Err(format!("{}; {made} of {} binds to {peer} were made", words.join("; "), slots.len()))
        }
    }
}

async fn one(config: &Config, bind: Bind) -> Result<(), String> {
    let stream = match connect(config).await {
        Ok(stream) => stream,
        Err(Exit::Retry(error)) => {
            let remedy = match config.tls {
                Some(_) => "check address and firewall, and for the certificate ca_file and tls_name",
                None => "check address and firewall",
            };
            return Err(format!("{error}; {remedy}"));
        }
        Err(exit) => return Err(words(exit)),
    };
    let mut wire = Wire::new(stream);
    let mut session = Session::new(config.settings(bind), Instant::now()).map_err(|error| error.to_string())?;
    let mut bound = false;
    loop {
        let deadline = loop {
            match session.poll_output() {
                Output::Event(Event::Bound) => {
                    bound = true;
                    session.close(Instant::now());
                }
                Output::Event(Event::Ended(_)) if bound => {
                    let _ = tokio::time::timeout(CONNECT, wire.flush()).await;
                    return Ok(());
                }
                Output::Event(Event::Ended(end)) => {
                    let said = words(exit_of(end));
                    return Err(match remedy(&said, config) {
                        Some(remedy) => format!("{said}; {remedy}"),
                        None => said,
                    });
                }
                // Whatever is delivered in between stays unanswered, and with the SMSC.
                Output::Event(_) => {}
                Output::Transmit(bytes) => wire.queue(&bytes),
                Output::Timeout(deadline) => break deadline,
            }
        };
        let until = deadline.unwrap_or_else(|| Instant::now() + CONNECT);
        tokio::select! {
            moved = wire.moves(true) => match moved {
                Moved::Wrote(Ok(count)) => drop(wire.wrote(count)),
                Moved::Read(Ok(count)) if count > 0 => drop(session.handle_input(wire.inbox(count), Instant::now())),
                Moved::Read(Err(error)) | Moved::Wrote(Err(error)) => match certificate::refused(&error, config.tls.as_ref()) {
                    Some(words) => return Err(words),
                    None => session.handle_lost(),
                },
                Moved::Read(Ok(_)) => session.handle_lost(),
            },
            () = tokio::time::sleep_until(until.into()) => session.handle_timeout(Instant::now()),
        }
    }
}

/// What to do about an end of which the SMSC says little.
fn remedy(said: &str, config: &Config) -> Option<&'static str> {
    if said.contains("ESME_RALYBND") {
        return Some("a running daemon holds the bind, or the operator allows fewer of them: ask it how many");
    }
    let silent = said.contains("does not answer") || said.contains("closed the connection");
    (silent && config.tls.is_none())
        .then_some("ask the operator whether the port is one for TLS (security = \"tls\"), and whether it knows this address")
}

fn words(exit: Exit) -> String {
    match exit {
        Exit::Retry(reason) | Exit::Halt(reason) | Exit::Denied(reason) => reason,
        Exit::Stopped => "it ended".to_owned(),
    }
}
