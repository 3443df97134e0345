//! `[organisation]` and `[store]`.

use std::path::{Path, PathBuf};

use super::ground::Ground;
use super::s3;
use voxea_core::artefact::Bucket;
use voxea_core::base::secret::Secret;
use voxea_core::base::settings::Section;
use voxea_core::vault::MasterKeys;
use voxea_rules::calendar::{Calendar, HolidayZone, WeeklyHours};

/// Whose daemon this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Organisation {
    /// As citizens know it.
    pub(crate) name: String,
    /// Its telephone number, as it is to be read; for who texts CONTACT.
    pub(crate) phone: Option<String>,
    /// An IANA zone: days and hours are counted in it.
    pub(crate) time_zone: String,
    /// When its services are open that say nothing else, and by which holidays.
    pub(crate) calendar: Calendar,
}

impl Organisation {
    /// Reads `[organisation]`.
    pub(crate) fn read(section: Option<&Section<'_>>) -> Self {
        let text = |key, default: &str| section.map_or_else(|| default.to_owned(), |section| section.string_or(key, default));
        let (name, time_zone) = (text("name", "Mairie de Saint-Exemple"), text("time_zone", "Europe/Paris"));
        if let Some(section) = section {
            if name.trim().is_empty() {
                section.problem("name", "is empty; an example: name = \"Mairie de Saint-Exemple\"");
            }
            if !voxea_core::base::time::is_zone(&time_zone) {
                section.problem(
                    "time_zone",
                    format!("{time_zone:?} is no time zone; an example: time_zone = \"Europe/Paris\""),
                );
            }
        }
        let codes = HolidayZone::ALL.map(HolidayZone::code);
        let code = section.map_or("metropole", |section| section.one_of("holidays", &codes, "metropole"));
        let hours = text("hours", HOURS);
        let hours = hours.parse().unwrap_or_else(|error| {
            if let Some(section) = section {
                section.problem("hours", format!("{error}; an example: hours = \"{HOURS}\""));
            }
            WeeklyHours::default()
        });
        let calendar = Calendar {
            time_zone: voxea_core::base::time::zone(&time_zone),
            holidays: code.parse().ok(),
            hours,
            closures: Vec::new(),
        };
        Self {
            name,
            phone: section.and_then(phone),
            time_zone,
            calendar,
        }
    }
}

/// The telephone number: one that can be dialled, in at most 30 characters.
fn phone(section: &Section<'_>) -> Option<String> {
    let text = section.string("phone")?;
    let dialled = matches!(
        voxea_rules::phone::normalise(&text, "FR"),
        voxea_rules::phone::Address::International(_) | voxea_rules::phone::Address::Short(_)
    );
    if !dialled || text.chars().count() > 30 {
        section.problem(
            "phone",
            format!("{text:?} is no telephone number; an example: phone = \"01 40 20 50 50\""),
        );
        return None;
    }
    Some(text.trim().to_owned())
}

/// When a town hall is open that says nothing.
const HOURS: &str = "mo-fr 09:00-12:00 13:30-17:30";

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreSettings {
    /// `sqlite:PATH`, absolute, or `postgres://…`. Secret, since it may hold a password.
    pub(crate) url: Secret,
    /// The folder of recordings and attachments; with object storage, in which they wait for it.
    pub(crate) blobs: PathBuf,
    /// The object storage behind it.
    pub(crate) bucket: Option<Bucket>,
    /// The keys of encryption; without them nothing is encrypted.
    pub(crate) master_keys: Option<MasterKeys>,
}

impl StoreSettings {
    /// Reads `[store]`; relative paths start at `folder`.
    pub(crate) fn read(section: Option<&Section<'_>>, folder: &Path) -> Self {
        let given = section.and_then(|section| section.secret("url", "url_file"));
        let url = given.as_ref().map_or("sqlite:voxea.db", Secret::reveal);
        if let Some(section) = section {
            let key = if section.has("url_file") { "url_file" } else { "url" };
            if let Err(message) = check_url(url) {
                section.problem(key, message);
            } else if let Some(message) = absolute(url, folder)
                .strip_prefix("sqlite://")
                .and_then(|file| no_place_for(Path::new(file)))
            {
                section.problem(key, message);
            }
        }
        let mut blobs = section.map_or_else(|| "blobs".to_owned(), |section| section.string_or("blobs", "blobs"));
        let mut bucket = None;
        if let Some(section) = section {
            if s3::is_url(&blobs) {
                (blobs, bucket) = s3::read(section, &blobs);
            } else {
                s3::unused(section);
            }
            if blobs.is_empty() {
                section.problem("blobs", "is empty; name a folder: blobs = \"blobs\"");
            } else if let Some(file) = no_folder(&folder.join(&blobs)) {
                section.problem(
                    "blobs",
                    format!("{} is a file, but must be a folder: blobs = \"blobs\"", file.display()),
                );
            }
        }
        Self {
            url: Secret::new(absolute(url, folder)),
            blobs: folder.join(blobs),
            bucket,
            master_keys: section.and_then(master_keys),
        }
    }
}

impl StoreSettings {
    /// Notes where the daemon could not keep its files, at the section or, when there is none, at the file's beginning.
    pub(super) fn stand(&self, root: &Section<'_>, section: Option<&Section<'_>>, ground: &Ground) {
        if let Some(file) = self.url.reveal().strip_prefix("sqlite://").map(Path::new) {
            let (section, key) = match section {
                Some(section) if section.has("url_file") => (section, "url_file"),
                Some(section) => (section, "url"),
                None => (root, "store"),
            };
            // SQLite makes two files beside its own.
            if let Some(folder) = file.parent().filter(|folder| folder.is_dir()) {
                ground.folder(section, key, folder, "the database");
            }
            ground.file(section, key, file, "the database");
        }
        let key = if self.bucket.is_some() { "s3" } else { "blobs" };
        let (section, key) = section.map_or((root, "store"), |section| (section, key));
        ground.folder(section, key, &self.blobs, "recordings and attachments");
    }
}

/// The file's lines stay out of every message.
fn master_keys(section: &Section<'_>) -> Option<MasterKeys> {
    const KEY: &str = "master_key_file";
    let text = section.secret_text(KEY)?;
    let keys = MasterKeys::parse(text.reveal());
    keys.inspect_err(|what| section.problem(KEY, format!("in the file, {what}"))).ok()
}

/// The URL is not repeated in the message: it may hold a password.
fn check_url(url: &str) -> Result<(), &'static str> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return if path.is_empty() || path.starts_with(":memory:") {
            Err("must name a file: url = \"sqlite:voxea.db\"")
        } else if path.contains('?') {
            Err("takes no parameters after the file's name: url = \"sqlite:voxea.db\"")
        } else {
            Ok(())
        };
    }
    if let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) {
        return check_authority(rest.split(['/', '?', '#']).next().unwrap_or_default());
    }
    Err("must begin with sqlite: or postgres://, as in url = \"sqlite:voxea.db\"")
}

/// `[user[:password]@][host][:port]`; with nothing at all, PostgreSQL's own socket is meant.
fn check_authority(authority: &str) -> Result<(), &'static str> {
    let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (server, None),
    };
    if host.is_empty() && !authority.is_empty() {
        return Err("names no host: url = \"postgres://user:password@127.0.0.1/voxea\"");
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() => Err(
            "has no port between 1 and 65535 after the host; in a password, / ? # @ and : are written %2F %3F %23 %40 %3A: url = \"postgres://user:password@127.0.0.1:5432/voxea\"",
        ),
        _ => Ok(()),
    }
}

/// Why SQLite cannot make its file here, if it is certain that it cannot.
fn no_place_for(file: &Path) -> Option<String> {
    if file.is_dir() {
        return Some(format!(
            "{} is a folder, but must be a file: url = \"sqlite:voxea.db\"",
            file.display()
        ));
    }
    let folder = file.parent()?;
    match std::fs::metadata(folder) {
        Ok(facts) if facts.is_dir() => None,
        Ok(_) => Some(format!("{} is a file, but must be the folder of the database", folder.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(format!(
            "{}: this folder does not exist; make it, owned by the daemon's user, or name another one",
            folder.display()
        )),
        // Another user may be allowed to look.
        Err(_) => None,
    }
}

/// What stands where a folder is to be made and is none.
fn no_folder(path: &Path) -> Option<&Path> {
    let there = path.ancestors().find(|path| path.exists())?;
    (!there.is_dir()).then_some(there)
}

fn absolute(url: &str, folder: &Path) -> String {
    match url.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite://{}", folder.join(path.strip_prefix("//").unwrap_or(path)).display()),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_file_starts_at_the_configurations_folder() {
        let at = |url| absolute(url, Path::new("/etc/voxea"));
        assert_eq!(at("sqlite:voxea.db"), "sqlite:///etc/voxea/voxea.db");
        assert_eq!(at("sqlite:///var/lib/voxea.db"), "sqlite:///var/lib/voxea.db");
        assert_eq!(at("postgres://u:p@h/d"), "postgres://u:p@h/d");
    }

    #[test]
    fn a_password_is_not_repeated() {
        let message = check_url("mysql://root:hunter2@db/x").unwrap_err();
        assert!(!message.contains("hunter2"));
        assert!(check_url("sqlite::memory:").is_err());
        assert!(check_url("sqlite:a.db?mode=ro").is_err());
    }

    #[test]
    fn a_server_is_named() {
        for good in [
            "postgres://h/d",
            "postgres://u:p@h:5432/d?sslmode=require",
            "postgres://u@[::1]:5432/d",
            "postgres://u@[::1]/d",
            "postgresql:///d",
        ] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in [
            "postgres://user@",
            "postgres://user@/d",
            "postgres://:5432/d",
            "postgres://u:hunter2/x@h/d",
        ] {
            let message = check_url(bad).unwrap_err();
            assert!(message.contains("url = ") && !message.contains("hunter2"), "{bad}: {message}");
        }
    }
}
