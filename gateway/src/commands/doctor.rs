//! `voxea doctor`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use voxea_core::artefact::Bucket;
use voxea_core::base::account::Kind;
use voxea_core::base::error::CoreError;
use voxea_core::store::Store;
use voxea_core::vault::Vault;
use voxea_imap::config::{Security, Server};

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
    if let Some(bucket) = &config.store.bucket {
        well &= tell("object storage", within(objects(bucket)).await);
    }
    let api = bind(config.api.listen).await;
    // Port 0 is another one each time, and tells nothing.
    let running = (config.api.listen.port() != 0).then_some(matches!(&api, Ok(Door::Served)));
    well &= tell("api", api.map(|door| door.at(config.api.listen)));
    if let Some(sip) = &config.sip {
        well &= tell("sip ports", within(voxea_sip::ports(sip, running)).await);
    }
    for (account, probe) in channels::probes(&config) {
        let mailbox = config
            .mailboxes
            .iter()
            .find(|(name, _)| account.kind == Kind::Mailbox && account.name == *name);
        let found = match mailbox {
            Some((_, mailbox)) => self::mailbox(mailbox).await,
            None => within(probe).await,
        };
        well &= tell(&account.to_string(), found);
    }
    for (section, issuer) in config.trust.providers() {
        well &= tell(&section, within(issuer.probe()).await);
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
    tokio::time::timeout(PATIENCE, probe).await.unwrap_or_else(|_| Err(silent()))
}

fn silent() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

/// A mailbox has two servers, and the person must know which of them is not well. So reading is tried alone first,
/// and the server that sends whatever became of that.
async fn mailbox(config: &voxea_imap::Config) -> Result<String, String> {
    let alone = voxea_imap::Config {
        submission: None,
        ..config.clone()
    };
    let reading = within(voxea_imap::probe(&alone))
        .await
        .map_err(|words| of("IMAP server", &config.server, &words));
    let Some(submission) = &config.submission else { return reading };
    let sending = |words: &str| of("submission server", &submission.server, words);
    match reading {
        // Only with the mailbox open is the login to the other server tried.
        Ok(_) => tokio::time::timeout(PATIENCE, voxea_imap::probe(config)).await.unwrap_or_else(|_| {
            let read = of("IMAP server", &config.server, "logged in");
            Err(format!("{read}; {}", sending(&silent())))
        }),
        Err(words) => Err(match within(greeting(&submission.server)).await {
            Ok(found) => format!("{words}; {}", sending(&found)),
            Err(error) => format!("{words}; {}", sending(&error)),
        }),
    }
}

/// Whose words these are, with its address once: some bring it along.
fn of(what: &str, server: &Server, words: &str) -> String {
    let address = server.authority();
    let mut words = words;
    while let Some(rest) = words.strip_prefix(&address).and_then(|rest| rest.strip_prefix(": ")) {
        words = rest;
    }
    format!("{what} {address}: {words}")
}

/// Whether a submission server is there at all. Where TLS comes first it says nothing by itself.
async fn greeting(server: &Server) -> Result<String, String> {
    let mut stream = TcpStream::connect((server.host.as_str(), server.port))
        .await
        .map_err(|error| error.to_string())?;
    if server.security == Security::Tls {
        return Ok("takes connections; its login was not tried".to_owned());
    }
    let mut code = [0_u8; 3];
    stream.read_exact(&mut code).await.map_err(|error| error.to_string())?;
    match &code {
        b"220" => Ok("is there; its login was not tried".to_owned()),
        _ => Err("does not greet as a mail server; check address and security".to_owned()),
    }
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
    let probed = async {
        let stale = |error| format!("{error}; `voxea migrate` brings it up to date");
        store.probe().await.map_err(stale)?;
        let sealed = Vault::probe(&store, config.store.master_keys.as_ref()).await;
        let sealed = sealed.map_err(|error| match error {
            CoreError::Invalid { message, .. } => message,
            other => stale(other),
        })?;
        if let Some(path) = url.strip_prefix("sqlite://") {
            private(path)?;
        }
        Ok(format!("migrated, and takes writes; {sealed}"))
    };
    let found = probed.await;
    store.close().await;
    found
}

/// Whether nobody but the daemon's user and group may read the file: a copy keeps the rights that whoever made it had.
fn private(path: &str) -> Result<(), String> {
    let mode = std::fs::metadata(path)
        .map_err(|error| format!("{path}: {error}"))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    Err(format!(
        "everybody on this machine may open {path} (mode {mode:o}), with all that citizens wrote; `chmod o= {path}*` mends it"
    ))
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

/// Whether an object can be kept, read and removed.
async fn objects(bucket: &Bucket) -> Result<String, String> {
    match bucket.probe().await {
        Ok(()) => Ok(format!("{} takes, gives and removes objects", bucket.name())),
        Err(CoreError::Unavailable(words) | CoreError::Away(words)) => Err(words),
        Err(error) => Err(error.to_string()),
    }
}

/// What an address of ours is.
enum Door {
    Free,
    Served,
}

impl Door {
    fn at(&self, address: std::net::SocketAddr) -> String {
        match self {
            Self::Free => format!("{address} is free"),
            Self::Served => format!("{address} is served by a running daemon"),
        }
    }
}

async fn bind(address: std::net::SocketAddr) -> Result<Door, String> {
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Ok(Door::Free),
        // A daemon that runs already holds it, and that is well.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => match tokio::net::TcpStream::connect(address).await {
            Ok(_) => Ok(Door::Served),
            Err(_) => Err(format!("{address} is in use, and nothing answers there")),
        },
        Err(error) => Err(format!("{address}: {error}")),
    }
}
