//! A trunk that is asked for its password, and a kill between the commit of its call and our 200: what it says again after
//! the restart carries credentials that this process never asked for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::Message;
use voxea_tests::sip::digest::{Account, field};
use voxea_tests::sip::stream::Caller;
use voxea_tests::voicemail;

const PATIENCE: Duration = Duration::from_secs(20);
const T1: Duration = Duration::from_millis(500);

/// A daemon at this port, which a restart keeps.
async fn daemon(port: u16) -> Result<Scratch> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:{port}\"]\nmedia_ports = \"26850-26859\"\n[[sip.trunk]]\nname = \"pbx\"\n\
         allow = [\"127.0.0.0/8\"]\nuser = \"voix\"\npassword = \"s3cret\"\n{}",
        voicemail::line("")
    );
    Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await
}

/// A caller's socket.
struct Phone(UdpSocket);

impl Phone {
    async fn send(&self, text: &str) -> Result<()> {
        self.0.send(text.as_bytes()).await?;
        Ok(())
    }

    /// Says it, again after T1, until a final response comes (RFC 3261 §17.1.1.2).
    async fn asks(&self, text: &str, method: &str) -> Result<Message> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.send(text).await?;
            let mut buffer = vec![0; 65_535];
            while let Ok(Ok(length)) = timeout(T1, self.0.recv(&mut buffer)).await {
                let message = Message::parse(&buffer[..length]).context("no message")?;
                if message.status >= 200 && message.method() == method {
                    return Ok(message);
                }
            }
        }
        bail!("no answer to {method}")
    }
}

/// The INVITE with what answers a challenge.
fn proved(caller: &mut Caller, challenge: &Message, target: &str) -> Result<String> {
    ensure!(challenge.status == 401, "{}", challenge.start);
    let offers = challenge.headers.iter().filter(|(name, _)| name == "WWW-Authenticate");
    let mut offers = offers.map(|(_, value)| value.as_str());
    let offer = offers.find(|offer| field(offer, "algorithm").as_deref() == Some("SHA-256"));
    let credentials = Account::new("voix", "s3cret").answer(offer.context("no SHA-256")?, "INVITE", target, "00000001");
    Ok(caller
        .invite()
        .replace("Content-Type:", &format!("Authorization: {credentials}\r\nContent-Type:")))
}

/// Waits until the daemon has died of itself.
async fn dead(running: Running) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while running.rest().call("GET", "/livez", None).await.is_ok() {
        ensure!(Instant::now() < deadline, "it lives:\n{}", running.log());
        sleep(Duration::from_millis(20)).await;
    }
    running.kill().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_proved_before_a_crash_is_answered_after_it_and_is_one_request() -> Result<()> {
    let port = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?.port();
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    let mut scratch = daemon(port).await?;
    scratch
        .environment
        .push(("VOXEA_FAILPOINT".to_owned(), "sip.after_commit=1".to_owned()));
    let running = scratch.run().await?;
    running.up("sip").await?;

    let phone = Phone(UdpSocket::bind("127.0.0.1:0").await?);
    phone.0.connect(server).await?;
    let local = phone.0.local_addr()?;
    let rtp = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?;
    let target = format!("sip:3000@{server}");
    let mut caller = Caller::new("UDP", local, &target, &format!("sip:pbx@{local}"), rtp);
    let challenge = phone.asks(&caller.invite(), "INVITE").await?;
    let invite = proved(&mut caller, &challenge, &target)?;
    phone.send(&invite).await?;
    // The call is in the database, and no 200 left.
    dead(running).await?;

    scratch.environment.clear();
    let running = scratch.run().await?;
    running.up("sip").await?;
    let stale = phone.asks(&invite, "INVITE").await?;
    let fresh = stale.header("WWW-Authenticate").context("no challenge")?;
    ensure!(
        stale.status == 401 && field(fresh, "stale").as_deref() == Some("true"),
        "a nonce of before the crash is old, and the password right: {stale:?}"
    );
    let again = proved(&mut caller, &stale, &target)?;
    let ok = phone.asks(&again, "INVITE").await?;
    caller.answered(&ok)?;
    phone.send(&caller.say("ACK")).await?;
    ensure!(phone.asks(&caller.say("BYE"), "BYE").await?.status == 200);

    let request = voicemail::only(&running).await?;
    let shown = voicemail::interaction(&running, &request).await?;
    ensure!(shown["call"]["end"] == "caller", "{shown}");
    ensure!(!shown["call"]["answered_at"].is_null(), "{shown}");
    let log = running.log();
    ensure!(!log.contains("s3cret"), "{log}");
    running.stop().await
}
