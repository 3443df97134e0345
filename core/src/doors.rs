//! Every door of the core, opened together.

use std::path::{Path, PathBuf};

use voxea_rules::calendar::Calendar;

use crate::access::{Idempotency, Keys, Lifetime, People};
use crate::artefact::{self, Blobs, Bucket, Uploads};
use crate::audit::{self, Audit};
use crate::base::count::Counters;
use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::base::wake::Wake;
use crate::catalogue::Catalogue;
use crate::channel::{Channels, Mailboxes};
use crate::citizen::{Citizens, OptOuts};
use crate::consumer::Consumers;
use crate::contact::{Attachments, Intake, Interactions, Recordings};
use crate::feed::Feed;
use crate::jobs::{Jobs, Runner};
use crate::outbox::Outbox;
use crate::request::Desk;
use crate::store::Store;
use crate::vault::{MasterKeys, Vault};
use crate::webhook::Webhooks;

/// What the core must know of its surroundings.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: String,
    /// The folder of files.
    pub blobs: PathBuf,
    /// Where they are moved to, when they do not stay there.
    pub bucket: Option<Bucket>,
    /// Whether to bring the database up to date first.
    pub migrate: bool,
    /// The body whose contacts these are: "Mairie de Saint-Exemple".
    pub organisation: String,
    /// The zone in which citizens read times: `Europe/Paris`.
    pub time_zone: String,
    /// When it is open, and by which holidays.
    pub calendar: Calendar,
    /// How long an agent's session lasts.
    pub sessions: Lifetime,
    /// How old an event of the feed becomes, in milliseconds; `None` for ever.
    pub feed_keep: Option<Millis>,
    /// The audit trail's key, and how long its rows are kept.
    pub audit: audit::Settings,
    /// The master keys, when personal data shall be encrypted.
    pub master_keys: Option<MasterKeys>,
}

impl CoreConfig {
    /// SQLite and files in a folder, brought up to date, and for the rest a town hall of the metropole whose services are
    /// always open.
    #[must_use]
    pub fn embedded(folder: &Path) -> Self {
        let time_zone = "Europe/Paris";
        Self {
            url: format!("sqlite:{}", folder.join("voxea.db").display()),
            blobs: folder.join("blobs"),
            bucket: None,
            migrate: true,
            organisation: "Mairie de Saint-Exemple".to_owned(),
            time_zone: time_zone.to_owned(),
            calendar: Calendar {
                time_zone: time::zone(time_zone),
                holidays: None,
                hours: "mo-su 00:00-24:00".parse().unwrap_or_default(),
                closures: Vec::new(),
            },
            sessions: Lifetime::default(),
            feed_keep: None,
            audit: audit::Settings::within(folder),
            master_keys: None,
        }
    }
}

/// The doors. Clones share them; each holder uses those it needs.
#[derive(Debug, Clone)]
pub struct Core {
    /// The body whose contacts these are.
    pub organisation: String,
    /// The zone in which citizens read times.
    pub time_zone: String,
    /// The database itself, for health checks.
    pub store: Store,
    /// Who did what, and who read what.
    pub audit: Audit,
    /// What seals personal data, or does not.
    pub vault: Vault,
    /// Domains, services, themes.
    pub catalogue: Catalogue,
    /// Citizens and their contact points.
    pub citizens: Citizens,
    /// Who wants no campaigns.
    pub opt_outs: OptOuts,
    /// The way in.
    pub intake: Intake,
    /// Contacts as they were taken in.
    pub interactions: Interactions,
    /// Requests.
    pub desk: Desk,
    /// The way out.
    pub outbox: Outbox,
    /// The stream of changes.
    pub feed: Feed,
    /// Where applications stand in it.
    pub consumers: Consumers,
    /// Who is told of it by HTTP.
    pub webhooks: Webhooks,
    /// Files by content.
    pub blobs: Blobs,
    /// Files on their way to object storage.
    pub uploads: Uploads,
    /// Recordings and their calls.
    pub recordings: Recordings,
    /// Attachments by id.
    pub attachments: Attachments,
    /// API keys.
    pub keys: Keys,
    /// Agents, and programs of identity providers.
    pub people: People,
    /// Answers to repeated calls.
    pub idempotency: Idempotency,
    /// The states of channel tasks.
    pub channels: Channels,
    /// How far mailboxes were read.
    pub mailboxes: Mailboxes,
    /// What happens later.
    pub jobs: Jobs,
    /// Runs what is due.
    pub runner: Runner,
    /// What happened, for metrics.
    pub counters: Counters,
}

impl Core {
    /// Opens the database and the folder, and starts the committer.
    ///
    /// # Errors
    /// The store's, the folder's, the vault's: [`Vault::of`]; [`artefact::belongs`]'s.
    pub async fn open(config: CoreConfig) -> Result<Self> {
        let store = Store::open(&config.url).await?;
        if config.migrate {
            store.migrate().await?;
        }
        let vault = Vault::of(&store, config.master_keys.as_ref()).await?;
        artefact::belongs(&store, config.bucket.as_ref().map(Bucket::name)).await?;
        let blobs = Blobs::open(config.blobs, vault.clone())?.with_bucket(config.bucket);
        blobs.sweep();
        artefact::finish(&store, &blobs, &vault).await?;
        let feed = Feed::new(store.clone());
        let catalogue = Catalogue::new(store.clone(), feed.clone(), config.calendar);
        if config.migrate {
            catalogue.seed().await?;
        } else {
            catalogue.fresh().await?;
        }
        let audit = Audit::start(store.clone(), &config.audit)?;
        let wake = Wake::new();
        let counters = Counters::default();
        let intake = Intake::start(
            store.clone(),
            vault.clone(),
            feed.clone(),
            catalogue.clone(),
            wake.clone(),
            counters.clone(),
        );
        let outbox = Outbox::new(store.clone(), vault.clone(), feed.clone(), catalogue.clone(), wake);
        let jobs = Jobs::new(store.clone());
        let idempotency = Idempotency::new(store.clone(), vault.clone());
        let recordings = Recordings::new(store.clone(), vault.clone(), feed.clone(), catalogue.clone());
        let people = People::new(&store, config.sessions);
        let webhooks = Webhooks::new(store.clone(), vault.clone(), feed.clone());
        let uploads = Uploads::new(store.clone(), blobs.clone());
        Ok(Self {
            organisation: config.organisation,
            time_zone: config.time_zone,
            runner: Runner {
                jobs: jobs.clone(),
                intake: intake.clone(),
                outbox: outbox.clone(),
                idempotency: idempotency.clone(),
                logins: people.logins.clone(),
                audit: audit.clone(),
                recordings: recordings.clone(),
                feed: feed.clone(),
                feed_keep: config.feed_keep,
                blobs: blobs.clone(),
                uploads: uploads.clone(),
                webhooks: webhooks.clone(),
            },
            webhooks,
            audit,
            intake,
            interactions: Interactions::new(store.clone(), vault.clone(), catalogue.clone()),
            desk: Desk::new(store.clone(), vault.clone(), feed.clone(), catalogue.clone()),
            citizens: Citizens::new(store.clone(), vault.clone(), feed.clone(), catalogue.clone()),
            opt_outs: OptOuts::new(store.clone(), vault.clone()),
            outbox,
            recordings,
            attachments: Attachments::new(store.clone(), vault.clone(), blobs.clone(), catalogue.clone()),
            catalogue,
            keys: Keys::new(store.clone()),
            people,
            idempotency,
            channels: Channels::default(),
            mailboxes: Mailboxes::new(store.clone()),
            consumers: Consumers::new(store.clone(), feed.clone()),
            jobs,
            counters,
            uploads,
            blobs,
            feed,
            vault,
            store,
        })
    }
}
