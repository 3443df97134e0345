//! Codes that rights name. One that there is not would reach nothing, and nobody would see why.

use std::fmt;

use super::snapshot::{Kind, Snapshot};
use crate::base::grant::Grant;
use crate::base::nearest::{nearest, quoted};

/// A code that a grant names and the catalogue has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCode {
    /// A theme's or a service's.
    pub kind: Kind,
    /// As it was written.
    pub code: String,
    /// The one that is most like it, if any is.
    pub nearest: Option<String>,
}

impl UnknownCode {
    /// The member of a grant that has it.
    #[must_use]
    pub const fn member(&self) -> &'static str {
        match self.kind {
            Kind::Theme => "themes",
            Kind::Service => "services",
            Kind::Domain => "domains",
        }
    }

    /// What is wrong, and by which call or command the right ones are found.
    #[must_use]
    pub fn told(&self, listed_by: &str) -> String {
        let joint = if self.nearest.is_some() { " " } else { "; " };
        format!("{self}{joint}`{listed_by}` lists them")
    }
}

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {} {}", self.kind.as_str(), quoted(&self.code))?;
        self.nearest.as_ref().map_or(Ok(()), |code| write!(f, "; did you mean {code}?"))
    }
}

impl Snapshot {
    /// The first code of a grant that there is not. One of a theme that is switched off is known: old requests have it.
    #[must_use]
    pub fn unknown_code(&self, grant: &Grant) -> Option<UnknownCode> {
        let themes: Vec<&str> = self.document.themes.iter().map(|theme| theme.code.as_str()).collect();
        let services: Vec<&str> = self.document.services.iter().map(|service| service.code.as_str()).collect();
        let lists = [(Kind::Theme, &grant.themes, themes), (Kind::Service, &grant.services, services)];
        lists.into_iter().find_map(|(kind, named, known)| {
            let code = named.iter().flatten().find(|code| !known.contains(&code.as_str()))?;
            Some(UnknownCode {
                kind,
                code: code.clone(),
                nearest: nearest(code, known).map(str::to_owned),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Document;

    #[test]
    fn a_slip_is_named_with_what_was_meant() {
        let mut document = Document::shipped().unwrap();
        document.themes[0].enabled = false;
        let off = document.themes[0].code.clone();
        let catalogue = Snapshot::new(1, document, Default::default());
        let told = |text: &str| {
            let grant = serde_json::from_str(text).unwrap();
            catalogue.unknown_code(&grant).map(|unknown| (unknown.member(), unknown.told("x")))
        };
        assert_eq!(told(r#"{"operations":["read"]}"#), None);
        assert_eq!(told(&format!(r#"{{"operations":["read"],"themes":["voirie","{off}"]}}"#)), None);
        assert_eq!(
            told(r#"{"operations":["read"],"themes":["voirie","voiri"]}"#).unwrap(),
            (
                "themes",
                "there is no theme `voiri`; did you mean voirie? `x` lists them".to_owned()
            )
        );
        assert_eq!(
            told(r#"{"operations":["read"],"services":["zzz"]}"#).unwrap(),
            ("services", "there is no service `zzz`; `x` lists them".to_owned())
        );
    }
}
