//! `voxea doctor`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use voxea_core::store::Store;

use super::common::say;
use crate::config::Config;
use crate::failure::Failure;
use crate::run::channels;

/// A peer that takes longer than this is not well.
const PATIENCE: Duration = Duration::from_secs(15);

/// Tries every peer and says what was found, a line each; 0 when all is well, 1 otherwise.
///
/// # Errors
/// None: what fails is a line.
pub(super) async fn doctor(config: Config) -> Result<ExitCode, Failure> {
    let mut well = tell("database", within(database(&config)).await);
    well &= tell("disk", disk(&config.store.blobs));
    well &= tell("api", bind(config.api.listen).await);
    for (account, probe) in channels::probes(&config) {
        well &= tell(&account.to_string(), within(probe).await);
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(what: &str, found: Result<String, String>) -> bool {
    match &found {
        Ok(text) => say(format_args!("ok    {what}: {text}")),
        Err(text) => say(format_args!("FAIL  {what}: {text}")),
    }
    found.is_ok()
}

async fn within(probe: impl Future<Output = Result<String, String>>) -> Result<String, String> {
    tokio::time::timeout(PATIENCE, probe)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

async fn database(config: &Config) -> Result<String, String> {
    let url = config.store.url.reveal();
    // Opening would make the file; the doctor changes nothing.
    if let Some(path) = url.strip_prefix("sqlite://")
        && !Path::new(path).exists()
    {
        return Err(format!("{path} does not exist yet; `voxea migrate` makes it"));
    }
    let store = Store::open(url).await.map_err(|error| error.to_string())?;
    let probed = store.probe().await;
    store.close().await;
    probed
        .map(|()| "migrated, and takes writes".to_owned())
        .map_err(|error| format!("{error}; `voxea migrate` brings it up to date"))
}

/// Whether a file can be made, flushed and removed where the blobs are, or will be.
fn disk(blobs: &Path) -> Result<String, String> {
    let folder = blobs.ancestors().find(|folder| folder.is_dir()).unwrap_or(blobs);
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let tried = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|file| file.sync_all());
    let _ = std::fs::remove_file(&path);
    match tried {
        Ok(()) => Ok(format!("{} takes files", folder.display())),
        Err(error) => Err(format!(
            "{}: {error}; the folder must belong to the daemon's user",
            folder.display()
        )),
    }
}

async fn bind(address: std::net::SocketAddr) -> Result<String, String> {
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Ok(format!("{address} is free")),
        // A daemon that runs already holds it, and that is well.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => match tokio::net::TcpStream::connect(address).await {
            Ok(_) => Ok(format!("{address} is served by a running daemon")),
            Err(_) => Err(format!("{address} is in use, and nothing answers there")),
        },
        Err(error) => Err(format!("{address}: {error}")),
    }
}
