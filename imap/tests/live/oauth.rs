//! Tokens in the place of passwords: a token server on this machine, and an IMAP server that knows bytes.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use voxea_core::base::exit::Exit;
use voxea_core::base::secret::Secret;
use voxea_imap::oauth::{Asking, Endpoint, Grant, Mechanism, Tokens};
use voxea_tests::smtp_sink::SmtpSink;

use crate::peer::{Peer, Say};
use crate::stand::{Stand, mail};

/// Answers each question with the next of its answers, and the last one from then on.
struct TokenServer {
    port: u16,
    forms: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TokenServer {
    async fn start(answers: &'static [(u16, &'static str)]) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let forms: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&forms);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                let form = loop {
                    let Ok(read @ 1..) = stream.read(&mut chunk).await else {
                        break None;
                    };
                    request.extend_from_slice(&chunk[..read]);
                    if let Some(form) = body(&request) {
                        break Some(form);
                    }
                };
                let number = {
                    let mut forms = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    forms.extend(form);
                    forms.len()
                };
                let (status, text) = answers[(number.max(1) - 1).min(answers.len() - 1)];
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Ok(Self { port, forms, task })
    }

    fn forms(&self) -> Vec<String> {
        self.forms.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tokens(&self, grant: Grant, mechanism: Mechanism) -> Result<Arc<Tokens>> {
        let endpoint = Endpoint::new(&format!("http://127.0.0.1:{}/token", self.port), None).map_err(anyhow::Error::msg)?;
        Ok(Arc::new(Tokens::new(Asking {
            endpoint,
            client_id: "voxea".to_owned(),
            client_secret: Some(Secret::new("hunter2")),
            scope: "mail".to_owned(),
            grant,
            mechanism,
        })))
    }
}

/// The body of a request that is whole.
fn body(request: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok())?;
    (body.len() >= length).then(|| body.to_owned())
}

fn logins(peer: &Peer) -> Vec<String> {
    let heard = peer.heard();
    heard.into_iter().filter(|command| command.starts_with("AUTHENTICATE")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_kept_and_renewed() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let server = TokenServer::start(&[
        (200, r#"{"access_token":"tok-1","expires_in":3600}"#),
        (200, r#"{"access_token":"tok-2","expires_in":1}"#),
        (200, r#"{"access_token":"tok-3","expires_in":3600}"#),
    ])
    .await?;
    // The server takes the first one once only.
    let takes = |number: usize, command: &str| match command.contains("Bearer tok-1\x01") && number > 1 {
        true => Say::Bytes(b"{tag} NO [AUTHENTICATIONFAILED] expired\r\n".to_vec()),
        false => Say::Well,
    };
    let peer = Peer::start("IDLE", takes).await?;
    let mut config = stand.config(None);
    config.server.port = peer.port;
    config.password = Secret::new("");
    config.oauth = Some(server.tokens(Grant::ClientCredentials, Mechanism::Xoauth2)?);
    let run = stand.run(config.clone());
    stand.follows().await?;
    ensure!(run.stop().await == Exit::Stopped);
    ensure!(
        logins(&peer) == ["AUTHENTICATE XOAUTH2 user=mairie\x01auth=Bearer tok-1\x01\x01"],
        "{:?}",
        logins(&peer)
    );
    ensure!(server.forms() == ["client_id=voxea&client_secret=hunter2&scope=mail&grant_type=client_credentials"]);

    // A kept token that the server takes no longer: the next one is fetched before anybody is alarmed.
    let exit = stand.run(config.clone()).ended().await;
    ensure!(
        matches!(&exit, Exit::Retry(words) if words.contains("token") && !words.contains("tok-1")),
        "{exit:?}"
    );
    ensure!(
        peer.heard().contains(&"ANSWERED []".to_owned()),
        "the refusal's challenge is answered"
    );
    let run = stand.run(config.clone());
    stand
        .until("the second token serves", async || {
            Ok(logins(&peer).last().is_some_and(|login| login.contains("tok-2")))
        })
        .await?;
    ensure!(run.stop().await == Exit::Stopped);
    // It lives a second, and is renewed after half of it.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let run = stand.run(config.clone());
    stand
        .until("the third token serves", async || {
            Ok(logins(&peer).last().is_some_and(|login| login.contains("tok-3")))
        })
        .await?;
    ensure!(run.stop().await == Exit::Stopped);
    let run = stand.run(config);
    stand.until("it is kept", async || Ok(logins(&peer).len() == 5)).await?;
    ensure!(run.stop().await == Exit::Stopped);
    ensure!(server.forms().len() == 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_replaced_by_the_one_that_comes_with_the_answer() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let server = TokenServer::start(&[
        (200, r#"{"access_token":"tok-1","expires_in":0,"refresh_token":"second"}"#),
        (200, r#"{"access_token":"tok-2"}"#),
    ])
    .await?;
    let peer = Peer::start("IDLE", |_, _| Say::Well).await?;
    let mut config = stand.config(None);
    config.server.port = peer.port;
    config.oauth = Some(server.tokens(Grant::RefreshToken(Secret::new("first")), Mechanism::Oauthbearer)?);
    for _ in 0..2 {
        let run = stand.run(config.clone());
        stand.follows().await?;
        ensure!(run.stop().await == Exit::Stopped);
    }
    let forms = server.forms();
    ensure!(
        forms[0].ends_with("refresh_token=first") && forms[1].ends_with("refresh_token=second"),
        "{forms:?}"
    );
    let first = logins(&peer).into_iter().next().context("no login")?;
    ensure!(
        first
            == format!(
                "AUTHENTICATE OAUTHBEARER n,a=mairie,\x01host=127.0.0.1\x01port={}\x01auth=Bearer tok-1\x01\x01",
                peer.port
            ),
        "{first:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_halts_and_a_token_server_that_is_away_does_not() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let peer = Peer::start("IDLE", |_, command| match command.starts_with("AUTHENTICATE") {
        true => Say::Bytes(b"{tag} NO AUTHENTICATE failed.\r\n".to_vec()),
        false => Say::Well,
    })
    .await?;
    let mut config = stand.config(None);
    config.server.port = peer.port;
    for (answers, denied, says) in [
        (
            &[(401, r#"{"error":"invalid_client","error_description":"hunter2"}"#)][..],
            true,
            "client_secret_file",
        ),
        (&[(503, "")][..], false, "no token now"),
        // A token that is new and still not taken: only the operator can help.
        (&[(200, r#"{"access_token":"new"}"#)][..], true, "a token that was just given"),
    ] {
        let server = TokenServer::start(answers).await?;
        config.oauth = Some(server.tokens(Grant::ClientCredentials, Mechanism::Xoauth2)?);
        let exit = stand.run(config.clone()).ended().await;
        let (Exit::Denied(words) | Exit::Retry(words)) = &exit else {
            anyhow::bail!("{exit:?}")
        };
        ensure!(matches!(exit, Exit::Denied(_)) == denied && words.contains(says), "{exit:?}");
        ensure!(!words.contains("hunter2"), "{words}");
    }
    let server = TokenServer::start(&[(200, "{}")]).await?;
    config.oauth = Some(server.tokens(Grant::ClientCredentials, Mechanism::Xoauth2)?);
    drop(server);
    let exit = stand.run(config).ended().await;
    ensure!(matches!(&exit, Exit::Retry(words) if words.contains("token server")), "{exit:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_submission_shows_the_same_token() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let sink = SmtpSink::start().await?;
    let server = TokenServer::start(&[(200, r#"{"access_token":"tok-1","expires_in":3600}"#)]).await?;
    let peer = Peer::start("IDLE", |_, _| Say::Well).await?;
    let mut config = stand.config(Some(&sink));
    config.server.port = peer.port;
    config.oauth = Some(server.tokens(Grant::ClientCredentials, Mechanism::Xoauth2)?);
    let submission = config.submission.as_mut().context("no submission")?;
    (submission.credentials, submission.xoauth2) = (Some(("mairie".to_owned(), Secret::new(""))), true);
    let found = voxea_imap::probe(&config).await.map_err(anyhow::Error::msg)?;
    ensure!(found.contains("submission by"), "{found}");
    let run = stand.run(config);
    stand.follows().await?;
    peer.deliver(1, &mail(1, "Bonjour.\r\n"));
    sink.wait(1, std::time::Duration::from_secs(20)).await?;
    ensure!(run.stop().await == Exit::Stopped);
    let shown = BASE64.encode("user=mairie\x01auth=Bearer tok-1\x01\x01");
    let logins = sink.logins();
    ensure!(logins.iter().all(|login| *login == format!("AUTH XOAUTH2 {shown}")), "{logins:?}");
    ensure!(server.forms().len() == 1, "one token for both servers");
    Ok(())
}
