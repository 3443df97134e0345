//! A certificate that is renewed while the daemon runs, as certbot and its like do it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;
use voxea_tests::authority::Authority;
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::sip::stream::{Caller, Stream};
use voxea_tests::voicemail;

/// The files are looked at once a minute.
const PATIENCE: Duration = Duration::from_secs(90);

fn certificate(path: &Path) -> Result<CertificateDer<'static>> {
    Ok(CertificateDer::from_pem_file(path)?)
}

async fn connect(authority: &Authority, server: SocketAddr) -> Result<TlsStream<TcpStream>> {
    authority.connect(TcpStream::connect(server).await?, None).await
}

/// What a new connection is shown.
async fn shown(authority: &Authority, server: SocketAddr) -> Result<CertificateDer<'static>> {
    let stream = connect(authority, server).await?;
    let chain = stream.get_ref().1.peer_certificates().context("no certificate")?;
    Ok(chain.first().context("none")?.clone().into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_connections_see_the_new_certificate_and_old_ones_stay() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    authority.issue("voxea", "127.0.0.1")?;
    let [path, key] = ["pem", "key"].map(|end| authority.file("voxea", end));
    let channels = format!(
        "[sip]\nlisten = [\"tls:127.0.0.1:0\"]\nmedia_ports = \"26860-26869\"\ntls = {{ certificate = {path:?}, key_file = {key:?} }}\n\
         [[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\nsrtp = \"optional\"\n{}",
        voicemail::line("")
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let addresses = running.up("sip").await?;
    let address = addresses.iter().find_map(|address| address.strip_prefix("tls:"));
    let server: SocketAddr = address.context("no TLS")?.parse()?;

    let first = certificate(&path)?;
    ensure!(shown(&authority, server).await? == first);
    let stream = connect(&authority, server).await?;
    let local = stream.get_ref().0.local_addr()?;
    let mut caller = Caller::new("TLS", local, &format!("sip:{server}"), &format!("sip:pbx@{local}"), local);
    let mut old = Stream::new(stream);
    old.send(&caller.say("OPTIONS")).await?;
    ensure!(old.response("OPTIONS").await?.status == 200);

    authority.issue("voxea", "127.0.0.1")?;
    let second = certificate(&path)?;
    ensure!(first != second);
    let deadline = Instant::now() + PATIENCE;
    while shown(&authority, server).await? != second {
        ensure!(Instant::now() < deadline, "the old one is still shown:\n{}", running.log());
        sleep(Duration::from_millis(500)).await;
    }
    old.send(&caller.say("OPTIONS")).await?;
    ensure!(old.response("OPTIONS").await?.status == 200, "what was open stays open");
    let log = running.log();
    ensure!(log.contains("a renewed certificate is in use"), "{log}");
    running.stop().await
}
