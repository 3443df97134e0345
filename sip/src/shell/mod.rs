//! The endpoint's shell: sockets, the store and the media around the machine.

mod arrival;
mod commits;
mod connections;
mod deposit;
mod dial;
mod doors;
mod driver;
mod evidence;
mod handshake;
mod keeping;
mod keys;
mod net;
mod notices;
mod ordered;
mod orders;
mod outgoing;
mod paced;
mod probe;
mod quality;
mod records;
mod renewal;
mod repair;
mod said;
mod secret;
mod serve;
mod sound;
mod story;
mod streams;
mod tcp;
mod tls;
mod traced;
mod trunks;

use std::sync::Arc;

use voxea_core::Core;
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Reporter;

pub use self::doors::ports;
pub use self::probe::probe;
pub use self::renewal::renewals;

use self::driver::Driver;
use self::net::Net;
use self::secret::secret;
use self::sound::Sound;
use crate::config::Config;
use crate::endpoint::{self, Endpoint, Limits};
use crate::media::{MediaConfig, MediaEngine};

/// Media threads at most; one serves more than a thousand calls.
const MEDIA_THREADS: usize = 4;

/// Takes calls until it is told to stop. Never returns [`Exit::Halt`]: a taken port may become free.
pub async fn run(config: Arc<Config>, core: Core, reporter: Reporter, stop: Stop) -> Exit {
    reporter.connecting();
    let account = reporter.account().clone();
    let epoch = match core.intake.register(&account).await {
        Ok(epoch) => epoch,
        Err(error) => return Exit::Retry(format!("the account could not be entered: {error}")),
    };
    let orphans = match repair::repair(&core, &account).await {
        Ok(orphans) => orphans,
        Err(error) => return Exit::Retry(format!("what the last run left could not be repaired: {error}")),
    };
    let media_config = MediaConfig {
        bind: Sound::new(&config).any(),
        ports: config.media_ports.clone(),
        threads: std::thread::available_parallelism().map_or(1, usize::from).min(MEDIA_THREADS),
    };
    let (media, media_events) = match MediaEngine::start(&media_config) {
        Ok(started) => started,
        Err(error) => return Exit::Retry(format!("the media threads could not be started: {error}")),
    };
    let Some(secret) = secret() else {
        return Exit::Retry("the system gives no random bytes".to_owned());
    };
    let (net, arrivals) = match Net::open(&config, core.counters.clone(), account).await {
        Ok(opened) => opened,
        Err(error) => return Exit::Retry(error),
    };
    let limits = Limits {
        calls: media.capacity().min(Limits::default().calls),
        ..Limits::default()
    };
    let lines = config.lines.iter().map(|line| line.number.clone()).collect();
    let mut endpoint = Endpoint::new(endpoint::Config {
        secret,
        trunks: config.trunks.clone(),
        lines,
        limits,
    });
    endpoint.listens(net.listening.clone());
    for address in &net.addresses {
        tracing::info!(address, "sip listening");
    }
    reporter.up(net.addresses.clone());
    let driver = Driver::new(config, core, reporter, endpoint, net, media, epoch, orphans);
    driver.run(arrivals, media_events, stop).await
}
