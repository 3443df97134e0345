//! `voxea vault`.

use std::process::ExitCode;

use clap::Subcommand;
use voxea_core::artefact::{self, Blobs};
use voxea_core::audit::{PublicKey, SigningKey};
use voxea_core::contact::evidence;
use voxea_core::store::Store;
use voxea_core::vault::{self, MasterKeys, Vault};
use voxea_recorder::Key;
use voxea_recorder::encrypt::{Done, encrypt};
use voxea_recorder::error::Error as RecorderError;
use voxea_recorder::manifest::Sign;

use super::common::{database, say};
use crate::config::{Config, ConfigError};
use crate::failure::Failure;

/// What to do about encryption.
#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// Print a new master key, alone on its line. As the first line of the file that `master_key_file` names it
    /// wraps from the next start on; keep the older lines below it.
    NewKey,
    /// Encrypt a database, blobs and recordings that began plain, under the key that is configured. The daemon must be
    /// stopped; it takes as much room again. What is interrupted ends when it is run again.
    Seal {
        /// The public keys of those that signed the manifests of recordings before the daemon's present one; manifests are
        /// signed anew, and only those that are sound.
        #[arg(long)]
        public_key: Vec<PublicKey>,
    },
}

/// Does what was asked; a new key needs no configuration.
///
/// # Errors
/// The configuration's, the database's, the folder's.
pub(super) async fn vault(command: &VaultCommand, load: impl FnOnce() -> Result<Config, ConfigError>) -> Result<ExitCode, Failure> {
    match command {
        VaultCommand::NewKey => say(vault::new_line()?),
        VaultCommand::Seal { public_key } => seal(&load()?, public_key).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn seal(config: &Config, older: &[PublicKey]) -> Result<(), Failure> {
    let Some(masters) = &config.store.master_keys else {
        return Err(Failure::Usage(
            "no key is configured: put a line of `voxea vault new-key` into a file, and name that: [store] master_key_file = \"…\""
                .to_owned(),
        ));
    };
    // First of all, since a daemon that runs holds the folder.
    let blobs = Blobs::open(config.store.blobs.clone(), Vault::off())?;
    let store = database(config).await?;
    let sealed = everything(&store, &blobs, config, masters, older).await;
    store.close().await;
    sealed?;
    say("the database, the blobs and the recordings are encrypted; back-ups from before are not");
    Ok(())
}

async fn everything(store: &Store, blobs: &Blobs, config: &Config, masters: &MasterKeys, older: &[PublicKey]) -> Result<(), Failure> {
    artefact::seal(store, blobs, masters).await?;
    let vault = Vault::of(store, Some(masters)).await?;
    let (key, _) = SigningKey::open(&config.audit.trail.signing_key)?;
    let trusted: Vec<[u8; 32]> = std::iter::once(&key.public()).chain(older).map(PublicKey::octets).collect();
    let (signer, folder) = (Signer(key), blobs.recordings_folder());
    let mut after = String::new();
    loop {
        let rows = evidence::with_file(store, &after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for row in rows {
            // The key first: a file without one is lost, a key without a file is nothing.
            if !blobs.path(&row.path).exists() {
                continue;
            }
            let key = Key::new(evidence::key_for(store, &vault, &row).await?.octets());
            match encrypt(&folder, &row.id, &key, &signer, &trusted) {
                Ok(Done::Absent | Done::Encrypted) => {}
                Ok(Done::Unsound(fault)) => say(format_args!(
                    "recording {} is encrypted, but was NOT SOUND before, and its manifest was left as it is: {fault}",
                    row.id
                )),
                // What is no recording is not heard either way.
                Err(RecorderError::NotARecording { problem, .. }) => say(format_args!("recording {}: {problem}", row.id)),
                Err(error) => return Err(Failure::Broken(error.to_string())),
            }
        }
    }
}

/// The trail's key, as the recorder knows it.
#[derive(Debug)]
struct Signer(SigningKey);

impl Sign for Signer {
    fn public(&self) -> [u8; 32] {
        self.0.public().octets()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.signature(message)
    }
}
