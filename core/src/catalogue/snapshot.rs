//! The catalogue as it was at one moment, and what finds a theme in it.

use std::collections::{BTreeMap, HashMap};

use voxea_rules::keyword;

use super::nouns::{Document, Service, Theme};
use crate::base::error::{CoreError, Result};

/// The catalogue at one version.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Of the whole; rises with every change.
    pub version: i64,
    /// All of it.
    pub document: Document,
    /// Of each entry, by kind and code: the version of the whole at its last change.
    versions: BTreeMap<(Kind, String), i64>,
    keywords: HashMap<String, String>,
    aliases: HashMap<String, String>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A field of public action.
    Domain,
    /// Who answers.
    Service,
    /// What citizens write about.
    Theme,
}

impl Kind {
    /// As the table has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Service => "service",
            Self::Theme => "theme",
        }
    }
}

impl Snapshot {
    /// A catalogue at a version; `versions` are those of its entries.
    #[must_use]
    pub fn new(version: i64, document: Document, versions: BTreeMap<(Kind, String), i64>) -> Self {
        let enabled = || document.themes.iter().filter(|theme| theme.enabled);
        let words = enabled().flat_map(|theme| theme.keywords.iter().map(|word| (keyword::fold(word), theme.code.clone())));
        let aliases = enabled().flat_map(|theme| theme.aliases.iter().map(|alias| (alias.to_lowercase(), theme.code.clone())));
        Self {
            version,
            keywords: words.collect(),
            aliases: aliases.collect(),
            document,
            versions,
        }
    }

    /// The theme of this code.
    #[must_use]
    pub fn theme(&self, code: &str) -> Option<&Theme> {
        self.document.themes.iter().find(|theme| theme.code == code)
    }

    /// The theme of this code, when new requests may have it. `pointer` is where a caller wrote it.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] when they may not, or there is none.
    pub fn offered(&self, pointer: &str, code: &str) -> Result<&Theme> {
        let theme = self.theme(code).filter(|theme| theme.enabled);
        theme.ok_or_else(|| CoreError::invalid(pointer, "must be the code of a theme that is in use; `GET /v1/themes` lists them"))
    }

    /// The service of this code.
    #[must_use]
    pub fn service(&self, code: &str) -> Option<&Service> {
        self.document.services.iter().find(|service| service.code == code)
    }

    /// The version of the whole at an entry's last change.
    #[must_use]
    pub fn version_of(&self, kind: Kind, code: &str) -> Option<i64> {
        self.versions.get(&(kind, code.to_owned())).copied()
    }

    /// The code of the theme that a folded word chooses.
    #[must_use]
    pub fn by_keyword(&self, folded: &str) -> Option<&str> {
        self.keywords.get(folded).map(String::as_str)
    }

    /// The code of the theme that a mail's address chooses.
    #[must_use]
    pub fn by_alias(&self, address: &str) -> Option<&str> {
        self.aliases.get(&address.to_lowercase()).map(String::as_str)
    }
}
