//! Identity providers: whose tokens are believed, and who is sent there to log in.

pub(crate) mod fetch;
mod issuer;
mod keys;
mod persons;
mod programs;
mod token;

use std::sync::Arc;

pub(crate) use issuer::{Doubt, Issuer};
pub(crate) use persons::{Claim, Persons};
pub(crate) use programs::{Program, Programs};
pub(crate) use token::is_token;

/// The identity providers of the configuration. Clones share what they said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    programs: Arc<[Programs]>,
    persons: Option<Arc<Persons>>,
}

impl Trust {
    /// Of these.
    pub(crate) fn new(programs: Vec<Programs>, persons: Option<Persons>) -> Self {
        Self {
            programs: programs.into(),
            persons: persons.map(Arc::new),
        }
    }

    /// Whose token it is; `None` when no configured issuer has made it, or it is wrong. `now` in seconds.
    ///
    /// # Errors
    /// [`Doubt::Silent`] when nobody can say.
    pub(crate) async fn program(&self, token: &str, now: i64) -> Result<Option<Program>, Doubt> {
        programs::program(&self.programs, token, now).await
    }

    /// The provider that agents log in with.
    pub(crate) fn persons(&self) -> Option<&Persons> {
        self.persons.as_deref()
    }

    /// Each provider, by the section that names it.
    pub(crate) fn providers(&self) -> Vec<(String, &Issuer)> {
        let programs = self.programs.iter().map(|one| (format!("oauth/{}", one.name), one.issuer.as_ref()));
        let persons = self.persons.iter().map(|persons| ("oidc".to_owned(), persons.issuer.as_ref()));
        programs.chain(persons).collect()
    }

    /// The names of the issuers whose programs may call.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.programs.iter().map(|one| one.name.as_str()).collect()
    }
}
