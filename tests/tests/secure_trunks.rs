//! Trunks with an account that are reached over TLS: a registrar that is nothing but bytes, and Debian's Kamailio.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;
use voxea_tests::authority::Authority;
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::digest::Account;
use voxea_tests::sip::kamailio::Kamailio;
use voxea_tests::sip::registrar::{Answer as Said, Registrar};
use voxea_tests::sip::{Answer, Call, Invite, Message};
use voxea_tests::voicemail;

const PATIENCE: Duration = Duration::from_secs(30);
const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";

fn certificates() -> Result<(tempfile::TempDir, Authority)> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    authority.issue("voxea", "127.0.0.1")?;
    authority.issue("pbx", "127.0.0.1")?;
    authority.issue("other", "127.0.0.2")?;
    Ok((folder, authority))
}

/// A daemon that listens with TLS, and whose only trunk is reached over it.
async fn daemon(authority: &Authority, ports: &str, trunk: &str) -> Result<(Scratch, Running)> {
    let [certificate, key, ca] = [("voxea", "pem"), ("voxea", "key"), ("ca", "pem")].map(|(name, end)| authority.file(name, end));
    let channels = format!(
        "[sip]\nlisten = [\"tls:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\ntls = {{ certificate = {certificate:?}, key_file = {key:?} }}\n\
         [[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\nsrtp = \"optional\"\ntransport = \"tls\"\nca_file = {ca:?}\nchallenge = false\n\
         user = \"voix\"\npassword = \"s3cret\"\n{trunk}\n{}",
        voicemail::line("").replace("\"3000\"", "\"*\"")
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    running.up("sip").await?;
    Ok((scratch, running))
}

async fn ours(running: &Running) -> Result<String> {
    let addresses = running.up("sip").await?;
    let found = addresses.iter().find_map(|address| address.strip_prefix("tls:"));
    Ok(found.context("no TLS")?.to_owned())
}

/// Keeps a binding for five seconds, for who proves to be `voix`.
fn brief(message: &Message) -> Option<Said> {
    let proved = message
        .header("Authorization")
        .is_some_and(|credentials| Account::new("voix", "s3cret").opens(credentials, message.method()));
    let contact = message.header("Contact").unwrap_or_default();
    Some(match message.method() {
        "REGISTER" if !proved => ("401 Unauthorized", vec![CHALLENGE.to_owned()]),
        "REGISTER" => ("200 OK", vec![format!("Contact: {contact};expires=5")]),
        _ => ("200 OK", vec![]),
    })
}

fn registrations(seen: &[Message]) -> Vec<&Message> {
    let proved = |message: &&Message| message.method() == "REGISTER" && message.header("Authorization").is_some();
    seen.iter().filter(proved).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_registers_over_tls_stays_so_and_takes_itself_out() -> Result<()> {
    let (_folder, authority) = certificates()?;
    let pbx = Registrar::tls(authority.acceptor("pbx")?, brief).await?;
    let keys = format!("address = \"{}\"\noptions_seconds = 1", pbx.address);
    let (scratch, running) = daemon(&authority, "26820-26829", &keys).await?;
    let ours = ours(&running).await?;
    let up = running
        .trunk(|trunk| !trunk["registered_until"].is_null() && trunk["state"] == "up")
        .await?;
    ensure!(
        up["address"] == format!("tls:{}", pbx.address) && up["last_error"].is_null(),
        "{up}"
    );
    let until = up["registered_until"].as_str().context("a time")?.to_owned();

    // Refreshed before the five seconds are over: it is never out of the table.
    let deadline = Instant::now() + PATIENCE;
    while registrations(&pbx.until(|_| true).await?).len() < 3 {
        let shown = running.trunk(|_| true).await?;
        ensure!(!shown["registered_until"].is_null() && Instant::now() < deadline, "{shown}");
        sleep(Duration::from_millis(50)).await;
    }
    running
        .trunk(|trunk| trunk["registered_until"].as_str() > Some(until.as_str()))
        .await?;
    let seen = pbx
        .until(|seen| registrations(seen).len() >= 2 && seen.iter().filter(|one| one.method() == "OPTIONS").count() >= 2)
        .await?;
    let contact = format!("<sip:voix@{ours};transport=tls>");
    for one in registrations(&seen) {
        ensure!(one.header("Contact") == Some(contact.as_str()), "{one:?}");
        ensure!(
            one.header("Via")
                .is_some_and(|via| via.starts_with(&format!("SIP/2.0/TLS {ours};"))),
            "{one:?}"
        );
    }
    let challenged = seen.iter().filter(|one| one.method() == "REGISTER").count() - registrations(&seen).len();
    ensure!(challenged == 1, "the nonce serves again: {seen:#?}");

    // What comes back by that connection is answered there.
    pbx.say(format!(
        "OPTIONS sip:voix@{ours} SIP/2.0\r\nVia: SIP/2.0/TLS {};branch=z9hG4bKback\r\nMax-Forwards: 70\r\nFrom: <sip:pbx@h>;tag=1\r\n\
         To: <sip:voix@h>\r\nCall-ID: back\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        pbx.address
    ))
    .await?;
    pbx.until(|seen| seen.iter().any(|one| one.status == 200 && one.header("Call-ID") == Some("back")))
        .await?;
    let said = scratch.say(&["doctor"]).await?;
    ensure!(
        said.contains(&format!("at tls:{}: answers OPTIONS with 200", pbx.address)),
        "{said}"
    );

    running.stop().await?;
    let seen = pbx
        .until(|seen| registrations(seen).last().is_some_and(|last| last.header("Expires") == Some("0")))
        .await?;
    let last = registrations(&seen).last().and_then(|last| last.header("Contact"));
    ensure!(last == Some(contact.as_str()), "{last:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registrar_with_the_certificate_of_another_hears_no_word() -> Result<()> {
    let (_folder, authority) = certificates()?;
    let pbx = Registrar::tls(authority.acceptor("other")?, brief).await?;
    let keys = format!("address = \"{}\"\noptions_seconds = 1", pbx.address);
    let (_scratch, running) = daemon(&authority, "26830-26839", &keys).await?;
    let down = running.trunk(|trunk| trunk["state"] == "down").await?;
    ensure!(down["registered_until"].is_null() && !down["last_error"].is_null(), "{down}");
    ensure!(pbx.until(|_| true).await?.is_empty(), "a password was nearly told");
    let log = running.log();
    ensure!(log.contains("a connection could not be opened") && !log.contains("s3cret"), "{log}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kamailio_keeps_us_in_its_table_over_tls_with_certificates_on_both_sides() -> Result<()> {
    let (_folder, authority) = certificates()?;
    let pbx = Kamailio::start_tls("s3cret", "SHA-256", &authority, "pbx").await?;
    let (_scratch, running) = daemon(&authority, "26840-26849", &format!("address = \"{}\"", pbx.secure)).await?;
    let shown = running.trunk(|trunk| !trunk["registered_until"].is_null()).await?;
    ensure!(shown["state"] == "up" && shown["last_error"].is_null(), "{shown}\n{}", pbx.log());
    let table = pbx.bindings().await?;
    ensure!(
        table.contains(&format!("sip:voix@{};transport=tls", ours(&running).await?)),
        "{table}"
    );
    // A call to our account comes in clear, and goes on to us over TLS.
    let Answer::Up(call) = Call::place(pbx.address, &Invite::new("0145000003", "voix")).await? else {
        anyhow::bail!("refused\n{}", pbx.log())
    };
    ensure!(call.hang_up().await? == 200);
    let taken = requests(&running, "channel=voicemail").await?;
    ensure!(taken.len() == 1 && taken[0]["from"] == "+33145000003", "{taken:?}");
    running.stop().await?;
    pbx.until(|table| !table.contains("voix")).await?;
    Ok(())
}
