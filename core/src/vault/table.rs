//! The vault of a database: made with it, opened at every start, wrapped anew when the master key is another.

use super::convert;
use super::door::Vault;
use super::keys::{Root, no_random};
use super::master::MasterKeys;
use crate::base::error::{CoreError, Result};
use crate::base::time;
use crate::store::on;
use crate::store::{Store, Tx};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The one row there is.
const ROOT: &str = "root";
/// How often the row is read again when another node changed it at the same moment.
const RACES: usize = 3;
const INSERT: &str = "INSERT INTO vault (id, master, wrapped, created_at) VALUES ($1, $2, $3, $4)";

/// Whether anything that would have been sealed is there already. What comes in leaves a request or a part behind, and
/// every answer that is remembered is of one that came in, or of a citizen.
const USED: &str = "SELECT (SELECT COUNT(*) FROM (SELECT id FROM request LIMIT 1) AS q) + (SELECT COUNT(*) FROM (SELECT number FROM part LIMIT 1) AS p) \
     + (SELECT COUNT(*) FROM (SELECT id FROM citizen LIMIT 1) AS c) + (SELECT COUNT(*) FROM (SELECT id FROM opt_out LIMIT 1) AS o)";

impl Vault {
    /// The vault of a database that is migrated. With keys, an empty database gets one, and one whose root key an older
    /// master key wrapped is wrapped under the current one.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] when keys and database do not belong together: the message names the setting.
    pub async fn of(store: &Store, masters: Option<&MasterKeys>) -> Result<Self> {
        for _ in 0..RACES {
            match (read(store).await?, masters) {
                (None, None) => return Ok(Self::off()),
                (None, Some(masters)) => create(store, masters).await?,
                (Some(row), masters) => {
                    let (masters, root) = unwrapped(&row, masters)?;
                    if rewrap(store, masters, &row.0, &root).await? {
                        return Self::on(&root);
                    }
                }
            }
        }
        Err(CoreError::Unavailable("other nodes keep changing the vault; try again".to_owned()))
    }

    /// The vault of a database, which stays as it is: nothing is made and nothing wrapped anew.
    ///
    /// # Errors
    /// As [`Vault::of`].
    pub async fn look(store: &Store, masters: Option<&MasterKeys>) -> Result<Self> {
        match (read(store).await?, masters) {
            (None, None) => Ok(Self::off()),
            (None, Some(_)) => unused(store).await.map(|()| Self::off()),
            (Some(row), masters) => unwrapped(&row, masters).and_then(|(_, root)| Self::on(&root)),
        }
    }

    /// Whether [`Vault::of`] would open the vault of a database, in words for people; changes nothing.
    ///
    /// # Errors
    /// As [`Vault::of`].
    pub async fn probe(store: &Store, masters: Option<&MasterKeys>) -> Result<&'static str> {
        match (read(store).await?, masters) {
            (None, None) => Ok("not encrypted"),
            (None, Some(_)) => unused(store).await.map(|()| "empty, will be encrypted from its first start on"),
            (Some(row), masters) => unwrapped(&row, masters).map(|_| "encrypted, and opens with the configured key"),
        }
    }
}

impl Vault {
    /// The vault that a database has, if it has one.
    ///
    /// # Errors
    /// As [`Vault::of`].
    pub async fn made(store: &Store, masters: &MasterKeys) -> Result<Option<Self>> {
        match read(store).await? {
            None => Ok(None),
            Some(_) => Self::of(store, Some(masters)).await.map(Some),
        }
    }

    /// Whether what stood plain may still be read in pages and files that nothing names any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_unscrubbed(store: &Store) -> Result<bool> {
        let sql = "SELECT COUNT(*) FROM counter WHERE name = $1";
        let found: i64 = on!(Store, store, db => sqlx::query_scalar(sql).bind(convert::UNSCRUBBED).fetch_one(db).await)?;
        Ok(found > 0)
    }

    /// All of it was removed.
    ///
    /// # Errors
    /// The store's.
    pub async fn scrubbed(store: &Store) -> Result<()> {
        let mut tx = store.begin().await?;
        let sql = "DELETE FROM counter WHERE name = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(convert::UNSCRUBBED).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Gives a plain database a vault and seals all that stands in it. Lasts when the returned transaction is committed.
    ///
    /// # Errors
    /// The store's; nothing has changed then.
    pub async fn convert(store: &Store, masters: &MasterKeys) -> Result<(Self, Tx)> {
        let (root, current, wrapped) = new_root(masters)?;
        let vault = Self::on(&root)?;
        let mut tx = store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(INSERT)
            .bind(ROOT).bind(current).bind(wrapped).bind(time::now()).execute(db).await.map(|_| ()))?;
        convert::everything(&mut tx, &vault).await?;
        Ok((vault, tx))
    }
}

/// A new root key, the id of the master key that wraps it, and how it does.
fn new_root(masters: &MasterKeys) -> Result<(Root, &str, String)> {
    let Some(current) = masters.current() else {
        return Err(refused("the file of [store] master_key_file holds no key".to_owned()));
    };
    let mut root = Root::default();
    SystemRandom::new().fill(&mut root).map_err(|_| no_random())?;
    let wrapped = current.wrap(ROOT, &root)?;
    Ok((root, &current.id, wrapped))
}

/// A row of the vault: the id of the master key, and the root key as that wrapped it.
type Wrapped = (String, String);

/// The root key of a row, and the keys that held its master key.
fn unwrapped<'k>((id, wrapped): &Wrapped, masters: Option<&'k MasterKeys>) -> Result<(&'k MasterKeys, Root)> {
    let Some(masters) = masters else {
        return Err(refused(format!(
            "the database is encrypted under the master key {id}, and none is configured; name the file that holds it: \
             [store] master_key_file = \"…\""
        )));
    };
    let Some(master) = masters.find(id) else {
        return Err(refused(format!(
            "the database is encrypted under the master key {id}, and the file of [store] master_key_file holds {}; add the line \
             of {id} below them",
            masters.ids()
        )));
    };
    let root = master.unwrap(ROOT, wrapped).ok_or_else(|| {
        refused(format!(
            "the key {id} in the file of [store] master_key_file is not the one that the database is encrypted under, though it \
             has its name"
        ))
    })?;
    Ok((masters, root))
}

async fn read(store: &Store) -> Result<Option<Wrapped>> {
    let sql = "SELECT master, wrapped FROM vault WHERE id = $1";
    Ok(on!(Store, store, db => sqlx::query_as(sql).bind(ROOT).fetch_optional(db).await)?)
}

/// # Errors
/// The database holds what would have been sealed.
async fn unused(store: &Store) -> Result<()> {
    let used: i64 = on!(Store, store, db => sqlx::query_scalar(USED).fetch_one(db).await)?;
    if used == 0 {
        return Ok(());
    }
    Err(refused(
        "the database holds contacts that are not encrypted: stop the daemon and run `voxea vault seal`, which encrypts them, or \
         take [store] master_key_file away"
            .to_owned(),
    ))
}

/// Makes a root key, unless another node does so at the same moment.
async fn create(store: &Store, masters: &MasterKeys) -> Result<()> {
    unused(store).await?;
    let (_, current, wrapped) = new_root(masters)?;
    let sql = format!("{INSERT} ON CONFLICT DO NOTHING");
    let mut tx = store.begin().await?;
    let made = on!(Tx, &mut tx, db => sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(ROOT).bind(current).bind(wrapped).bind(time::now()).execute(db).await.map(|done| done.rows_affected()))?;
    tx.commit().await?;
    if made > 0 {
        tracing::info!(master = current, "the database is new and is encrypted from now on");
    }
    Ok(())
}

/// Wraps the root key under the current master key. Returns whether it is wrapped so now; if not, another node was faster.
async fn rewrap(store: &Store, masters: &MasterKeys, id: &str, root: &Root) -> Result<bool> {
    let Some(current) = masters.current().filter(|current| current.id != id) else {
        return Ok(true);
    };
    let wrapped = current.wrap(ROOT, root)?;
    let sql = "UPDATE vault SET master = $2, wrapped = $3 WHERE id = $1 AND master = $4";
    let mut tx = store.begin().await?;
    let done = on!(Tx, &mut tx, db => sqlx::query(sql)
        .bind(ROOT).bind(&current.id).bind(wrapped).bind(id).execute(db).await.map(|done| done.rows_affected()))?;
    tx.commit().await?;
    if done > 0 {
        tracing::info!(master = current.id, before = id, "the root key is wrapped under the new master key");
    }
    Ok(done > 0)
}

fn refused(message: String) -> CoreError {
    CoreError::invalid("/store/master_key_file", message)
}
