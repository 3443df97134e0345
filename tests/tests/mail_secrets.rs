//! Passwords, secrets and tokens of mail: a real Dovecot that takes tokens and asks the server that gave them, and logs as loud as they
//! get, in which none of them stands.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smtp_sink::{Refusal, SmtpSink};
use voxea_tests::token_server::TokenServer;

const PATIENCE: Duration = Duration::from_secs(60);
const CLIENT_SECRET: &str = "client-hunter2-secret";
const REFRESH: &str = "refresh-hunter3-token";
const ACCESS: &str = "access-hunter4-token";
const WRONG: &str = "wrong-hunter5-password";
const SMTP: &str = "smtp-hunter6-password";
const WRONG_CLIENT: &str = "client-hunter7-wrong";

struct Town {
    dovecot: Dovecot,
    sink: SmtpSink,
    tokens: TokenServer,
}

impl Town {
    async fn start() -> Result<Self> {
        let tokens = TokenServer::start("mairie", CLIENT_SECRET, ACCESS).await?;
        Ok(Self {
            dovecot: Dovecot::start_tokens(tokens.address).await?,
            sink: SmtpSink::start().await?,
            tokens,
        })
    }

    fn mailbox(&self, name: &str, password: &str) -> String {
        format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"{name}\"\n{password}\n",
            self.dovecot.port
        )
    }

    fn submission(&self, credentials: &str) -> String {
        format!(
            "[mailbox.submission]\naddress = \"{}\"\nsecurity = \"none\"\nfrom = \"Mairie <mairie@example.fr>\"\n{credentials}\n",
            self.sink.address
        )
    }

    fn oauth(&self, client_secret: &str, mechanism: &str) -> String {
        format!(
            "[mailbox.oauth]\ntoken_url = \"http://{}/token\"\nclient_id = \"voxea\"\nclient_secret = \"{client_secret}\"\n\
             grant = \"refresh_token\"\nrefresh_token = \"{REFRESH}\"\nmechanism = \"{mechanism}\"\n",
            self.tokens.address
        )
    }

    /// A mail to a mailbox, by a client that knows its password.
    async fn deliver(&self, user: &str, from: &str) -> Result<()> {
        let mail = format!("From: {from}\r\nTo: mairie@example.fr\r\nSubject: Trou\r\nMessage-ID: <{from}>\r\n\r\nUn trou.\r\n");
        self.dovecot.client(user).await?.append("INBOX", mail.as_bytes()).await
    }
}

fn state<'a>(channels: &'a Value, name: &str) -> &'a Value {
    let items = channels["items"].as_array().into_iter().flatten();
    items.clone().find(|one| one["name"] == name).unwrap_or(&Value::Null)
}

async fn is(running: &Running, name: &str, wanted: &str) -> Result<Value> {
    let as_wanted = |shown: &Value| state(shown, name)["state"] == wanted;
    let shown = running.rest().until("/v1/channels", PATIENCE, as_wanted).await?;
    Ok(state(&shown, name).clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dovecot_takes_tokens_that_are_good_and_no_others() -> Result<()> {
    for mechanism in ["xoauth2", "oauthbearer"] {
        let town = Town::start().await?;
        let channels = town.mailbox("mairie", "") + &town.submission("user = \"mairie\"") + &town.oauth(CLIENT_SECRET, mechanism);
        let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
        let running = scratch.run().await?;
        running.up("mailbox").await?;
        town.deliver("mairie", "zoe@example.org").await?;
        town.sink.wait(1, PATIENCE).await?;
        ensure!(requests(&running, "channel=email").await?.len() == 1);
        ensure!(town.tokens.asked() > 0, "Dovecot asks the server that gave the token");
        ensure!(town.tokens.forms().len() == 1, "one token serves both servers");
        running.stop().await?;

        // A kept token that is good no longer is given up for a new one; the old one is Dovecot's to refuse.
        town.tokens.revoke();
        let running = scratch.run().await?;
        running.up("mailbox").await?;
        town.deliver("mairie", "luc@example.org").await?;
        town.sink.wait(2, PATIENCE).await?;
        running.stop().await?;
    }
    Ok(())
}

/// What the daemon logs while everything of mail happens to it, good and bad.
async fn log(mutant: &str) -> Result<String> {
    let town = Town::start().await?;
    let user = format!("user = \"voirie\"\npassword = \"{SMTP}\"");
    let channels = [
        town.mailbox("mairie", ""),
        town.submission("user = \"mairie\""),
        town.oauth(CLIENT_SECRET, "xoauth2"),
        town.mailbox("voirie", &format!("password = \"{PASSWORD}\"")),
        town.submission(&user),
        town.mailbox("refuse", &format!("password = \"{WRONG}\"")),
        town.mailbox("sans", ""),
        town.oauth(WRONG_CLIENT, "oauthbearer"),
    ]
    .concat();
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    scratch.environment = vec![set("VOXEA_LOG", "trace"), set("VOXEA_MUTANT", mutant)];
    let running = scratch.run().await?;
    is(&running, "mairie", "up").await?;
    is(&running, "voirie", "up").await?;
    for refused in ["refuse", "sans"] {
        let shown = is(&running, refused, "halted").await?;
        let words = shown["last_error"].as_str().context("no words")?;
        ensure!(!words.contains("hunter"), "{words}");
    }
    town.sink.refuse([Refusal::Close, Refusal::Data("451 4.3.0 later".to_owned())]);
    town.deliver("mairie", "zoe@example.org").await?;
    town.deliver("voirie", "luc@example.org").await?;
    town.sink.wait(2, PATIENCE).await?;
    let logins = town.sink.logins();
    ensure!(
        logins.iter().any(|login| login.starts_with("AUTH XOAUTH2")) && logins.iter().any(|login| login.starts_with("AUTH PLAIN")),
        "{logins:?}"
    );
    let log = running.log();
    running.stop().await?;
    ensure!(
        log.contains("\"level\":\"TRACE\"") || log.contains("\"level\":\"DEBUG\""),
        "the log is not loud"
    );
    ensure!(log.contains("api listening"), "its beginning was not kept");
    Ok(log)
}

/// Everything that may not stand in a log, with the forms in which it travels.
fn secrets() -> Vec<String> {
    let mut all = Vec::new();
    for secret in [CLIENT_SECRET, REFRESH, ACCESS, WRONG, SMTP, WRONG_CLIENT] {
        all.push(secret.to_owned());
        all.push(STANDARD.encode(secret));
    }
    // RFC 4616 and Google's XOAUTH2: what a login is on the wire.
    for (user, secret) in [("voirie", SMTP), ("voirie", PASSWORD), ("refuse", WRONG)] {
        all.push(STANDARD.encode(format!("\0{user}\0{secret}")));
        all.push(format!("LOGIN \"{user}\" \"{secret}\""));
        all.push(format!("{user} {secret}"));
    }
    for number in 1..=9 {
        let shown = format!("user=mairie\x01auth=Bearer {ACCESS}-{number}\x01\x01");
        all.extend([
            STANDARD.encode(&shown),
            STANDARD_NO_PAD.encode(&shown),
            URL_SAFE_NO_PAD.encode(&shown),
        ]);
    }
    all.extend(["zoe@example.org", "luc@example.org", "Un trou."].map(str::to_owned));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_password_secret_or_token_of_mail_reaches_a_log() -> Result<()> {
    let log = log("").await?;
    let found: Vec<String> = secrets().into_iter().filter(|secret| log.contains(secret.as_str())).collect();
    ensure!(found.is_empty(), "{found:?} stand in the log");
    // The gate can fail.
    let loud = self::log("secrets_in_log").await?;
    let found: Vec<String> = secrets().into_iter().filter(|secret| loud.contains(secret.as_str())).collect();
    ensure!(
        [CLIENT_SECRET, REFRESH, WRONG]
            .iter()
            .all(|wanted| found.iter().any(|found| found.contains(wanted))),
        "only {found:?} were seen"
    );
    Ok(())
}
