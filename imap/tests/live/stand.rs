//! What every story needs: a Dovecot, a core in a temporary folder, and the mailbox's task.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use voxea_core::base::actor::Actor;
use voxea_core::base::exit::Exit;
use voxea_core::base::settings::{Problems, Section, parse};
use voxea_core::base::stop::Stop;
use voxea_core::channel::State;
use voxea_core::request::{Filter, RequestRow};
use voxea_core::{Core, CoreConfig};
use voxea_imap::Config;
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::smtp_sink::SmtpSink;

/// How long anything may take.
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Stand {
    pub(crate) dovecot: Dovecot,
    pub(crate) core: Core,
    folder: TempDir,
}

/// The mailbox's task.
pub(crate) struct Run {
    task: JoinHandle<Exit>,
    stop: Stop,
}

impl Run {
    pub(crate) async fn stop(self) -> Exit {
        self.stop.soft.cancel();
        self.ended().await
    }

    pub(crate) async fn ended(self) -> Exit {
        match timeout(WITHIN, self.task).await {
            Ok(Ok(exit)) => exit,
            Ok(Err(error)) => Exit::Halt(format!("the task panicked: {error}")),
            Err(_) => Exit::Halt("the task does not end".to_owned()),
        }
    }
}

impl Stand {
    pub(crate) async fn start() -> Result<Option<Self>> {
        Self::with(None).await
    }

    pub(crate) async fn start_tls() -> Result<Option<Self>> {
        let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        Self::with(Some((signed.cert.pem(), signed.signing_key.serialize_pem()))).await
    }

    async fn with(tls: Option<(String, String)>) -> Result<Option<Self>> {
        if !std::path::Path::new("/usr/sbin/dovecot").exists() {
            // Said through the harness's own writer, which a run with --nocapture shows.
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: dovecot-imapd is not installed\n")?;
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let dovecot = match &tls {
            None => Dovecot::start().await?,
            Some((certificate, key)) => {
                std::fs::write(folder.path().join("ca.pem"), certificate)?;
                Dovecot::start_tls(certificate, key).await?
            }
        };
        let core = Core::open(CoreConfig::embedded(folder.path())).await?;
        Ok(Some(Self { dovecot, core, folder }))
    }

    pub(crate) fn config(&self, sink: Option<&SmtpSink>) -> Config {
        self.config_with(sink, "none")
    }

    pub(crate) fn config_with(&self, sink: Option<&SmtpSink>, security: &str) -> Config {
        let port = if security == "tls" {
            self.dovecot.tls_port
        } else {
            self.dovecot.port
        };
        let mut text = format!(
            "name = \"mairie\"\naddress = \"127.0.0.1:{port}\"\nsecurity = \"{security}\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\n"
        );
        if security != "none" {
            text.push_str("ca_file = \"ca.pem\"\n");
        }
        if let Some(sink) = sink {
            text.push_str(&format!(
                "[submission]\naddress = \"{}\"\nsecurity = \"none\"\nfrom = \"Mairie de Saint-Exemple <mairie@example.fr>\"\n",
                sink.address
            ));
        }
        let node = parse(&text).unwrap_or_else(|(line, words)| unreachable!("line {line}: {words}"));
        let problems = Problems::new();
        let config = Config::read(&mut Section::root(&node, self.folder.path(), &problems), "Europe/Paris");
        let problems = problems.into_sorted();
        assert!(problems.is_empty(), "{problems:?}");
        config
    }

    pub(crate) fn run(&self, config: Config) -> Run {
        let stop = Stop::new();
        let reporter = self.core.channels.register(config.account());
        let task = tokio::spawn(voxea_imap::run(Arc::new(config), self.core.clone(), reporter, stop.clone()));
        Run { task, stop }
    }

    /// Waits until the mailbox is followed: its place is saved, so that what comes now counts as new.
    pub(crate) async fn follows(&self) -> Result<()> {
        self.until("the mailbox is followed", async || {
            let status = self.core.channels.list().into_iter().find(|status| status.account.name == "mairie");
            let up = status.is_some_and(|status| status.state == State::Up);
            let account = voxea_core::base::account::Account::new(voxea_core::base::account::Kind::Mailbox, "mairie");
            Ok(up
                && self
                    .core
                    .mailboxes
                    .place(&account, "INBOX")
                    .await?
                    .is_some_and(|place| place.imported))
        })
        .await
    }

    /// Waits until there are so many requests, and no more.
    pub(crate) async fn requests(&self, count: usize) -> Result<Vec<RequestRow>> {
        self.until("the requests are there", async || Ok(self.all().await?.len() >= count))
            .await?;
        let all = self.all().await?;
        if all.len() > count {
            bail!("{} requests instead of {count}", all.len());
        }
        Ok(all)
    }

    pub(crate) async fn all(&self) -> Result<Vec<RequestRow>> {
        let mut rows = Vec::new();
        loop {
            let after = rows.last().map(|row: &RequestRow| row.position);
            let page = self
                .core
                .desk
                .list(
                    &Actor::System,
                    Filter {
                        after: after.unwrap_or(0),
                        ..Filter::default()
                    },
                    500,
                )
                .await?;
            let more = page.items.len() == 500;
            rows.extend(page.items);
            if !more {
                return Ok(rows);
            }
        }
    }

    pub(crate) async fn until(&self, what: &str, mut reached: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + WITHIN;
        while !reached().await? {
            if Instant::now() > deadline {
                bail!(
                    "not reached: {what}; {:?}; counters {:?}; {} requests",
                    self.core.channels.list(),
                    self.core.counters.snapshot(),
                    self.all().await?.len()
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// A mail from `citizenN@example.org` with a small PDF.
pub(crate) fn mail(n: usize, text: &str) -> Vec<u8> {
    format!(
        "From: =?utf-8?Q?Zo=C3=A9?= <citizen{n}@example.org>\r\nTo: mairie@example.fr\r\nDate: Tue, 24 Nov 2026 09:00:00 +0100\r\nMessage-ID: <m{n}@example.org>\r\nSubject: Demande {n}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--b\r\nContent-Type: application/pdf; name*=utf-8''plan%20%C3%A9t%C3%A9.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--b--\r\n"
    )
    .into_bytes()
}
