//! The same mails from the same Dovecot into Voxea's requests, and by fetchmail, getmail6 and mbsync into a Maildir.

pub mod ceiling;
pub mod fetchers;
pub mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::corpus::{Corpus, Mail, Totals};
use crate::dovecot::{Dovecot, Imap, PASSWORD};
use crate::kill::requests;
use crate::scratch::Scratch;

/// The user whose mailbox is read.
pub const USER: &str = "mairie";
/// Mails that are made and appended at once.
const PORTION: usize = 500;
/// Longest that one of them may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How somebody did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Mails a second, from the start of the program to the last mail that is safe.
    pub rate: f64,
    /// CPU of the program and its children a mail, microseconds.
    pub cpu: f64,
    /// The most memory that the program had, bytes.
    pub memory: u64,
}

/// A Dovecot with the mails in one mailbox.
pub struct Stand {
    /// The server.
    pub dovecot: Dovecot,
    /// What must come of them.
    pub totals: Totals,
    inbox: Imap,
}

impl Stand {
    /// Makes the mails and puts them there.
    ///
    /// # Errors
    /// When Dovecot is missing.
    pub async fn fill(seed: u64, mails: usize) -> Result<Self> {
        let dovecot = Dovecot::start().await?;
        let mut inbox = dovecot.client(USER).await?;
        // Added up over all of them: threads and repeats do not end at a portion.
        let (mut corpus, mut all) = (Corpus::new(seed, mails), Vec::new());
        loop {
            let mut portion: Vec<Mail> = corpus.by_ref().take(PORTION).collect();
            if portion.is_empty() {
                break;
            }
            inbox.append_all("INBOX", portion.iter().map(|mail| mail.bytes.as_slice())).await?;
            all.append(&mut portion);
        }
        let totals = Totals::of(&all);
        inbox.command("SELECT INBOX").await?;
        Ok(Self { dovecot, totals, inbox })
    }

    /// Makes every mail unread again.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn unread(&mut self) -> Result<()> {
        self.inbox.command("UID STORE 1:* -FLAGS.SILENT (\\Seen)").await?;
        let left = self.unseen().await?;
        ensure!(left == self.totals.mails, "{left} mails are unread");
        Ok(())
    }

    async fn unseen(&mut self) -> Result<usize> {
        self.inbox.command("NOOP").await?;
        let answers = self.inbox.command("UID SEARCH RETURN (COUNT) UNSEEN").await?;
        let line = answers.iter().find(|line| line.starts_with("* ESEARCH")).context("no ESEARCH")?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    }

    /// Voxea: from the start of the process until the last mail is marked, which is after its commit. PostgreSQL's CPU and
    /// memory are not in the figures.
    ///
    /// # Errors
    /// When the daemon fails, or the requests are not those that must be there.
    pub async fn voxea(&mut self, binary: &Path, store: &str, encrypted: bool) -> Result<Figures> {
        self.unread().await?;
        let channels = format!(
            "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"{USER}\"\npassword = \
             \"{PASSWORD}\"\nfirst = \"all\"\n",
            self.dovecot.port
        );
        let scratch = Scratch::new(binary, store, &channels).await?;
        if encrypted {
            scratch.new_master_key().await?;
        }
        let begun = Instant::now();
        let running = scratch.run().await?;
        while self.unseen().await? > 0 {
            ensure!(begun.elapsed() < PATIENCE, "not every mail came in:\n{}", running.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let elapsed = begun.elapsed();
        let figures = self.figures(elapsed, running.cpu()?, running.peak()?);
        let there = requests(&running, "channel=email").await?.len();
        ensure!(there == self.totals.requests, "{there} requests, not {}", self.totals.requests);
        running.stop().await?;
        Ok(figures)
    }

    /// The figures of one who was so long at these mails.
    #[must_use]
    pub fn figures(&self, elapsed: Duration, cpu: Duration, memory: u64) -> Figures {
        let mails = self.totals.mails as f64;
        Figures {
            rate: mails / elapsed.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / mails,
            memory,
        }
    }
}
