//! `voxea doctor`: our own ports. Whether they can be had, or whether SIP answers there already.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::connections::is_response;
use super::sound::Sound;
use super::{net, tcp};
use crate::config::{Config, Listen};
use crate::flow::Transport;

/// Whoever listens on this machine answers sooner.
const PATIENCE: Duration = Duration::from_secs(1);

/// Says of each address of `listen` and of the media ports whether a daemon can have them, or has. `running`: whether a daemon
/// of ours runs, where its other doors tell. Nothing is kept, and no peer is asked.
///
/// # Errors
/// What failed and what to do, what is well besides.
pub async fn ports(config: &Config, running: Option<bool>) -> Result<String, String> {
    let (mut found, mut well) = (Vec::new(), true);
    for listen in &config.listen {
        let words = door(listen, running).await.unwrap_or_else(|words| {
            well = false;
            words
        });
        found.push(format!("{}:{} {words}", listen.transport, listen.address));
    }
    found.push(sound(config, running).await.unwrap_or_else(|words| {
        well = false;
        words
    }));
    let found = found.join("; ");
    if well { Ok(found) } else { Err(found) }
}

async fn door(listen: &Listen, running: Option<bool>) -> Result<String, String> {
    let bound = match listen.transport {
        Transport::Udp => net::bind_udp(listen.address).map(drop),
        Transport::Tcp | Transport::Tls => tcp::bind(listen.address).map(drop),
    };
    match bound {
        Ok(()) if listen.address.port() == 0 => Ok("is chosen at the start".to_owned()),
        Ok(()) if running == Some(true) => {
            Ok("is free, though a daemon runs: start it anew when the configuration is newer; else its log says why".to_owned())
        }
        Ok(()) => Ok("is free".to_owned()),
        Err(error) if error.kind() == ErrorKind::AddrInUse && running == Some(false) => Err(
            "is in use by another program, since no daemon of ours runs: end it (`ss -lntup` names it), or choose another port in listen"
                .to_owned(),
        ),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if answers(listen).await {
                Ok("is served by a running daemon".to_owned())
            } else {
                Err("is in use, and no SIP answers there: `ss -lntup` names the program that has it".to_owned())
            }
        }
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrNotAvailable => {
            "is no address of this machine: name one of those that `ip address` shows, or 0.0.0.0 or [::] for all".to_owned()
        }
        ErrorKind::PermissionDenied => "is not for this user: take a port from 1024 up, or run the doctor as the daemon's user".to_owned(),
        _ => format!("cannot be had: {error}"),
    }
}

/// Whether SIP answers, be it a 403 to a stranger. A stream tells by taking a connection.
async fn answers(listen: &Listen) -> bool {
    let mut there = listen.address;
    if there.ip().is_unspecified() {
        let here: IpAddr = if there.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        };
        there.set_ip(here);
    }
    let asked = async {
        if listen.transport.is_reliable() {
            return TcpStream::connect(there).await.is_ok();
        }
        ask(there).await.unwrap_or(false)
    };
    timeout(PATIENCE, asked).await.unwrap_or(false)
}

async fn ask(there: SocketAddr) -> io::Result<bool> {
    let socket = UdpSocket::bind((there.ip(), 0)).await?;
    socket.connect(there).await?;
    let here = socket.local_addr()?;
    let mark = super::secret::secret().unwrap_or_default();
    let mark: String = mark.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let request = format!(
        "OPTIONS sip:{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{mark};rport\r\nMax-Forwards: 0\r\nFrom: <sip:{here}>;tag={mark}\r\n\
         To: <sip:{there}>\r\nCall-ID: {mark}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send(request.as_bytes()).await?;
    let mut buffer = [0; 2_048];
    let length = socket.recv(&mut buffer).await?;
    Ok(buffer.get(..length).is_some_and(is_response))
}

/// How many calls could have their sound now.
async fn sound(config: &Config, running: Option<bool>) -> Result<String, String> {
    let (places, range) = (Sound::new(config).all(), config.media_ports.clone());
    let (first, last) = (*range.start(), *range.end());
    let counted = tokio::task::spawn_blocking(move || {
        let free = |port: u16| places.iter().all(|ip| std::net::UdpSocket::bind((*ip, port)).is_ok());
        // An even one for RTP, and the next for RTCP.
        let pairs = (first.saturating_add(first % 2)..last).step_by(2);
        pairs.fold((0_u32, 0_u32), |(had, all), port| {
            let both = free(port) && free(port.saturating_add(1));
            (had + u32::from(both), all + 1)
        })
    });
    let (had, all) = counted.await.map_err(|error| format!("media ports could not be tried: {error}"))?;
    let range = format!("media ports {first}-{last}");
    match (had, running) {
        (0, _) => Err(format!(
            "{range}: none of {all} pairs is free: every call would be refused; end what has them (`ss -lnup`), or choose another range: media_ports"
        )),
        (had, _) if had == all => Ok(format!("{range}: all {all} pairs are free")),
        (had, Some(true) | None) => Ok(format!(
            "{range}: {had} of {all} pairs are free, the others have calls or other programs"
        )),
        (had, Some(false)) => Ok(format!(
            "{range}: {had} of {all} pairs are free, and other programs have the rest: {had} calls fit at once"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use voxea_core::base::settings::{Problems, Section, parse};

    fn config(listen: &str, media_ports: &str) -> Config {
        let text = format!("[sip]\nlisten = [{listen}]\nmedia_ports = \"{media_ports}\"\n[[sip.line]]\nnumber = \"*\"\n");
        let (node, problems) = (parse(&text).unwrap(), Problems::new());
        Config::read(&mut Section::root(&node, Path::new("/nowhere"), &problems).sub("sip").unwrap())
    }

    #[tokio::test]
    async fn what_is_free_is_told_apart_from_what_others_have() {
        let free = config("\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"", "27900-27903");
        let words = ports(&free, Some(false)).await.unwrap();
        assert!(words.contains("udp:127.0.0.1:0 is chosen at the start"), "{words}");
        assert!(words.contains("media ports 27900-27903: all 2 pairs are free"), "{words}");

        let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = stranger.local_addr().unwrap();
        let _sound = [27_904_u16, 27_907].map(|port| std::net::UdpSocket::bind(("127.0.0.1", port)).unwrap());
        let held = config(&format!("\"udp:{taken}\""), "27904-27907");
        let words = ports(&held, Some(false)).await.unwrap_err();
        assert!(words.contains(&format!("udp:{taken} is in use by another program")), "{words}");
        assert!(words.contains("none of 2 pairs is free"), "{words}");
        // A daemon runs, but it is not that which has the port.
        let words = ports(&held, Some(true)).await.unwrap_err();
        assert!(words.contains("no SIP answers there"), "{words}");
        // Not of this machine (RFC 5737).
        let words = ports(&config("\"tcp:192.0.2.77:5060\"", "27908-27911"), None).await.unwrap_err();
        assert!(words.contains("tcp:192.0.2.77:5060 is no address of this machine"), "{words}");
    }
}
