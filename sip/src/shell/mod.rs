//! The endpoint's shell: sockets, the store and the media around the machine.

mod arrival;
mod deposit;
mod driver;
mod keys;
mod net;
mod records;
mod repair;
mod said;
mod story;
mod tcp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::net::UdpSocket;
use voxea_core::Core;
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Reporter;

use self::driver::Driver;
use self::net::Net;
use crate::config::Config;
use crate::endpoint::{self, Endpoint, Event, Limits, Output};
use crate::flow::{Flow, Transport};
use crate::media::{MediaConfig, MediaEngine};

/// How long a peer may take to answer `voxea doctor`.
const PROBE: Duration = Duration::from_secs(4);

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
        bind: media_address(&config),
        ports: config.media_ports.clone(),
        threads: 2,
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
    let endpoint = Endpoint::new(endpoint::Config {
        secret,
        trunks: config.trunks.clone(),
        lines,
        limits,
    });
    let menus = config.lines.iter().filter(|line| line.menu.is_some());
    if menus.count() > 0 && said::themes(&core.catalogue.current()).is_empty() {
        tracing::warn!("a line has a menu, but no theme of the catalogue has a digit yet: callers will not hear it");
    }
    for address in &net.addresses {
        tracing::info!(address, "sip listening");
    }
    reporter.up(net.addresses.clone());
    let driver = Driver::new(config, core, reporter, endpoint, net, media, epoch, orphans);
    driver.run(arrivals, media_events, stop).await
}

/// Asks every trunk that has an address with OPTIONS.
///
/// # Errors
/// What failed and what to do.
pub async fn probe(config: &Config) -> Result<String, String> {
    if config.peers.is_empty() {
        return Ok("no trunk has an address: nothing to ask".to_owned());
    }
    let mut found = Vec::new();
    for (name, address) in &config.peers {
        let asked = ask(address).await;
        let status = asked.map_err(|problem| format!("trunk {name} at {address}: {problem}"))?;
        found.push(format!("trunk {name} at {address} answers OPTIONS with {status}"));
    }
    Ok(found.join("; "))
}

async fn ask(address: &str) -> Result<u16, String> {
    let with_port = if address.parse::<IpAddr>().is_ok() || !address.contains(':') {
        format!("{address}:5060")
    } else {
        address.to_owned()
    };
    let with_port = address
        .parse::<Ipv6Addr>()
        .map_or(with_port, |ip| SocketAddr::from((ip, 5060)).to_string());
    let mut resolved = tokio::net::lookup_host(&with_port)
        .await
        .map_err(|error| format!("its name is not known: {error}"))?;
    let remote = resolved.next().ok_or("its name has no address")?;
    let ours = arrival::route(remote.ip()).map_err(|error| format!("there is no route to it: {error}"))?;
    let socket = UdpSocket::bind((ours, 0)).await.map_err(|error| error.to_string())?;
    let local = socket.local_addr().map_err(|error| error.to_string())?;
    let secret = secret().ok_or("the system gives no random bytes")?;
    let mut machine = Endpoint::new(endpoint::Config {
        secret,
        trunks: Vec::new(),
        lines: Vec::new(),
        limits: Limits::default(),
    });
    let flow = Flow {
        remote,
        local,
        transport: Transport::Udp,
    };
    machine.probe(flow, Instant::now());
    let give_up = tokio::time::Instant::now() + PROBE;
    let mut buffer = vec![0; 65_535];
    loop {
        let due = loop {
            match machine.poll_output() {
                Output::Transmit { flow, bytes } => {
                    socket.send_to(&bytes, flow.remote).await.map_err(|error| error.to_string())?;
                }
                Output::Event(Event::Probed { status: Some(status), .. }) => return Ok(status),
                Output::Event(_) => {}
                Output::Timeout(due) => break due,
            }
        };
        let due = due.map_or(give_up, |due| give_up.min(tokio::time::Instant::from_std(due)));
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                let (length, remote) = received.map_err(|error| format!("nobody listens there: {error}"))?;
                let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                machine.handle_input(bytes, Flow { remote, ..flow }, Instant::now());
            }
            () = tokio::time::sleep_until(due) => {
                if tokio::time::Instant::now() >= give_up {
                    return Err(format!("no answer to OPTIONS within {} s; is it switched on, and does it know this address?", PROBE.as_secs()));
                }
                machine.handle_timeout(Instant::now());
            }
        }
    }
}

/// Sound comes in where calls come in; everywhere, when calls come in on several addresses.
fn media_address(config: &Config) -> IpAddr {
    let mut addresses = config.listen.iter().map(|listen| listen.address.ip());
    let first = addresses.next().unwrap_or(Ipv4Addr::LOCALHOST.into());
    if addresses.all(|other| other == first) {
        return first;
    }
    if config.listen.iter().all(|listen| listen.address.is_ipv4()) {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    }
}

fn secret() -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    SystemRandom::new().fill(&mut secret).ok()?;
    Some(secret)
}
