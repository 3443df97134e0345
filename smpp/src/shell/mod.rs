//! The connection to an SMSC, and the way between it and the core.

mod account;
mod asking;
mod board;
mod connect;
mod door;
mod inbound;
mod link;
mod outbound;
mod place;
mod postbox;
mod serving;
mod tap;
mod wire;

use std::sync::Arc;
use std::time::Instant;

use voxea_core::Core;
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Reporter;

use crate::config::Config;
use crate::session::{Event, Output, Session};
use account::Keeper;
use connect::{CONNECT, connect};
use door::Door;
use place::Account;
use wire::{Moved, Wire};

/// Makes the account's binds and serves until none is left. Beginning anew is the supervisor's then.
pub async fn run(config: Arc<Config>, core: Core, reporter: Reporter, stop: Stop) -> Exit {
    if let Some(sender) = config.sender() {
        core.outbox.register(sender);
        core.outbox.set_texting(&config.account(), config.sending.texting);
    }
    let stopped = stop.clone();
    let opened = tokio::select! {
        opened = open(&config, &core) => opened,
        () = stopped.soft.cancelled() => return Exit::Stopped,
    };
    let door = match opened {
        Ok(door) => door,
        Err(reason) => return Exit::Retry(reason),
    };
    let turn = Arc::default();
    let account = Account {
        config,
        core,
        reporter,
        stop,
        turn,
    };
    Keeper::new(account, door).run().await
}

async fn open(config: &Config, core: &Core) -> Result<Option<Door>, String> {
    // No other task serves this account: what its predecessor left leased is of unknown fate.
    let taken = core.outbox.take_over(&config.account()).await;
    taken.map_err(|error| format!("the store is away: {error}"))?;
    match &config.outbind {
        None => Ok(None),
        Some(outbind) => match Door::open(outbind).await {
            Ok(door) => Ok(Some(door)),
            Err(error) => Err(format!("outbind_listen {}: {error}", outbind.listen)),
        },
    }
}

/// Binds and unbinds, for `voxea doctor`. `Ok` says what was found, `Err` what failed and what to do.
///
/// # Errors
/// A sentence for the operator.
pub async fn probe(config: &Config) -> Result<String, String> {
    let Some((_, bind)) = config.slots().into_iter().next() else {
        return Ok("the SMSC connects to us; nothing to be tried".to_owned());
    };
    let stream = connect(config)
        .await
        .map_err(|error| format!("{error}; check address and firewall"))?;
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
                    let by = if config.tls.is_some() { " by TLS" } else { "" };
                    return Ok(format!(
                        "bound to {}:{}{by} as {} and unbound",
                        config.host, config.port, config.system_id
                    ));
                }
                Output::Event(Event::Ended(end)) => {
                    return Err(match link::exit_of(end) {
                        Exit::Retry(reason) | Exit::Halt(reason) => reason,
                        Exit::Stopped => "it ended".to_owned(),
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
                Moved::Read(_) | Moved::Wrote(Err(_)) => session.handle_lost(),
            },
            () = tokio::time::sleep_until(until.into()) => session.handle_timeout(Instant::now()),
        }
    }
}
