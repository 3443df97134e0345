//! The steps themselves.

use std::time::{Duration, Instant};

use super::table::{Jobs, Which};
use crate::access::{Idempotency, Logins};
use crate::artefact::{Blobs, Uploads};
use crate::audit::Audit;
use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::contact::{Intake, Recordings};
use crate::feed::Feed;
use crate::outbox::Outbox;
use crate::webhook::Webhooks;

macro_rules! steps {
    ($($variant:ident = $name:literal every $pause:expr, $doc:literal;)*) => {
        /// A kind of job.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Step { $(#[doc = $doc] $variant,)* }

        impl Step {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in the table.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Milliseconds between two runs.
            const fn pause(self) -> Millis {
                match self { $(Self::$variant => $pause,)* }
            }
        }
    };
}

const SECOND: Millis = 1000;
const HOUR: Millis = 3600 * SECOND;

steps! {
    ExpireLeases = "outbox.expire_leases" every 10 * SECOND, "Texts whose channel died while sending them become unknown, those that waited longer than they live are rejected, and operators are asked about those of which nothing was heard while they lived.";
    ExpireReceipts = "outbox.expire_receipts" every 10 * 60 * SECOND, "Texts of which nothing was heard an hour after the end of their validity become unknown.";
    ExpireParts = "intake.expire_parts" every 30 * SECOND, "Long texts that stay incomplete are delivered as they are.";
    PurgeAudit = "audit.purge" every 24 * HOUR, "Rows of the audit trail whose time is over are taken out.";
    PurgeRecordings = "recordings.purge" every HOUR, "Recordings whose time is over are erased, with an event each, unless they are held.";
    ForgetEvents = "feed.forget" every HOUR, "Events of the feed whose time is over are removed, where `[feed] keep_days` says so.";
    Upload = "blobs.upload" every 5 * SECOND, "Closed recordings and other files are moved to object storage, where there is one.";
    TrimDeliveries = "webhooks.trim" every 60 * SECOND, "Deliveries of webhooks that are over and old, or too many, are removed.";
    Forget = "store.forget" every HOUR, "Remembered deliveries and answers that have served are dropped.";
}

/// What is run one after the other. Object storage that hangs must not hold up the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Everything but uploads.
    Main,
    /// Uploads alone.
    Uploads,
}

/// Of a run of uploads; the piece that is under way then is ended.
const UPLOADING: Duration = Duration::from_secs(30);
/// How long an answer is remembered for its Idempotency-Key.
const ANSWER_MS: Millis = 48 * HOUR;

/// Does what is due, through the doors that own the work.
#[derive(Debug, Clone)]
pub struct Runner {
    pub(crate) jobs: Jobs,
    pub(crate) intake: Intake,
    pub(crate) outbox: Outbox,
    pub(crate) idempotency: Idempotency,
    pub(crate) logins: Logins,
    pub(crate) audit: Audit,
    pub(crate) recordings: Recordings,
    pub(crate) feed: Feed,
    pub(crate) feed_keep: Option<Millis>,
    pub(crate) blobs: Blobs,
    pub(crate) uploads: Uploads,
    pub(crate) webhooks: Webhooks,
}

impl Runner {
    /// Enters the steps that care for everything, and clears up after an earlier process. Once at start.
    ///
    /// # Errors
    /// The store's.
    pub async fn enter(&self) -> Result<()> {
        for step in Step::ALL {
            if *step == Step::Upload {
                // The folder is this process's alone: whoever is still said to be at it is dead, and there may be no object
                // storage any more.
                self.jobs.remove(step.as_str(), "").await?;
            }
            if *step != Step::Upload || self.uploads.is_on() {
                self.jobs.ensure(step.as_str(), "", time::now()).await?;
            }
        }
        self.idempotency.release_abandoned().await
    }

    /// Whether there is anything to run in a lane.
    #[must_use]
    pub fn has(&self, lane: Lane) -> bool {
        lane == Lane::Main || self.uploads.is_on()
    }

    /// Runs the job of a lane that has been due longest and returns its name, or `None` when nothing is due.
    ///
    /// # Errors
    /// The store's, when the table itself cannot be used; a failing step is noted in the table instead.
    pub async fn run_due(&self, lane: Lane) -> Result<Option<String>> {
        let which = match lane {
            Lane::Main => Which::But(Step::Upload.as_str()),
            Lane::Uploads => Which::Only(Step::Upload.as_str()),
        };
        let Some(job) = self.jobs.lease(time::now(), which).await? else {
            return Ok(None);
        };
        let step = Step::ALL.iter().copied().find(|step| step.as_str() == job.kind);
        let outcome = match step {
            Some(step) => self
                .step(step)
                .await
                .map(|more| time::now() + if more { 0 } else { step.pause() })
                .map_err(|error| error.to_string()),
            None => Err("this build knows no such job".to_owned()),
        };
        self.jobs.finish(&job, time::now(), outcome).await?;
        Ok(Some(job.kind))
    }

    /// Says whether there is more to do at once.
    async fn step(&self, step: Step) -> Result<bool> {
        let now = time::now();
        match step {
            Step::ExpireLeases => {
                self.outbox.expire_queued(now).await?;
                self.outbox.queue_queries(now).await?;
                self.outbox.expire_leases().await.map(|_| false)
            }
            Step::ExpireReceipts => self.outbox.expire_receipts(now).await.map(|_| false),
            Step::ExpireParts => self.intake.expire_parts(now).await.map(|_| false),
            Step::Forget => {
                self.idempotency.forget(now - ANSWER_MS).await?;
                self.logins.forget(now).await?;
                self.intake.forget(now).await.map(|_| false)
            }
            Step::PurgeRecordings => self.recordings.purge(&self.blobs, now).await.map(|_| false),
            Step::TrimDeliveries => self.webhooks.trim(now).await,
            Step::PurgeAudit => self.audit.purge(now).await.map(|_| false),
            Step::ForgetEvents => match self.feed_keep {
                Some(keep) => self.feed.forget(now - keep).await,
                None => Ok(false),
            },
            Step::Upload => self.uploads.run(Instant::now() + UPLOADING).await,
        }
    }
}
