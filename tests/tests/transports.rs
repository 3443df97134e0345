//! Transports, by peers who know bytes: TLS both ways, connections that are gone, sides that end early, IPv6.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use voxea_tests::authority::Authority;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::stream::{Caller, Stream};
use voxea_tests::sip::{Answer, Call, Impairment, Invite, Message, options};
use voxea_tests::voicemail::{self, heard, interaction, lag, speech};

const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon with this `[sip]`, trunk and line; `{}` in it is the folder of the certificates.
async fn daemon(folder: &Path, sip: &str, trunk: &str, line: &str) -> Result<(Scratch, Running)> {
    let channels = format!("[sip]\n{sip}\n[[sip.trunk]]\nname = \"pbx\"\n{trunk}\n{}", voicemail::line(line));
    let channels = channels.replace("{}", &folder.to_string_lossy());
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    Ok((scratch, running))
}

async fn address(running: &Running, transport: &str) -> Result<SocketAddr> {
    let addresses = running.up("sip").await?;
    let mut found = addresses.iter().filter_map(|address| address.strip_prefix(transport));
    Ok(found.next().with_context(|| format!("no {transport} in {addresses:?}"))?.parse()?)
}

fn certificates() -> Result<(tempfile::TempDir, Authority)> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    authority.issue("voxea", "127.0.0.1")?;
    authority.issue("pbx", "127.0.0.1")?;
    Ok((folder, authority))
}

const TLS: &str = "tls = { certificate = \"{}/voxea.pem\", key_file = \"{}/voxea.key\"";
/// The stories here speak in clear, also over TLS.
const HERE: &str = "allow = [\"127.0.0.0/8\"]\nsrtp = \"optional\"";

/// INVITE, 200, ACK; the 200.
async fn call<S: AsyncRead + AsyncWrite + Unpin>(peer: &mut Stream<S>, caller: &mut Caller) -> Result<Message> {
    peer.send(&caller.invite()).await?;
    let ok = peer.response("INVITE").await?;
    caller.answered(&ok)?;
    peer.send(&caller.say("ACK")).await?;
    Ok(ok)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_tls_by_who_has_a_certificate() -> Result<()> {
    let (folder, authority) = certificates()?;
    let sip = format!(
        "listen = [\"tls:127.0.0.1:0\", \"udp:127.0.0.1:0\"]\nmedia_ports = \"26000-26099\"\n{TLS}, client_ca = \"{{}}/ca.pem\", client_required = true }}"
    );
    let (_scratch, running) = daemon(folder.path(), &sip, HERE, "").await?;
    let server = address(&running, "tls:").await?;
    let rtp = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?;

    // In TLS 1.3 the client hears of it with its first question.
    let stream = TcpStream::connect(server).await?;
    let local = stream.local_addr()?;
    if let Ok(stream) = authority.connect(stream, None).await {
        let mut peer = Stream::new(stream);
        let mut caller = Caller::new("TLS", local, &format!("sip:{server}"), "sip:none", rtp);
        let _ = peer.send(&caller.say("OPTIONS")).await;
        ensure!(peer.next().await?.is_none(), "answered without a certificate");
    }

    for (scheme, contact) in [
        ("sip", format!("<sip:{server};transport=tls>")),
        ("sips", format!("<sips:{server}>")),
    ] {
        let stream = TcpStream::connect(server).await?;
        let local = stream.local_addr()?;
        let mut peer = Stream::new(authority.connect(stream, Some("pbx")).await?);
        let mut caller = Caller::new(
            "TLS",
            local,
            &format!("{scheme}:3000@{server}"),
            &format!("{scheme}:pbx@{local}"),
            rtp,
        );
        let ok = call(&mut peer, &mut caller).await?;
        assert_eq!(ok.header("Contact"), Some(contact.as_str()));
        assert!(ok.header("Server").is_none() && ok.header("User-Agent").is_none());
        peer.send(&caller.say("BYE")).await?;
        assert_eq!(peer.response("BYE").await?.status, 200);
    }
    let udp = running.sip().await?;
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let insecure = Caller::new("UDP", socket.local_addr()?, &format!("sips:3000@{udp}"), "sip:pbx@127.0.0.1", rtp).invite();
    socket.send_to(insecure.as_bytes(), udp).await?;
    let mut buffer = vec![0; 65_535];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await??;
    assert_eq!(Message::parse(&buffer[..length]).unwrap().status, 480);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_no_handshake() -> Result<()> {
    let (folder, authority) = certificates()?;
    let sip = format!("listen = [\"tls:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nmedia_ports = \"26100-26199\"\n{TLS} }}");
    let (_scratch, running) = daemon(folder.path(), &sip, "allow = [\"127.0.0.9\"]", "").await?;
    let stream = TcpStream::connect(address(&running, "tls:").await?).await?;
    assert!(authority.connect(stream, None).await.is_err());
    // Over TCP one answer that names nobody.
    let server = address(&running, "tcp:").await?;
    let stream = TcpStream::connect(server).await?;
    let local = stream.local_addr()?;
    let mut peer = Stream::new(stream);
    let mut caller = Caller::new("TCP", local, &format!("sip:3000@{server}"), "sip:x@127.0.0.1", local);
    peer.send(&caller.invite()).await?;
    let refusal = peer.response("INVITE").await?;
    assert_eq!(refusal.status, 403);
    assert!(refusal.header("Server").is_none() && refusal.header("User-Agent").is_none());
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_does_not_go_on_is_ended() -> Result<()> {
    let (folder, authority) = certificates()?;
    let sip = format!("listen = [\"tls:127.0.0.1:0\"]\nmedia_ports = \"26200-26299\"\n{TLS} }}");
    let (_scratch, running) = daemon(folder.path(), &sip, HERE, "").await?;
    let server = address(&running, "tls:").await?;
    // As many as may shake hands at once, and they hold nobody up for longer than a handshake's time.
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(TcpStream::connect(server).await?);
    }
    let begun = Instant::now();
    for stream in &mut silent {
        let mut byte = [0];
        let read = timeout(PATIENCE, stream.read(&mut byte)).await.context("still open")?;
        ensure!(matches!(read, Ok(0) | Err(_)), "something was said");
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let stream = TcpStream::connect(server).await?;
    authority.connect(stream, None).await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_his_side_gets_his_answers() -> Result<()> {
    let (folder, authority) = certificates()?;
    let sip = format!("listen = [\"tcp:127.0.0.1:0\", \"tls:127.0.0.1:0\"]\nmedia_ports = \"26300-26399\"\n{TLS} }}");
    let (_scratch, running) = daemon(folder.path(), &sip, HERE, "").await?;
    for (transport, dialled, status) in [("TCP", "4711", 404), ("TCP", "3000", 200), ("TLS", "3000", 200)] {
        let server = address(&running, if transport == "TCP" { "tcp:" } else { "tls:" }).await?;
        let stream = TcpStream::connect(server).await?;
        let local = stream.local_addr()?;
        let rtp = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?;
        let mut caller = Caller::new(transport, local, &format!("sip:{dialled}@{server}"), "sip:pbx@127.0.0.1:9", rtp);
        let answer = if transport == "TCP" {
            ended_early(Stream::new(stream), &mut caller).await?
        } else {
            ended_early(Stream::new(authority.connect(stream, None).await?), &mut caller).await?
        };
        assert_eq!(answer.status, status, "{transport} {dialled}");
    }
    running.stop().await
}

/// Asks, ends its side, and reads the answer, after which nothing keeps the connection.
async fn ended_early<S: AsyncRead + AsyncWrite + Unpin>(mut peer: Stream<S>, caller: &mut Caller) -> Result<Message> {
    peer.send(&caller.invite()).await?;
    peer.finish().await?;
    let answer = peer.response("INVITE").await?;
    while peer.next().await?.is_some() {}
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bye_opens_the_connection_that_it_needs() -> Result<()> {
    let (folder, authority) = certificates()?;
    authority.issue("other", "127.0.0.2")?;
    let sip = format!("listen = [\"tcp:127.0.0.1:0\", \"tls:127.0.0.1:0\"]\nmedia_ports = \"26400-26499\"\n{TLS} }}");
    let trunk = format!("{HERE}\nca_file = \"{{}}/ca.pem\"");
    let (_scratch, running) = daemon(folder.path(), &sip, &trunk, "max_seconds = 1").await?;
    // One that is plain, one that is who it should be, one whose certificate is another's.
    for (transport, certificate) in [("TCP", ""), ("TLS", "pbx"), ("TLS", "other")] {
        let server = address(&running, if transport == "TCP" { "tcp:" } else { "tls:" }).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let contact = format!("sip:pbx@{};transport={}", listener.local_addr()?, transport.to_lowercase());
        let stream = TcpStream::connect(server).await?;
        let local = stream.local_addr()?;
        let rtp = UdpSocket::bind("127.0.0.1:0").await?;
        let mut caller = Caller::new(transport, local, &format!("sip:3000@{server}"), &contact, rtp.local_addr()?);
        if transport == "TCP" {
            call(&mut Stream::new(stream), &mut caller).await?;
        } else {
            call(&mut Stream::new(authority.connect(stream, None).await?), &mut caller).await?;
        }
        // That connection is closed now; after a second of recording the daemon hangs up.
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.context("no connection came")??;
        let bye = match certificate {
            "" => answered(Stream::new(stream)).await?,
            "other" => {
                ensure!(
                    authority.accept(stream, certificate).await.is_err(),
                    "a foreign certificate was believed"
                );
                continue;
            }
            _ => answered(Stream::new(authority.accept(stream, certificate).await?)).await?,
        };
        let via = bye.header("Via").context("no Via")?;
        assert!(via.starts_with(&format!("SIP/2.0/{transport} {server};")), "{via}");
    }
    running.stop().await
}

/// Answers the BYE that comes.
async fn answered<S: AsyncRead + AsyncWrite + Unpin>(mut peer: Stream<S>) -> Result<Message> {
    let bye = peer.next().await?.context("the connection ended without a BYE")?;
    ensure!(bye.method() == "BYE", "{}", bye.start);
    peer.send(&bye.reply("200 OK")).await?;
    Ok(bye)
}

/// A port that is free on every address of both families at this moment.
async fn free_port() -> Result<u16> {
    for _ in 0..20 {
        let port = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?.port();
        if UdpSocket::bind(("127.0.0.2", port)).await.is_ok() && UdpSocket::bind(("::1", port)).await.is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_families_on_one_port() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port().await?;
    let sip = format!("listen = [\"udp:0.0.0.0:{port}\", \"udp:[::]:{port}\"]\nmedia_ports = \"26500-26599\"");
    let (_scratch, running) = daemon(folder.path(), &sip, "allow = [\"127.0.0.0/8\", \"::1\"]", "silence_seconds = 60").await?;
    running.up("sip").await?;
    for server in [SocketAddr::from(([127, 0, 0, 1], port)), format!("[::1]:{port}").parse()?] {
        assert_eq!(options(server).await?, 200, "{server}");
        let Answer::Up(call) = Call::place(server, &Invite::new("0145000006", "3000")).await? else {
            bail!("refused over {server}")
        };
        assert_eq!(call.rtp().1.ip(), server.ip(), "the sound is of the call's family");
        call.beep(PATIENCE).await?;
        // The beep's last packet is still to be heard.
        tokio::time::sleep(Duration::from_millis(100)).await;
        call.play(&speech()?[..32_000], &Impairment::default()).await?;
        call.hang_up().await?;
    }
    for request in voxea_tests::kill::requests(&running, "channel=voicemail").await? {
        let shown = interaction(&running, &request).await?;
        let (left, _) = heard(&running, &shown).await?;
        assert!(lag(&left, speech()?).is_some(), "the caller's voice is not in the recording");
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_leave_by_the_socket_to_which_the_request_came() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port().await?;
    for advertise in ["", "advertise = \"127.0.0.1\"\n"] {
        let sip = format!("listen = [\"udp:127.0.0.1:{port}\", \"udp:127.0.0.2:{port}\"]\n{advertise}media_ports = \"26600-26699\"");
        let (_scratch, running) = daemon(folder.path(), &sip, HERE, "").await?;
        running.up("sip").await?;
        // Each asks with a connected socket, which takes nothing from elsewhere.
        for address in [[127, 0, 0, 1], [127, 0, 0, 2]] {
            assert_eq!(options((address, port).into()).await?, 200, "{address:?} {advertise}");
        }
        running.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_of_the_other_family_is_refused_where_it_is_not_heard() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sip = "listen = [\"tcp:127.0.0.1:0\"]\nmedia_ports = \"26700-26799\"";
    let (_scratch, running) = daemon(folder.path(), sip, HERE, "").await?;
    let server = address(&running, "tcp:").await?;
    let stream = TcpStream::connect(server).await?;
    let local = stream.local_addr()?;
    let mut peer = Stream::new(stream);
    let mut caller = Caller::new(
        "TCP",
        local,
        &format!("sip:3000@{server}"),
        "sip:pbx@127.0.0.1",
        "[::1]:6000".parse()?,
    );
    peer.send(&caller.invite()).await?;
    assert_eq!(peer.response("INVITE").await?.status, 488);
    running.stop().await
}
