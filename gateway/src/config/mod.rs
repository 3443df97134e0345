//! The configuration: found, laid over with the environment, read by whoever owns each section.

pub(crate) mod api;
pub(crate) mod audit;
mod feed;
pub(crate) mod find;
mod ground;
mod login;
mod mailboxes;
mod names;
mod open311;
mod overlay;
mod ports;
mod s3;
mod scans;
pub(crate) mod store;
mod texts;
mod themes;
mod trust;
mod webhooks;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use voxea_core::CoreConfig;
use voxea_core::access::Lifetime;
use voxea_core::base::account::Account;
use voxea_core::base::settings::{Place, Problem, Problems, Section, Written, parse};
use voxea_core::base::time::Millis;
use voxea_core::contact::AutomaticTexts;

use crate::http::compat::open311::settings::Open311;
use crate::trust::Trust;
use find::{FindError, Found};
pub(crate) use ground::Ground;

/// Where the configuration is looked for when nobody names it.
const USUAL: [&str; 2] = ["./voxea.toml", "/etc/voxea/voxea.toml"];

/// Everything that the configuration says.
#[derive(Debug)]
pub(crate) struct Config {
    /// Whose daemon this is.
    pub(crate) organisation: store::Organisation,
    /// Where things are kept.
    pub(crate) store: store::StoreSettings,
    /// The REST API.
    pub(crate) api: api::ApiSettings,
    /// What citizens report by Open311.
    pub(crate) open311: Open311,
    /// How long an agent stays logged in.
    pub(crate) sessions: Lifetime,
    /// Whose word is taken for who somebody is.
    pub(crate) trust: Trust,
    /// How old an event of the feed becomes, in milliseconds; `None` for ever.
    pub(crate) feed_keep: Option<Millis>,
    /// Where events may be sent.
    pub(crate) webhooks: webhooks::WebhookSettings,
    /// The audit trail.
    pub(crate) audit: audit::AuditSettings,
    /// The SIP endpoint, if there is one.
    pub(crate) sip: Option<Arc<voxea_sip::Config>>,
    /// The binds to SMSCs, by name.
    pub(crate) smpp: Vec<(String, Arc<voxea_smpp::Config>)>,
    /// What the binds answer by themselves, by account.
    pub(crate) texts: Vec<(Account, AutomaticTexts)>,
    /// The mailboxes, by name.
    pub(crate) mailboxes: Vec<(String, Arc<voxea_imap::Config>)>,
    /// The watched folders, by name.
    pub(crate) scans: Vec<(String, Arc<voxea_imap::scan::config::Folder>)>,
    /// The themes that channels name, with their places.
    pub(crate) themes: Vec<Written>,
    /// Where it stands.
    pub(crate) file: PathBuf,
    /// What it says and hardly means, by place.
    pub(crate) warnings: Vec<Problem>,
}

impl Config {
    /// What the core must know of it.
    pub(crate) fn core(&self, migrate: bool) -> CoreConfig {
        CoreConfig {
            url: self.store.url.reveal().to_owned(),
            blobs: self.store.blobs.clone(),
            bucket: self.store.bucket.clone(),
            migrate,
            organisation: self.organisation.name.clone(),
            time_zone: self.organisation.time_zone.clone(),
            calendar: self.organisation.calendar.clone(),
            sessions: self.sessions,
            feed_keep: self.feed_keep,
            audit: self.audit.trail.clone(),
            master_keys: self.store.master_keys.clone(),
        }
    }
}

/// Why there is no configuration to run with.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// There is no file, or it is no text.
    Find(FindError),
    /// Everything that is wrong in it.
    Wrong {
        /// The file.
        file: PathBuf,
        /// By place.
        problems: Vec<Problem>,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find(error) => error.fmt(f),
            Self::Wrong { file, problems } => {
                for (index, problem) in problems.iter().enumerate() {
                    let gap = if index == 0 { "" } else { "\n" };
                    write!(f, "{gap}{}: {problem}", file.display())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Finds and reads the configuration, the process's environment laid over it; the ground is tried where a daemon shall stand.
///
/// # Errors
/// Everything that is wrong, at once.
pub(crate) fn load(named: Option<&Path>, ground: &Ground) -> Result<Config, ConfigError> {
    let usual: Vec<&Path> = USUAL.iter().map(Path::new).collect();
    let found = find::find(named, &usual).map_err(ConfigError::Find)?;
    // A variable that is not UTF-8 cannot be one of ours.
    let variables = std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    read(&found, variables, ground)
}

/// Reads a found configuration with these variables laid over it.
pub(crate) fn read(found: &Found, variables: impl IntoIterator<Item = (String, String)>, ground: &Ground) -> Result<Config, ConfigError> {
    let problems = Problems::new();
    let config = match parse(&found.text) {
        Ok(mut root) => {
            overlay::lay(&mut root, variables, &problems);
            Some(sections(&Section::root(&root, &found.folder, &problems), ground))
        }
        Err((line, message)) => {
            let message = format!("{message}; the rest was not read, so more may be wrong: mend this and check again");
            problems.add(Place::Line(line), "", message);
            None
        }
    };
    let problems = problems.into_sorted();
    match config {
        Some(mut config) if problems.iter().all(|problem| problem.harmless) => {
            // What the whole of it hardly means comes behind what was said of single keys.
            config.warnings.splice(0..0, problems);
            config.warnings.sort_by(|one, other| one.place.cmp(&other.place));
            config.file.clone_from(&found.path);
            Ok(config)
        }
        _ => Err(ConfigError::Wrong {
            file: found.path.clone(),
            problems,
        }),
    }
}

fn sections(root: &Section<'_>, ground: &Ground) -> Config {
    let organisation = store::Organisation::read(root.sub("organisation").as_ref());
    let section = root.sub("store");
    let store = store::StoreSettings::read(section.as_ref(), root.folder());
    store.stand(root, section.as_ref(), ground);
    drop(section);
    let api = api::ApiSettings::read(root.sub("api").as_ref());
    let open311 = open311::read(root.sub("open311").as_ref());
    let sessions = login::read(root.sub("login").as_ref());
    let trust = trust::read(root);
    let feed_keep = feed::read(root.sub("feed").as_ref());
    let webhooks = webhooks::read(root.sub("webhooks").as_ref());
    let section = root.sub("audit");
    let audit = audit::AuditSettings::read(section.as_ref(), &store);
    audit.stand(root, section.as_ref(), ground);
    drop(section);
    let themes = RefCell::new(Vec::new());
    let sip = root.sub("sip").map(|mut section| {
        let sip = voxea_sip::Config::read(&mut section);
        ports::apart(&section, &sip, &api);
        themes.borrow_mut().extend(sip.themes.iter().cloned());
        Arc::new(sip)
    });
    let texts = RefCell::new(texts::Texts::default());
    let smpp = names::each(root.list("smpp"), |section| {
        themes.borrow_mut().extend(section.written("theme"));
        let smpp = voxea_smpp::Config::read(section);
        texts.borrow_mut().read(section, &smpp, &organisation);
        smpp
    });
    let (texts, warnings) = texts.into_inner().settle(&organisation);
    let followed = RefCell::new(mailboxes::Followed::default());
    let mailboxes = names::each(root.list("mailbox"), |section| {
        themes.borrow_mut().extend(section.written("theme"));
        let mailbox = voxea_imap::Config::read(section, &organisation.time_zone);
        followed.borrow_mut().stand(section, &mailbox);
        mailbox
    });
    let folders = RefCell::new(scans::Folders::default());
    let scans = names::each(root.list("scan"), |section| {
        themes.borrow_mut().extend(section.written("theme"));
        let folder = voxea_imap::scan::config::Folder::read(section);
        folders.borrow_mut().stand(section, &folder, ground);
        folder
    });
    Config {
        organisation,
        store,
        api,
        open311,
        sessions,
        trust,
        feed_keep,
        webhooks,
        audit,
        sip,
        smpp,
        texts,
        mailboxes,
        scans,
        themes: themes.into_inner(),
        file: PathBuf::new(),
        warnings,
    }
}

#[cfg(test)]
mod tests;
