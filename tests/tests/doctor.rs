//! `voxea doctor` and the log about the telephone: what an operator reads when a port, a password or TLS is wrong.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use voxea_tests::authority::Authority;
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::sip::registrar::Registrar;
use voxea_tests::voicemail;

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with this in `[sip]` and one trunk on this machine.
async fn folder(sip: &str, trunk: &str) -> Result<Scratch> {
    let channels = format!(
        "[sip]\n{sip}\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{trunk}\n{}\n[[sip.line]]\nnumber = \"voix\"\n",
        voicemail::line("")
    );
    Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await
}

/// Whether the doctor found all well, and its lines.
async fn doctor(scratch: &Scratch) -> Result<(bool, String)> {
    let said = scratch.command(&["doctor"]).output().await?;
    Ok((said.status.success(), String::from_utf8(said.stdout)?))
}

fn line<'a>(words: &'a str, what: &str) -> Result<&'a str> {
    let found = words.lines().find(|line| line.get(6..).is_some_and(|line| line.starts_with(what)));
    found.with_context(|| format!("no line of {what} in\n{words}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_ports_are_free_or_another_s_or_ours() -> Result<()> {
    let stranger = UdpSocket::bind("127.0.0.1:0").await?;
    let taken = stranger.local_addr()?;
    let scratch = folder(&format!("listen = [\"udp:{taken}\"]\nmedia_ports = \"26800-26819\""), "").await?;
    let (well, words) = doctor(&scratch).await?;
    let ports = line(&words, "sip ports: ")?;
    ensure!(!well && ports.starts_with("FAIL"), "{words}");
    ensure!(
        ports.contains(&format!("udp:{taken} is in use, and no SIP answers there")),
        "{words}"
    );
    ensure!(ports.contains("media ports 26800-26819: all 10 pairs are free"), "{words}");
    drop(stranger);
    let (well, words) = doctor(&scratch).await?;
    ensure!(
        well && line(&words, "sip ports: ")?.contains(&format!("udp:{taken} is free")),
        "{words}"
    );

    // A daemon that runs has its ports: the doctor asks them.
    let scratch = folder(
        "listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nmedia_ports = \"26820-26839\"",
        "",
    )
    .await?;
    let running = scratch.run().await?;
    let listening = running.up("sip").await?;
    let config = scratch.path().join("voxea.toml");
    let shown = listening
        .iter()
        .map(|address| format!("{address:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    let text = std::fs::read_to_string(&config)?.replace("\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"", &shown);
    std::fs::write(&config, text)?;
    let (well, words) = doctor(&scratch).await?;
    let ports = line(&words, "sip ports: ")?;
    ensure!(well && ports.matches("is served by a running daemon").count() == 2, "{words}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_nobody_asked_for_was_not_tried() -> Result<()> {
    let pbx = Registrar::udp(|_| Some(("200 OK", vec![]))).await?;
    let account = format!("address = \"{}\"\nuser = \"voix\"\npassword = \"s3cret\"", pbx.address);
    let scratch = folder("listen = [\"udp:127.0.0.1:0\"]", &account).await?;
    let (well, words) = doctor(&scratch).await?;
    ensure!(
        well && words.contains("answers REGISTER with 200 without asking for a password, so that user and password were not tried"),
        "{words}"
    );
    ensure!(!words.contains("takes our user and password"), "{words}");
    Ok(())
}

/// What the doctor says of a trunk with TLS behind which this stands.
async fn over_tls<F>(folder_of: &Path, more: &str, peer: impl Fn(TcpStream) -> F + Send + 'static) -> Result<String>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(peer(stream));
        }
    });
    let sip = format!(
        "listen = [\"tls:127.0.0.1:0\"]\ntls = {{ certificate = \"{0}/voxea.pem\", key_file = \"{0}/voxea.key\" }}",
        folder_of.display()
    );
    let keys = format!("address = \"{address}\"\ntransport = \"tls\"\noptions_seconds = 1\n{more}");
    let scratch = folder(&sip, &keys).await?;
    let (well, words) = doctor(&scratch).await?;
    ensure!(!well, "{words}");
    let words = line(&words, "sip/sip: ")?.to_owned();
    // A daemon says the same.
    let running = scratch.run().await?;
    let trunk = |shown: &Value| {
        let items = shown["items"].as_array().into_iter().flatten();
        let sip = items.clone().find(|item| item["kind"] == "sip").cloned();
        sip.map(|sip| sip["trunks"][0].clone()).unwrap_or_default()
    };
    let is_down = |shown: &Value| trunk(shown)["state"] == "down";
    let shown = running.rest().until("/v1/channels", PATIENCE, is_down).await?;
    let error = trunk(&shown)["last_error"].as_str().unwrap_or_default().to_owned();
    ensure!(words.ends_with(&error) && error.len() > 20, "{error} is not {words}");
    serving.abort();
    running.stop().await?;
    Ok(words)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_handshake_says_what_happened_and_what_to_do() -> Result<()> {
    let place = tempfile::tempdir()?;
    let authority = Authority::new(place.path())?;
    authority.issue("voxea", "127.0.0.1")?;
    authority.issue("pbx", "pbx.example.fr")?;
    let ca = format!("ca_file = \"{}/ca.pem\"", place.path().display());
    let serve = |place: &Path| -> Result<_> {
        let server = std::sync::Arc::new(Authority::new(place)?);
        server.issue("voxea", "127.0.0.1")?;
        server.issue("pbx", "pbx.example.fr")?;
        Ok(move |stream: TcpStream| {
            let server = std::sync::Arc::clone(&server);
            async move { drop(server.accept(stream, "pbx").await) }
        })
    };
    let words = over_tls(place.path(), "", serve(place.path())?).await?;
    ensure!(
        words.contains("its certificate comes from an authority that we do not know, or from itself: name that authority")
            && words.contains("ca_file"),
        "{words}"
    );
    let words = over_tls(place.path(), &ca, serve(place.path())?).await?;
    ensure!(
        words.contains("its certificate carries other names than the one we look for")
            && words.contains("pbx.example.fr")
            && words.contains("tls_name"),
        "{words}"
    );
    let words = over_tls(place.path(), &ca, |mut stream: TcpStream| async move {
        let _ = stream.write_all(b"SIP/2.0 400 Bad Request\r\n\r\n").await;
        let _ = stream.read(&mut [0; 64]).await;
    })
    .await?;
    ensure!(words.contains("what answers there is no TLS"), "{words}");
    let words = over_tls(place.path(), &ca, |stream: TcpStream| async move { drop(stream) }).await?;
    ensure!(
        words.contains("it ends the connection in the midst of the TLS handshake"),
        "{words}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_broken_handshakes_are_a_line() -> Result<()> {
    let place = tempfile::tempdir()?;
    Authority::new(place.path())?.issue("voxea", "127.0.0.1")?;
    let sip = format!(
        "listen = [\"tls:127.0.0.1:0\"]\ntls = {{ certificate = \"{0}/voxea.pem\", key_file = \"{0}/voxea.key\" }}",
        place.path().display()
    );
    let scratch = folder(&sip, "").await?;
    let running = scratch.run().await?;
    let listening = running.up("sip").await?;
    let server: SocketAddr = listening[0].strip_prefix("tls:").context("no TLS")?.parse()?;
    for _ in 0..300 {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(b"INVITE sip:3000@town SIP/2.0\r\n\r\n").await?;
        // Its end says that the daemon has treated it; what was not read any more resets it.
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.context("still open")?;
    }
    let log = running.log();
    ensure!(
        log.matches("a TLS handshake failed: what came is no TLS; the trunk may use TCP")
            .count()
            == 1,
        "{log}"
    );
    ensure!(log.matches("handshake").count() == 1, "{log}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_theme_that_is_not_there_keeps_no_telephone_silent() -> Result<()> {
    let scratch = folder(
        "listen = [\"udp:127.0.0.1:0\"]",
        "\n[[sip.line]]\nnumber = \"4000\"\ntheme = \"voiri\"",
    )
    .await?;
    let running = scratch.run().await?;
    running.up("sip").await?;
    let log = running.log();
    let said = log
        .lines()
        .filter(|line| line.contains("is no theme of the catalogue; did you mean voirie?"));
    let said: Vec<&str> = said.collect();
    ensure!(
        said.len() == 1 && said[0].contains("sip.line[0].theme") && said[0].contains("line "),
        "{log}"
    );
    running.stop().await
}

/// A database that was copied with `cp` has the rights of everybody's files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_everybody_may_read_is_told() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let database = scratch.path().join("voxea.db");
    for (mode, wanted) in [(0o600, "OK"), (0o640, "OK"), (0o644, "FAIL")] {
        std::fs::set_permissions(&database, std::fs::Permissions::from_mode(mode))?;
        let (well, words) = doctor(&scratch).await?;
        let said = line(&words, "database: ")?;
        ensure!(well == (wanted == "OK") && said.contains("chmod o=") != well, "{mode:o}: {words}");
        ensure!(wanted == "OK" || said.starts_with(wanted), "{words}");
    }
    Ok(())
}
