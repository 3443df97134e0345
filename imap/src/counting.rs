//! What the first connection would take in, counted beforehand. Nothing is changed on the server.

use crate::config::Config;
use crate::connection::Connection;
use crate::planner::Listed;
use crate::trouble::Trouble;

/// UIDs whose sizes are asked at once.
const AT_ONCE: usize = 500;

/// Mails and their octets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub mails: u64,
    /// Octets, as the server counts them.
    pub bytes: u64,
    /// Of these, how many are larger than the mailbox takes whole; of them the headers are taken in.
    pub oversize: u64,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its name.
    pub folder: String,
    /// What `first = "all"` takes in.
    pub all: Amount,
    /// What `first = "since:…"` takes in, where a date was asked for.
    pub since: Option<Amount>,
}

/// Counts what every folder of a mailbox holds, and what of it came since a moment (milliseconds UTC).
///
/// # Errors
/// What failed and what to do about it.
pub async fn count(config: &Config, since: Option<i64>) -> Result<Vec<Counted>, String> {
    let wrong = |trouble: Trouble| format!("{}: {trouble}", config.server.authority());
    let mut connection = Connection::open(config).await.map_err(wrong)?;
    let mut counted = Vec::new();
    for folder in &config.folders {
        counted.push(of(&mut connection, config, folder, since).await.map_err(wrong)?);
    }
    connection.close().await;
    Ok(counted)
}

async fn of(connection: &mut Connection, config: &Config, folder: &str, since: Option<i64>) -> Result<Counted, Trouble> {
    let mut counted = Counted {
        folder: folder.to_owned(),
        all: Amount::default(),
        since: since.map(|_| Amount::default()),
    };
    if connection.examine(folder).await?.mails == 0 {
        return Ok(counted);
    }
    let mut uids = connection.uids("UID 1:*").await?;
    uids.sort_unstable();
    for chunk in uids.chunks(AT_ONCE) {
        let mut listed = Vec::with_capacity(chunk.len());
        connection.sizes(chunk, &mut listed).await?;
        for one in &listed {
            add(&mut counted.all, one, config.oversize);
            // As the planner decides: a mail without a date is taken in.
            if let (Some(floor), Some(amount)) = (since, &mut counted.since)
                && (one.internal_ms == 0 || one.internal_ms >= floor)
            {
                add(amount, one, config.oversize);
            }
        }
    }
    Ok(counted)
}

fn add(amount: &mut Amount, one: &Listed, oversize: u32) {
    amount.mails += 1;
    amount.bytes += u64::from(one.size);
    amount.oversize += u64::from(one.size > oversize);
}
