//! `[organisation]` and `[store]`.

use std::path::{Path, PathBuf};

use voxea_core::base::secret::Secret;
use voxea_core::base::settings::Section;
use voxea_rules::calendar::{Calendar, HolidayZone, WeeklyHours};

/// Whose daemon this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Organisation {
    /// As citizens know it.
    pub(crate) name: String,
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
        Self { name, time_zone, calendar }
    }
}

/// When a town hall is open that says nothing.
const HOURS: &str = "mo-fr 09:00-12:00 13:30-17:30";

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreSettings {
    /// `sqlite:PATH`, absolute, or `postgres://…`. Secret, since it may hold a password.
    pub(crate) url: Secret,
    /// The folder of recordings and attachments.
    pub(crate) blobs: PathBuf,
}

impl StoreSettings {
    /// Reads `[store]`; relative paths start at `folder`.
    pub(crate) fn read(section: Option<&Section<'_>>, folder: &Path) -> Self {
        let given = section.and_then(|section| section.secret("url", "url_file"));
        let url = given.as_ref().map_or("sqlite:voxea.db", Secret::reveal);
        if let Some(section) = section
            && let Err(message) = check_url(url)
        {
            section.problem("url", message);
        }
        let blobs = section.map_or_else(|| "blobs".to_owned(), |section| section.string_or("blobs", "blobs"));
        if let Some(section) = section {
            if blobs.contains("://") {
                section.problem(
                    "blobs",
                    "object storage is not built into this version; name a folder: blobs = \"blobs\"",
                );
            } else if blobs.is_empty() {
                section.problem("blobs", "is empty; name a folder: blobs = \"blobs\"");
            }
        }
        Self {
            url: Secret::new(absolute(url, folder)),
            blobs: folder.join(blobs),
        }
    }
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
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(());
    }
    Err("must begin with sqlite: or postgres://, as in url = \"sqlite:voxea.db\"")
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
}
