//! A mailbox as the supervisor sees it: a task that runs until something ends it, and a probe.

use std::sync::Arc;

use voxea_core::Core;
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Reporter;
use voxea_rules::moment::Zone;

use crate::config::Config;
use crate::connection::Connection;
use crate::folders::follow_all;
use crate::outgoing::{send, with_token};
use crate::submission::Sender;
use crate::take::Desk;

/// Follows the mailbox and sends what is due by its submission server, until it is stopped or the mailbox fails.
///
/// Ends with [`Exit::Retry`] when the connection is lost, [`Exit::Denied`] when the login is refused and [`Exit::Halt`] when
/// the certificate or the folder are. The submission server's failures end nothing.
pub async fn run(config: Arc<Config>, core: Core, reporter: Reporter, stop: Stop) -> Exit {
    reporter.connecting();
    let account = config.account();
    let epoch = match core.intake.register(&account).await {
        Ok(epoch) => epoch,
        Err(error) => return Exit::Retry(error.to_string()),
    };
    let zone = match Zone::named(&core.time_zone) {
        Ok(zone) => zone,
        Err(error) => return Exit::Halt(error.to_string()),
    };
    if let Some(sender) = config.sender() {
        core.outbox.register(sender);
    }
    let desk = |at: usize| Desk {
        config: &config,
        core: &core,
        account: account.clone(),
        epoch,
        zone: zone.clone(),
        folder: config.folders.get(at).map_or("INBOX", String::as_str),
        validity: 0,
    };
    let inner = stop.child();
    let followed = async {
        let exit = follow_all(desk, config.folders.len(), &reporter, &stop).await;
        // What is being sent is finished and settled before the task ends.
        inner.soft.cancel();
        exit
    };
    let sent = send(&config, &core, &account, &reporter, &inner);
    tokio::select! {
        (exit, ()) = async { tokio::join!(followed, sent) } => exit,
        () = stop.hard.cancelled() => Exit::Stopped,
    }
}

/// Tries the login, the folder and the submission server, and changes nothing.
///
/// # Errors
/// What failed and what to do about it.
pub async fn probe(config: &Config) -> Result<String, String> {
    let mut connection = Connection::open(config)
        .await
        .map_err(|trouble| format!("{}: {trouble}", config.server.authority()))?;
    let mut held = Vec::new();
    for folder in &config.folders {
        match connection.examine(folder).await {
            Ok(found) => held.push(format!("{folder} holds {} mails", found.mails)),
            Err(trouble) => {
                connection.close().await;
                return Err(format!("{}: {trouble}", config.server.authority()));
            }
        }
    }
    let idle = if connection.offers.idle {
        "IDLE"
    } else {
        "no IDLE, so it is polled"
    };
    connection.close().await;
    let mailbox = format!("{}: logged in, {}, {idle}", config.server.authority(), held.join(", "));
    let found = with_token(config).await.map_err(|trouble| format!("{mailbox}; but {trouble}"))?;
    let Some((submission, _)) = &found else {
        return Ok(format!("{mailbox}; no submission server, so nothing is sent"));
    };
    let server = submission.server.authority();
    Sender::probe(submission)
        .await
        .map_err(|words| format!("{mailbox}; but submission by {server}: {words}"))?;
    Ok(format!("{mailbox}; submission by {server} works"))
}
