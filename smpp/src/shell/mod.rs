//! The connection to an SMSC, and the way between it and the core.

mod inbound;
mod link;
mod outbound;
mod postbox;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use voxea_core::Core;
use voxea_core::base::exit::Exit;
use voxea_core::base::id;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Reporter;

use crate::config::Config;
use crate::session::{Event, Output, Session};
use inbound::Entrance;
use link::Link;
use wire::{Moved, Wire};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Binds once and serves until the bind ends. Reconnecting is the supervisor's.
pub async fn run(config: Arc<Config>, core: Core, reporter: Reporter, stop: Stop) -> Exit {
    if let Some(sender) = config.sender() {
        core.outbox.register(sender);
        core.outbox.set_texting(&config.account(), config.sending.texting);
    }
    let stopped = stop.clone();
    let opened = tokio::select! {
        opened = open(&config, core, reporter, stop) => opened,
        () = stopped.soft.cancelled() => return Exit::Stopped,
    };
    match opened {
        Ok(link) => link.run().await,
        Err(exit) => exit,
    }
}

async fn open(config: &Config, core: Core, reporter: Reporter, stop: Stop) -> Result<Link, Exit> {
    let account = config.account();
    let store = |error: voxea_core::base::error::CoreError| Exit::Retry(format!("the store is away: {error}"));
    let epoch = core.intake.register(&account).await.map_err(store)?;
    // No other task serves this account: what its predecessor left leased is of unknown fate.
    core.outbox.take_over(&account).await.map_err(store)?;
    let stream = connect(config).await.map_err(Exit::Retry)?;
    let entrance = Entrance {
        intake: core.intake.clone(),
        outbox: core.outbox.clone(),
        account,
        epoch,
        link: id::new(),
        alphabet: config.default_alphabet,
        receipt_ids: config.sending.receipt_ids,
        redelivery_seconds: config.redelivery_seconds,
        parts: i64::try_from(config.parts.as_millis()).unwrap_or(i64::MAX),
        theme: config.theme.clone(),
        busy_status: config.busy_status,
    };
    Link::new(config, core, reporter, stop, stream, entrance).map_err(|error| Exit::Halt(error.to_string()))
}

async fn connect(config: &Config) -> Result<TcpStream, String> {
    let (host, port) = (config.host.as_str(), config.port);
    let connecting = tokio::time::timeout(CONNECT, TcpStream::connect((host, port)));
    let stream = match connecting.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("{host}:{port} cannot be reached: {error}")),
        Err(_) => return Err(format!("{host}:{port} does not answer within {} s", CONNECT.as_secs())),
    };
    // Responses are gathered here; the kernel must not wait for more.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Binds and unbinds, for `voxea doctor`. `Ok` says what was found, `Err` what failed and what to do.
///
/// # Errors
/// A sentence for the operator.
pub async fn probe(config: &Config) -> Result<String, String> {
    let stream = connect(config)
        .await
        .map_err(|error| format!("{error}; check address and firewall"))?;
    let mut wire = Wire::new(stream);
    let mut session = Session::new(config.settings(), Instant::now()).map_err(|error| error.to_string())?;
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
                    return Ok(format!(
                        "bound to {}:{} as {} and unbound",
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
