//! An agent as a row, and what one must be like.

use voxea_rules::password::{self, Guard};
use voxea_rules::visible::is_hidden;

use crate::base::error::{CoreError, Result};
use crate::base::hex;
use crate::base::time::Millis;
use crate::store::{Store, Tx, on};

/// Characters of a login.
const LOGIN: usize = 60;
/// Characters of a name, an address, what an identity provider calls somebody.
const TEXT: usize = 200;
/// Roles of one agent.
const ROLES: usize = 50;

/// A person who works for the town, as an administrator sees them: no hash, no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// UUIDv7.
    pub id: String,
    /// What an administrator decides.
    pub profile: Profile,
    /// Whether there is a password.
    pub has_password: bool,
    /// Whether a login needs a code.
    pub has_totp: bool,
    /// Rises with every change.
    pub version: i64,
    /// When they were entered.
    pub created_at: Millis,
    /// When they changed last.
    pub updated_at: Millis,
}

/// What an administrator decides of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What they log in with, in lower case; it never changes.
    pub login: String,
    /// For people.
    pub name: String,
    /// Where they are written to.
    pub email: Option<String>,
    /// Codes of roles.
    pub roles: Vec<String>,
    /// The identity provider that knows them, and as whom.
    pub oidc: Option<Oidc>,
    /// Whether they may come in.
    pub enabled: bool,
}

/// Somebody as an identity provider knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// Its URL, as its tokens have it.
    pub issuer: String,
    /// `sub` in its tokens.
    pub subject: String,
}

/// The columns of [`Stored`].
pub(super) const COLUMNS: &str = "id, login, name, email, password, totp, totp_in_use, totp_step, roles, oidc_issuer, oidc_subject, \
    enabled, version, created_at, updated_at";

/// The row itself, with what must not be shown.
#[derive(Clone, sqlx::FromRow)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) login: String,
    name: String,
    email: Option<String>,
    pub(super) password: Option<String>,
    totp: Option<String>,
    totp_in_use: i64,
    pub(super) totp_step: i64,
    roles: String,
    oidc_issuer: Option<String>,
    oidc_subject: Option<String>,
    enabled: i64,
    pub(super) version: i64,
    created_at: Millis,
    updated_at: Millis,
}

impl Stored {
    /// Whether they may come in.
    pub(super) const fn enabled(&self) -> bool {
        self.enabled != 0
    }

    /// The secret of their codes, once confirmed.
    pub(super) fn totp_in_use(&self) -> Option<Vec<u8>> {
        (self.totp_in_use != 0).then(|| self.totp_secret()).flatten()
    }

    /// The secret of their codes, confirmed or not.
    pub(super) fn totp_secret(&self) -> Option<Vec<u8>> {
        hex::decode(self.totp.as_ref()?)
    }

    /// Whether a password is good enough for them.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] at `pointer` with what is missing.
    pub(super) fn accepts(&self, pointer: &str, password: &str) -> Result<()> {
        let known = [self.login.as_str(), self.name.as_str(), self.email.as_deref().unwrap_or_default()];
        // Tries are slowed down, by login and by address.
        password::check(password, Guard::Throttled, &known).map_err(|message| CoreError::invalid(pointer, message))
    }
}

impl TryFrom<Stored> for AgentRow {
    type Error = CoreError;

    fn try_from(row: Stored) -> Result<Self> {
        Ok(Self {
            profile: Profile {
                roles: roles(&row.id, &row.roles)?,
                enabled: row.enabled(),
                login: row.login,
                name: row.name,
                email: row.email,
                oidc: row
                    .oidc_issuer
                    .zip(row.oidc_subject)
                    .map(|(issuer, subject)| Oidc { issuer, subject }),
            },
            id: row.id,
            has_password: row.password.is_some(),
            has_totp: row.totp_in_use != 0,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// The codes in the column `roles`.
///
/// # Errors
/// They cannot be read.
pub(super) fn roles(id: &str, json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).map_err(|error| CoreError::Store(format!("the roles of agent {id} cannot be read: {error}")))
}

/// A login as it is compared; one that nobody can have becomes one that nobody has.
pub(super) fn folded(login: &str) -> String {
    let login = login.trim().to_lowercase();
    if is_login(&login) { login } else { String::new() }
}

fn is_login(login: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_@".contains(&byte);
    (1..=LOGIN).contains(&login.len()) && login.bytes().all(plain)
}

/// Whether a profile may be stored; `roles` are the codes that there are.
///
/// # Errors
/// [`CoreError::Invalid`] with the first member that may not.
pub(super) fn check(profile: &Profile, known: &[String]) -> Result<()> {
    let visible = |text: &str, longest: usize| !text.trim().is_empty() && text.chars().count() <= longest && !text.contains(is_hidden);
    let text = |pointer: &str, text: &str| {
        let message = || CoreError::invalid(pointer, format!("must have 1 to {TEXT} visible characters"));
        visible(text, TEXT).then_some(()).ok_or_else(message)
    };
    if !is_login(&profile.login) {
        let message = format!("must have 1 to {LOGIN} lower-case letters, digits and . - _ @, such as j.martin");
        return Err(CoreError::invalid("/login", message));
    }
    text("/name", &profile.name)?;
    if let Some(email) = &profile.email {
        text("/email", email)?;
        if !email.contains('@') || email.contains(char::is_whitespace) {
            return Err(CoreError::invalid("/email", "must be a mail address such as j.martin@example.fr"));
        }
    }
    if let Some(oidc) = &profile.oidc {
        text("/oidc_issuer", &oidc.issuer)?;
        text("/oidc_subject", &oidc.subject)?;
    }
    if profile.roles.len() > ROLES {
        return Err(CoreError::invalid("/roles", format!("has at most {ROLES} entries")));
    }
    match profile.roles.iter().position(|code| !known.contains(code)) {
        Some(at) => Err(CoreError::invalid(
            format!("/roles/{at}"),
            format!("must be the code of a role; there are {}", known.join(", ")),
        )),
        None => Ok(()),
    }
}

/// The agent of a login.
///
/// # Errors
/// The store's.
pub(super) async fn by_login(store: &Store, login: &str) -> Result<Option<Stored>> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM agent WHERE login = $1"));
    Ok(on!(Store, store, db => sqlx::query_as(sql).bind(folded(login)).fetch_optional(db).await)?)
}

/// The agent of an id.
///
/// # Errors
/// [`CoreError::NotFound`] and the store's.
pub(super) async fn by_id(store: &Store, id: &str) -> Result<Stored> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM agent WHERE id = $1"));
    let found: Option<Stored> = on!(Store, store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
    found.ok_or(CoreError::NotFound { what: "agent" })
}

/// Locks an agent's row and counts its version up; `None` when there is none.
///
/// # Errors
/// The store's.
pub(super) async fn touch(tx: &mut Tx, login: &str, now: Millis) -> Result<Option<Stored>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "UPDATE agent SET version = version + 1, updated_at = $2 WHERE login = $1 RETURNING {COLUMNS}"
    ));
    Ok(on!(Tx, tx, db => sqlx::query_as(sql).bind(folded(login)).bind(now).fetch_optional(db).await)?)
}
