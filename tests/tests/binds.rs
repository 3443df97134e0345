//! The links to an SMSC, byte by byte: several binds of one account, TLS, outbind, a link that is half-open, and what is
//! seen of all that.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use voxea_tests::authority::Authority;
use voxea_tests::by_hand::{
    BIND_RECEIVER, BIND_TRANSCEIVER, BIND_TRANSMITTER, Link, Smsc, account, at, binds_up, reply, run, shown, state,
};
use voxea_tests::kill::requests;
use voxea_tests::scratch::Running;
use voxea_tests::smsc::{Message, pdu};

/// Red when a bind that is made anew takes over what the account's others hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_binds_one_dies_and_the_other_goes_on() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, "binds = 2\nwindow = 1\n")).await?;
    let (mut one, mut two) = (smsc.accept().await?, smsc.accept().await?);
    one.bound(BIND_TRANSCEIVER).await?;
    two.bound(BIND_TRANSCEIVER).await?;
    let account = shown(&running, |account| binds_up(account) == 2).await?;
    assert_eq!(account["addresses"].as_array().map(Vec::len), Some(2));

    // The parts of a long text come over both, the last one first.
    let part = |text, number| Message::plain("33611111111", text).part(7, 2, number);
    one.deliver(&part("au parc.", 2)).await?;
    two.deliver(&part("Un banc est cassé ", 1)).await?;
    two.deliver(&Message::plain("33622222222", "Bonjour")).await?;
    let request = requests(&running, "channel=sms").await?;
    let long = request
        .iter()
        .find(|request| request["from"] == "+33611111111")
        .context("the long text")?;
    let target = format!("/v1/requests/{}/interactions", long["id"].as_str().context("no id")?);
    assert_eq!(running.rest().get(&target).await?["items"][0]["text"], "Un banc est cassé au parc.");

    // With a window of one, two replies are under way on a bind each.
    let replies = [
        reply(&running, "+33611111111", "Merci, premier").await?,
        reply(&running, "+33622222222", "Merci, second").await?,
    ];
    let (on_one, on_two) = (one.submitted().await?, two.submitted().await?);
    let (dies, lives) = if on_one.1 == "33611111111" { (0, 1) } else { (1, 0) };
    drop(one);
    state(&running, &replies[dies], "unknown").await?;
    shown(&running, |account| account["state"] == "up" && account["alarm"].is_string()).await?;
    let mut anew = smsc.accept().await?;
    anew.bound(BIND_TRANSCEIVER).await?;
    shown(&running, |account| binds_up(account) == 2 && account["alarm"].is_null()).await?;
    let target = format!("/v1/replies/{}", replies[lives]);
    assert_eq!(
        running.rest().get(&target).await?["state"],
        "queued",
        "it is under way on the bind that lives"
    );
    two.take(on_two.0, "77").await?;
    state(&running, &replies[lives], "submitted").await?;
    // Its receipt comes over the other one.
    anew.deliver(&Message::receipt(&on_two.1, "77", "DELIVRD")).await?;
    state(&running, &replies[lives], "delivered").await?;
    let account = shown(&running, |account| {
        account["binds"][0]["last_receipt"].is_string() || account["binds"][1]["last_receipt"].is_string()
    })
    .await?;
    let binds = account["binds"].as_array().context("no binds")?;
    let sum = |member: &str| binds.iter().filter_map(|bind| bind[member].as_u64()).sum::<u64>();
    assert_eq!((sum("received"), sum("sent")), (4, 2));
    assert!(binds.iter().any(|bind| bind["round_trip_ms"].is_number()) && binds.iter().all(|bind| bind["window"] == 1));
    let unanswered = json!([{"error": "no response", "count": 1}]);
    assert!(binds.iter().any(|bind| bind["errors"] == unanswered), "{binds:?}");
    nothing_personal_is_captured(&running).await?;
    let stopping = running.stop();
    let unbinding = async {
        for link in [&mut two, &mut anew] {
            link.unbound().await?;
        }
        Ok(())
    };
    let (stopped, unbound) = tokio::join!(stopping, unbinding);
    stopped.and(unbound)
}

/// Red when a field that is not known to be harmless is copied.
async fn nothing_personal_is_captured(running: &Running) -> Result<()> {
    let answered = running.rest().call("GET", "/v1/channels/smpp/short-number/capture", None).await?;
    ensure!(answered.status == 200, "{}", answered.status);
    let text = String::from_utf8(answered.body.clone())?;
    let hexadecimal = |secret: &str| secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for secret in ["secret", "1111111", "2222222", "banc", "Bonjour", "Merci"] {
        ensure!(
            !text.contains(secret) && !text.contains(&hexadecimal(secret)),
            "{secret} is in the capture"
        );
    }
    let items = answered.json()?["items"].as_array().cloned().unwrap_or_default();
    let commands: Vec<&str> = items.iter().filter_map(|item| item["command"].as_str()).collect();
    for command in [
        "bind_transceiver",
        "bind_transceiver_resp",
        "deliver_sm",
        "deliver_sm_resp",
        "submit_sm",
        "submit_sm_resp",
    ] {
        ensure!(commands.contains(&command), "{command}: {commands:?}");
    }
    let deliver = items.iter().find(|item| item["command"] == "deliver_sm").context("no deliver_sm")?;
    ensure!(deliver["direction"] == "in" && deliver["bind"].is_string(), "{deliver}");
    let source = json!({"name": "source_addr", "value": "33•••••11"});
    ensure!(
        deliver["fields"].as_array().is_some_and(|fields| fields.contains(&source)),
        "{deliver}"
    );
    let other = running.rest().call("GET", "/v1/channels/smpp/another/capture", None).await?;
    ensure!(other.status == 404, "{}", other.status);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transmitter_and_a_receiver_are_one_account() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, "bind = \"separate\"\n")).await?;
    let (mut receiver, mut transmitter) = (None, None);
    for _ in 0..2 {
        let mut link = smsc.accept().await?;
        let bind = link.next().await?.context("no bind")?;
        link.send(bind.id | pdu::RESPONSE, 0, bind.sequence, b"smsc\0").await?;
        match bind.id {
            BIND_RECEIVER => receiver = Some(link),
            BIND_TRANSMITTER => transmitter = Some(link),
            other => anyhow::bail!("{other:#x}"),
        }
    }
    let (mut receiver, mut transmitter) = (receiver.context("no receiver")?, transmitter.context("no transmitter")?);
    let account = shown(&running, |account| binds_up(account) == 2).await?;
    let names = ["1-transmitter", "1-receiver"];
    assert!(
        names
            .iter()
            .zip(0..)
            .all(|(name, at): (_, usize)| account["binds"][at]["name"] == *name),
        "{account}"
    );
    receiver.deliver(&Message::plain("33611111111", "Bonjour")).await?;
    let id = reply(&running, "+33611111111", "Merci").await?;
    let (sequence, to) = transmitter.submitted().await?;
    transmitter.take(sequence, "A1").await?;
    receiver.deliver(&Message::receipt(&to, "A1", "DELIVRD")).await?;
    state(&running, &id, "delivered").await?;
    drop(receiver);
    shown(&running, |account| account["state"] == "up" && account["binds"][1]["state"] != "up").await?;
    running.kill().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_that_is_refused_is_halted_in_sight_while_the_other_works() -> Result<()> {
    const BIND_FAILED: u32 = 0x0D;
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, "binds = 2\n")).await?;
    let (mut works, mut refused) = (smsc.accept().await?, smsc.accept().await?);
    works.bound(BIND_TRANSCEIVER).await?;
    let bind = refused.expect(BIND_TRANSCEIVER).await?;
    refused
        .send(BIND_TRANSCEIVER | pdu::RESPONSE, BIND_FAILED, bind.sequence, b"")
        .await?;
    let halted = |account: &Value| {
        let mut binds = account["binds"].as_array().into_iter().flatten();
        let seen = |bind: &Value| bind["state"] == "halted" && bind["next_attempt"].is_string() && bind["errors"][0]["count"] == 1;
        account["state"] == "up" && account["alarm"].is_string() && binds.any(seen)
    };
    shown(&running, halted).await?;
    works.deliver(&Message::plain("33611111111", "Bonjour")).await?;
    // Not before a minute has passed, jitter aside; the works of the other are not disturbed.
    ensure!(
        timeout(Duration::from_secs(3), smsc.0.accept()).await.is_err(),
        "it knocks again at once"
    );
    // With the last one that works the account begins anew.
    drop(works);
    let (mut one, mut two) = (smsc.accept().await?, smsc.accept().await?);
    one.bound(BIND_TRANSCEIVER).await?;
    two.bound(BIND_TRANSCEIVER).await?;
    shown(&running, |account| binds_up(account) == 2 && account["alarm"].is_null()).await?;
    running.kill().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tls_only_to_whom_an_authority_vouches_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    authority.issue("right", "127.0.0.1")?;
    authority.issue("wrong", "192.0.2.1")?;
    let smsc = Smsc::listen().await?;
    let more = format!("security = \"tls\"\nca_file = \"{}\"\n", authority.file("ca", "pem").display());
    let (_scratch, running) = run(&account(&at(&smsc)?, &more)).await?;
    let stranger = smsc.accept().await?;
    ensure!(
        authority.accept(stranger.stream, "wrong").await.is_err(),
        "another's certificate is believed"
    );
    shown(&running, |account| {
        account["last_error"].as_str().is_some_and(|error| error.contains("TLS"))
    })
    .await?;
    let mut link = Link::new(authority.accept(smsc.accept().await?.stream, "right").await?);
    link.bound(BIND_TRANSCEIVER).await?;
    let account = shown(&running, |account| account["state"] == "up").await?;
    assert_eq!(account["addresses"][0], format!("tls:{}", smsc.address()?));
    link.deliver(&Message::plain("33611111111", "Bonjour")).await?;
    assert_eq!(requests(&running, "channel=sms").await?.len(), 1);
    let id = reply(&running, "+33611111111", "Merci").await?;
    let (sequence, _) = link.submitted().await?;
    link.take(sequence, "1").await?;
    state(&running, &id, "submitted").await?;
    running.kill().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_smsc_that_calls_is_bound_to_when_it_proves_who_it_is() -> Result<()> {
    const OUTBIND: u32 = 0x0B;
    let more =
        "outbind_listen = \"127.0.0.1:0\"\noutbind_allow = [\"127.0.0.1\"]\noutbind_system_id = \"smsc\"\noutbind_password = \"guest\"\n";
    let (_scratch, running) = run(&account("binds = 0", more)).await?;
    let account = shown(&running, |account| account["state"] == "up").await?;
    let address = account["addresses"][0]
        .as_str()
        .and_then(|address| address.strip_prefix("outbind:"));
    let address: SocketAddr = address.context("no address")?.parse()?;
    let call = |from: &'static str| async move {
        let socket = TcpSocket::new_v4()?;
        socket.bind(format!("{from}:0").parse()?)?;
        anyhow::Ok(Link::new(socket.connect(address).await?))
    };
    // Another password, another command, more than an outbind: closed without a word.
    let wrong: [(u32, &[u8]); 4] = [
        (OUTBIND, b"smsc\0other\0"),
        (OUTBIND, b"smcs\0guest\0"),
        (BIND_RECEIVER, b"smsc\0guest\0"),
        (OUTBIND, &[0; 4000]),
    ];
    for (id, body) in wrong {
        let mut link = call("127.0.0.1").await?;
        let _ = link.send(id, 0, 1, body).await;
        ensure!(link.next().await?.is_none(), "something was said to a stranger");
    }
    // One who may not even try.
    let mut foreign = call("127.0.0.2").await?;
    let _ = foreign.send(OUTBIND, 0, 1, b"smsc\0guest\0").await;
    ensure!(foreign.next().await?.is_none(), "something was said to a foreigner");

    let mut link = call("127.0.0.1").await?;
    link.send(OUTBIND, 0, 1, b"smsc\0guest\0").await?;
    link.bound(BIND_RECEIVER).await?;
    let account = shown(&running, |account| binds_up(account) == 1).await?;
    assert_eq!(account["binds"][0]["name"], "outbind-1");
    link.deliver(&Message::plain("33611111111", "Bonjour")).await?;
    assert_eq!(requests(&running, "channel=sms").await?.len(), 1);
    drop(link);
    let account = shown(&running, |account| account["binds"].is_null()).await?;
    assert_eq!(account["state"], "up", "it is there for the next call");
    running.stop().await
}

/// The session's own story tells it on virtual time, with the defaults; here with the real timers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_half_open_is_found_and_made_anew() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, "enquire_seconds = 1\nresponse_seconds = 1\n")).await?;
    let mut deaf = smsc.accept().await?;
    deaf.bound(BIND_TRANSCEIVER).await?;
    running.up("smpp").await?;
    // Whatever it asks, nobody answers: an enquire_link, then the end.
    let mut all = Vec::new();
    timeout(Duration::from_secs(20), deaf.stream.read_to_end(&mut all))
        .await
        .context("it is not given up")??;
    assert_eq!(pdu::header(&all).map(|header| header[1]), Some(pdu::ENQUIRE_LINK));
    let mut anew = smsc.accept().await?;
    anew.bound(BIND_TRANSCEIVER).await?;
    let account = shown(&running, |account| account["state"] == "up").await?;
    assert_eq!(account["last_error"], "the SMSC does not answer");
    // Who asks us is answered, and told goodbye.
    anew.send(pdu::ENQUIRE_LINK, 0, 5, b"").await?;
    assert_eq!(anew.expect(pdu::ENQUIRE_LINK | pdu::RESPONSE).await?.sequence, 5);
    anew.send(pdu::UNBIND, 0, 6, b"").await?;
    assert_eq!(anew.expect(pdu::UNBIND | pdu::RESPONSE).await?.sequence, 6);
    ensure!(anew.next().await?.is_none(), "the link ends with the unbind");
    running.kill().await
}
