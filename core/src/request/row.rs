//! A request as it is stored.

use super::external::ExternalReference;
use super::link::RequestLink;
use crate::base::time::Millis;
use crate::vault::{Opening, Place, Vault};

/// One row of `request`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RequestRow {
    /// UUIDv7.
    pub id: String,
    /// Its place in the order of commits.
    pub position: i64,
    /// For people, with a check digit: `2026-0001234-7`.
    #[sqlx(rename = "ref")]
    pub reference: String,
    /// The channel of its first contact.
    pub channel: String,
    /// The account of its first contact, `kind/name`.
    pub account: Option<String>,
    /// See [`super::Status`].
    pub status: String,
    /// What it is about, in the citizen's words or an agent's.
    pub subject: Option<String>,
    /// The citizen's number or address.
    pub from_address: String,
    /// The citizen's name, as they gave it.
    pub from_name: Option<String>,
    /// What a form asked by the theme's schema: a JSON object.
    pub fields: Option<String>,
    /// The theme's code.
    pub theme: Option<String>,
    /// Who works on it.
    pub assignee: Option<String>,
    /// The id of the citizen whose it is, when that is known.
    pub citizen_id: Option<String>,
    /// When its first contact was taken in.
    pub received_at: Millis,
    /// When it changed last.
    pub updated_at: Millis,
    /// Rises with every change; the ETag.
    pub version: i64,
    /// Requests that belong to it without being it; only filled in where a request is read.
    #[sqlx(skip)]
    pub links: Vec<RequestLink>,
    /// By what other systems know it; only filled in where a request is read.
    #[sqlx(skip)]
    pub external: Vec<ExternalReference>,
}

impl RequestRow {
    /// Opens what is sealed of it.
    pub(super) fn open<'a>(&'a mut self, vault: &'a Vault) -> Opening<'a> {
        let mut opening = vault.opening(&self.id);
        opening
            .some(Place::RequestSubject, &mut self.subject)
            .text(Place::RequestFromAddress, &mut self.from_address)
            .some(Place::RequestFromName, &mut self.from_name)
            .some(Place::RequestFields, &mut self.fields);
        opening
    }
}

/// The columns of [`RequestRow`], for a `SELECT`.
pub(crate) const COLUMNS: &str = "id, position, ref, channel, account, status, subject, from_address, from_name, fields, theme, assignee, citizen_id, \
                                  received_at, updated_at, version";
