//! One connection of an account, from its making to its end.

use std::sync::Arc;

use voxea_core::base::exit::Exit;
use voxea_core::base::id;

use super::connect::{self, Stream};
use super::inbound::Entrance;
use super::link::Link;
use super::place::{Account, Place};

/// Serves one connection: makes it, unless it is `given`, binds, and returns when it is over.
pub(super) async fn serve(account: Arc<Account>, place: Place, given: Option<Stream>) -> Exit {
    let opened = tokio::select! {
        opened = open(&account, place, given) => opened,
        () = account.stop.soft.cancelled() => return Exit::Stopped,
    };
    match opened {
        Ok(link) => link.run().await,
        Err(exit) => exit,
    }
}

async fn open(account: &Account, place: Place, given: Option<Stream>) -> Result<Link, Exit> {
    let (config, core, name) = (&account.config, &account.core, account.config.account());
    let store = |error: voxea_core::base::error::CoreError| Exit::Retry(format!("the store is away: {error}"));
    let epoch = core.intake.register(&name).await.map_err(store)?;
    // What the bind of this name left leased is of unknown fate; what the account's other binds hold is theirs.
    core.outbox.take_over_from(&name, &place.name).await.map_err(store)?;
    let stream = match given {
        Some(stream) => stream,
        None => connect::connect(config).await?,
    };
    let entrance = Entrance {
        intake: core.intake.clone(),
        outbox: core.outbox.clone(),
        account: name,
        epoch,
        link: id::new(),
        alphabet: config.default_alphabet,
        receipt_ids: config.sending.receipt_ids,
        redelivery_seconds: config.redelivery_seconds,
        parts: i64::try_from(config.parts.as_millis()).unwrap_or(i64::MAX),
        theme: config.theme.clone(),
        busy_status: config.busy_status,
    };
    Link::new(account, place, stream, entrance).map_err(|error| Exit::Halt(error.to_string()))
}
