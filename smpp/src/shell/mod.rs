//! The connection to an SMSC, and the way between it and the core.

mod account;
mod asking;
mod board;
mod certificate;
mod connect;
mod door;
mod inbound;
mod link;
mod outbound;
mod place;
mod postbox;
mod serving;
mod tap;
mod trying;
mod wire;

use std::sync::Arc;

use voxea_core::Core;
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Reporter;

use crate::config::Config;
use account::Keeper;
use door::Door;
use place::Account;
pub use trying::probe;

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
