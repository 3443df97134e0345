//! Trunks with an account: registrars that are nothing but bytes, Debian's Kamailio, SIPp with a password; what operators
//! see of them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::digest::{Account, field};
use voxea_tests::sip::kamailio::Kamailio;
use voxea_tests::sip::registrar::{Answer as Said, Registrar};
use voxea_tests::sip::{Answer, Call, Invite, Message, options};
use voxea_tests::sipp;

const PATIENCE: Duration = Duration::from_secs(30);
const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";
const WEAK: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"m1\"";

/// A daemon whose only trunk is on this machine and has these keys more; every number is a line.
async fn daemon(ports: &str, trunk: &str) -> Result<(Scratch, Running)> {
    let greeting = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/short-greeting.wav");
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.line]]\nnumber = \"*\"\n\
         greeting = \"{}\"\nbeep = false\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{trunk}\n",
        greeting.display()
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    running.up("sip").await?;
    Ok((scratch, running))
}

/// A registrar that wants SHA-256 and offers MD5 besides, and keeps a binding for a minute.
fn strict(message: &Message) -> Option<Said> {
    let account = Account::new("voix", "s3cret");
    let proved = message
        .header("Authorization")
        .is_some_and(|credentials| account.opens(credentials, message.method()));
    let contact = message.header("Contact").unwrap_or_default();
    Some(match message.method() {
        "REGISTER" if !proved => ("401 Unauthorized", vec![WEAK.to_owned(), CHALLENGE.to_owned()]),
        "REGISTER" if contact.is_empty() => ("200 OK", vec![]),
        "REGISTER" => ("200 OK", vec![format!("Contact: {contact};expires=60")]),
        _ => ("200 OK", vec![]),
    })
}

fn registrations(seen: &[Message]) -> Vec<&Message> {
    seen.iter().filter(|message| message.method() == "REGISTER").collect()
}

const ACCOUNT: &str = "user = \"voix\"\npassword = \"s3cret\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_registers_asks_and_takes_itself_out_at_the_end() -> Result<()> {
    let pbx = Registrar::udp(strict).await?;
    let (scratch, running) = daemon("27000-27099", &format!("address = \"{}\"\n{ACCOUNT}", pbx.address)).await?;
    let ours = running.sip().await?;
    let up = running
        .trunk(|trunk| !trunk["registered_until"].is_null() && trunk["state"] == "up")
        .await?;
    ensure!(
        up["address"] == format!("udp:{}", pbx.address) && up["last_error"].is_null(),
        "{up}"
    );
    let seen = pbx
        .until(|seen| registrations(seen).len() >= 2 && seen.iter().any(|one| one.method() == "OPTIONS"))
        .await?;
    let all = registrations(&seen);
    ensure!(all[0].header("Authorization").is_none(), "nothing is proved unasked");
    ensure!(all[0].header("To") == Some("<sip:voix@127.0.0.1>"), "{:?}", all[0]);
    let contact = format!("<sip:voix@{ours}>");
    ensure!(all[1].header("Contact") == Some(contact.as_str()), "{:?}", all[1]);
    ensure!(all[0].header("Call-ID") == all[1].header("Call-ID"));

    let is_told = |page: &Value| {
        let events = page["items"].as_array().into_iter().flatten();
        events
            .clone()
            .any(|event| event["type"] == "fr.voxea.channel.up" && event["subject"] == "sip/sip/pbx")
    };
    running.rest().until("/v1/changes", PATIENCE, is_told).await?;

    // The doctor asks who is registered, and registers nobody.
    let said = scratch.say(&["doctor"]).await?;
    ensure!(
        said.contains("answers OPTIONS with 200") && said.contains("takes our user and password"),
        "{said}"
    );
    let seen = pbx.until(|seen| registrations(seen).len() >= 4).await?;
    ensure!(registrations(&seen)[3].header("Contact").is_none(), "{seen:?}");

    let log = running.log();
    running.stop().await?;
    let seen = pbx
        .until(|seen| registrations(seen).last().is_some_and(|last| last.header("Expires") == Some("0")))
        .await?;
    ensure!(
        registrations(&seen)
            .last()
            .is_some_and(|last| last.header("Contact") == Some(contact.as_str()))
    );
    ensure!(!log.contains("s3cret") && log.contains("the trunk answers"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tcp_it_keeps_one_connection_both_ways() -> Result<()> {
    let pbx = Registrar::tcp(strict).await?;
    let keys = format!("address = \"{}\"\ntransport = \"tcp\"\noptions_seconds = 1\n{ACCOUNT}", pbx.address);
    let (scratch, running) = daemon("27100-27199", &keys).await?;
    running.trunk(|trunk| !trunk["registered_until"].is_null()).await?;
    let listening = running.up("sip").await?;
    let ours = listening
        .iter()
        .find_map(|address| address.strip_prefix("tcp:"))
        .context("no TCP")?
        .to_owned();
    let seen = pbx
        .until(|seen| seen.iter().filter(|one| one.method() == "OPTIONS").count() >= 2)
        .await?;
    let contact = format!("<sip:voix@{ours};transport=tcp>");
    ensure!(registrations(&seen)[0].header("Contact") == Some(contact.as_str()), "{seen:?}");
    // What comes back by that connection is answered there.
    pbx.say(format!(
        "OPTIONS sip:voix@{ours} SIP/2.0\r\nVia: SIP/2.0/TCP {};branch=z9hG4bKback\r\nMax-Forwards: 70\r\nFrom: <sip:pbx@h>;tag=1\r\n\
         To: <sip:voix@h>\r\nCall-ID: back\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        pbx.address
    ))
    .await?;
    pbx.until(|seen| seen.iter().any(|one| one.status == 200 && one.header("Call-ID") == Some("back")))
        .await?;
    let said = scratch.say(&["doctor"]).await?;
    ensure!(
        said.contains(&format!("at tcp:{}: answers OPTIONS with 200", pbx.address)),
        "{said}"
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_seen_and_a_trunk_that_is_down_may_call() -> Result<()> {
    let pbx = Registrar::udp(|message| match message.method() {
        "REGISTER" => Some(("401 Unauthorized", vec![CHALLENGE.to_owned()])),
        _ => Some(("404 Not Found", vec![])),
    })
    .await?;
    let (scratch, running) = daemon("27200-27299", &format!("address = \"{}\"\n{ACCOUNT}", pbx.address)).await?;
    let wrong = running
        .trunk(|trunk| !trunk["last_error"].is_null() && trunk["state"] == "halted")
        .await?;
    ensure!(
        wrong["last_error"].as_str().is_some_and(|words| words.contains("user or password")),
        "{wrong}"
    );
    ensure!(wrong["registered_until"].is_null() && !wrong["next_attempt"].is_null(), "{wrong}");
    // Told once, though tried and asked all the time.
    let told = |log: &str| log.matches("the trunk refuses to register us").count();
    ensure!(
        told(&running.log()) == 1 && !running.log().contains("the trunk answers"),
        "{}",
        running.log()
    );
    let config = scratch.path().join("voxea.toml");
    let said = Command::new(scratch::binary()?)
        .args(["doctor", "--config"])
        .arg(config)
        .output()
        .await?;
    let words = String::from_utf8_lossy(&said.stdout);
    ensure!(!said.status.success(), "the doctor finds nothing: {words}");
    ensure!(words.contains("not registered: it refuses user or password; compare"), "{words}");
    running.stop().await?;

    // Nobody listens where it should be.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let keys = format!("address = \"{nobody}\"\ntransport = \"tcp\"\noptions_seconds = 1\n");
    let (_scratch, running) = daemon("27200-27299", &keys).await?;
    let down = running.trunk(|trunk| trunk["state"] == "down").await?;
    ensure!(
        down["last_error"]
            .as_str()
            .is_some_and(|words| words.contains("takes no connection")),
        "{down}"
    );
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000001", "3000")).await? else {
        anyhow::bail!("a call was refused")
    };
    ensure!(call.hang_up().await? == 200);
    let after = running.trunk(|trunk| trunk["calls"] == 1).await?;
    ensure!(after["state"] == "down" && after["refused"] == 0, "{after}");
    running.stop().await
}

/// A call with credentials, or without.
async fn call(server: SocketAddr, credentials: Option<String>) -> Result<Answer> {
    let mut invite = Invite::new("0145000002", "3000");
    invite
        .headers
        .extend(credentials.map(|credentials| format!("Authorization: {credentials}")));
    Call::place(server, &invite).await
}

fn refusal(answer: Answer) -> Result<Message> {
    match answer {
        Answer::Refused(message) => Ok(message),
        Answer::Up(_) => anyhow::bail!("it was answered"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_knows_the_password_calls() -> Result<()> {
    let (_scratch, running) = daemon("27300-27399", &format!("realm = \"telephony\"\n{ACCOUNT}")).await?;
    let server = running.sip().await?;
    let challenged = refusal(call(server, None).await?)?;
    ensure!(challenged.status == 401 && options(server).await? == 200);
    let offers: Vec<&str> = challenged
        .headers
        .iter()
        .filter_map(|(name, value)| (name == "WWW-Authenticate").then_some(value.as_str()))
        .collect();
    let algorithms: Vec<Option<String>> = offers.iter().map(|offer| field(offer, "algorithm")).collect();
    ensure!(
        algorithms == [Some("SHA-512-256".to_owned()), Some("SHA-256".to_owned())],
        "{offers:?}"
    );
    ensure!(field(offers[0], "realm").as_deref() == Some("telephony"));
    let text = format!("{challenged:?}").to_ascii_lowercase();
    ensure!(!text.contains("voxea"), "{text}");

    let uri = format!("sip:3000@{server}");
    let mut account = Account::new("voix", "s3cret");
    for (number, algorithm) in ["SHA-256", "SHA-512-256"].into_iter().enumerate() {
        account.algorithm = algorithm;
        let credentials = account.answer(offers[0], "INVITE", &uri, &format!("{:08x}", number + 1));
        let Answer::Up(up) = call(server, Some(credentials.clone())).await? else {
            anyhow::bail!("{algorithm} was refused")
        };
        ensure!(up.hang_up().await? == 200);
        // Somebody who has heard it says it again.
        let replayed = refusal(call(server, Some(credentials)).await?)?;
        let fresh = replayed.header("WWW-Authenticate").context("no challenge")?;
        ensure!(
            replayed.status == 401 && field(fresh, "stale").as_deref() == Some("true"),
            "{replayed:?}"
        );
        ensure!(field(fresh, "nonce") != field(offers[0], "nonce"));
    }
    let lower = account.answer(offers[0], "INVITE", &uri, "00000001");
    ensure!(refusal(call(server, Some(lower)).await?)?.status == 401, "a count that falls");
    let odd = account.answer(offers[0], "INVITE", &uri, "3");
    ensure!(refusal(call(server, Some(odd)).await?)?.status == 401, "a count that is none");
    let elsewhere = account.answer(offers[0], "INVITE", "sip:4000@127.0.0.1", "00000009");
    ensure!(refusal(call(server, Some(elsewhere)).await?)?.status == 400);
    let mut statuses = Vec::new();
    for number in 0..21 {
        let wrong = Account::new("voix", &format!("guess {number}")).answer(offers[1], "INVITE", &uri, "00000001");
        statuses.push(refusal(call(server, Some(wrong)).await?)?.status);
    }
    ensure!(statuses[0] == 401 && statuses.last() == Some(&403), "{statuses:?}");
    let shown = running.trunk(|trunk| trunk["calls"] == 2).await?;
    ensure!(shown["refused"].as_u64() >= Some(20) && shown["state"] == "unknown", "{shown}");
    ensure!(
        requests(&running, "channel=voicemail").await?.len() == 2,
        "what was refused left nothing"
    );
    let log = running.log();
    ensure!(!log.contains("s3cret") && !log.contains("0145000002"), "{log}");
    running.stop().await
}

async fn proves(server: SocketAddr, password: &str, outcome: &str) -> Result<()> {
    let leave = r#"<send retrans="500"><![CDATA[
      BYE [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:+33612345678@[local_ip]>;tag=[call_number]
      To: <sip:[service]@[remote_ip]>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: 3 BYE
      Max-Forwards: 70
      Content-Length: 0
    ]]></send><recv response="200" />"#;
    let folder = tempfile::tempdir()?;
    let text = include_str!("../peers/sipp/proved.xml").replace("OUTCOME", outcome);
    let text = text.replace("<!-- LEAVE -->", if outcome == "200" { leave } else { "" });
    let text = text.replace("<recv response=\"200\" />", "<recv response=\"200\" rrs=\"true\" />");
    std::fs::write(folder.path().join("proved.xml"), text)?;
    let uri = format!("3000@{server}");
    let account = ["-au", "voix", "-ap", password, "-auth_uri", &uri];
    let calls = ["-sf", "proved.xml", "-m", "5", "-r", "5", "-timeout", "30"];
    sipp::run(server, folder.path(), &[&calls[..], &account].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_proves_itself_with_md5_where_that_is_allowed() -> Result<()> {
    let (_scratch, running) = daemon("27400-27499", &format!("md5 = true\nmd5_only = true\n{ACCOUNT}")).await?;
    let server = running.sip().await?;
    proves(server, "s3cret", "200").await?;
    proves(server, "wrong", "401").await?;
    let shown = running.trunk(|trunk| trunk["calls"] == 5).await?;
    ensure!(shown["refused"] == 5, "{shown}");
    running.stop().await
}

/// Kamailio knows us, and calls to our account come through it.
async fn kamailio(ports: &str, algorithm: &str, keys: &str) -> Result<()> {
    let pbx = Kamailio::start("s3cret", algorithm).await?;
    let keys = format!("address = \"{}\"\nchallenge = false\n{keys}{ACCOUNT}", pbx.address);
    let (scratch, running) = daemon(ports, &keys).await?;
    let shown = running.trunk(|trunk| !trunk["registered_until"].is_null()).await?;
    ensure!(shown["state"] == "up" && shown["last_error"].is_null(), "{shown}\n{}", pbx.log());
    let table = pbx.bindings().await?;
    let listening = running.up("sip").await?;
    let ours = listening.iter().any(|address| {
        let at = address.split_once(':').map_or("", |(_, at)| at);
        table.contains(&format!("sip:voix@{at}"))
    });
    ensure!(ours && table.contains("AoR: voix"), "{table}");
    let said = scratch.say(&["doctor"]).await?;
    ensure!(said.contains("answers OPTIONS with 200; we are registered"), "{said}");

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kamailio_keeps_us_in_its_table_by_sha_256() -> Result<()> {
    kamailio("27500-27599", "SHA-256", "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kamailio_keeps_us_in_its_table_by_md5_over_tcp_and_raises_a_time_that_is_too_short() -> Result<()> {
    kamailio("27600-27699", "MD5", "md5 = true\ntransport = \"tcp\"\nregister_seconds = 30\n").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kamailio_that_knows_only_md5_is_not_given_it_unasked() -> Result<()> {
    let pbx = Kamailio::start("s3cret", "MD5").await?;
    let (_scratch, running) = daemon("27700-27799", &format!("address = \"{}\"\n{ACCOUNT}", pbx.address)).await?;
    let shown = running.trunk(|trunk| !trunk["last_error"].is_null()).await?;
    ensure!(
        shown["last_error"].as_str().is_some_and(|words| words.contains("md5 = true")),
        "{shown}"
    );
    ensure!(shown["registered_until"].is_null() && !pbx.bindings().await?.contains("voix"));
    running.stop().await
}
