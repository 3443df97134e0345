//! `voxea catalogue`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use voxea_core::base::actor::Actor;
use voxea_core::catalogue::{self, Catalogue, Document};
use voxea_core::feed::Feed;

use super::common::{database, say};
use crate::config::Config;
use crate::failure::Failure;

/// The largest file that is read, in bytes; far more than two thousand themes need.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What to do with the catalogue.
#[derive(Debug, Subcommand)]
pub(super) enum CatalogueCommand {
    /// Print all of it as JSON: domains, services, themes. Edit it and import it again.
    Export,
    /// Take a file over, after everything that is wrong with it was said. A running daemon knows within seconds. Themes
    /// that the file lacks are switched off, since requests may have them; services and domains that it lacks stay.
    Import {
        /// The file; `-` is standard input.
        file: PathBuf,
        /// Only say what is wrong.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Prints or takes over the catalogue; an empty database is migrated first.
///
/// # Errors
/// The file's, with exit code 2, or the database's.
pub(super) async fn catalogue(config: &Config, command: CatalogueCommand) -> Result<ExitCode, Failure> {
    let imported = match &command {
        CatalogueCommand::Import { file, .. } => Some(read(file)?),
        CatalogueCommand::Export => None,
    };
    if matches!(command, CatalogueCommand::Import { dry_run: true, .. }) {
        say("nothing is wrong with it");
        return Ok(ExitCode::SUCCESS);
    }
    let store = database(config).await?;
    let door = Catalogue::new(store.clone(), Feed::new(store.clone()), config.organisation.calendar.clone());
    let done = act(&door, imported).await;
    store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn act(door: &Catalogue, imported: Option<Document>) -> Result<(), Failure> {
    door.seed().await?;
    match imported {
        Some(document) => {
            let before = door.current().version;
            let after = door.import(&Actor::System, document).await?.version;
            say(if after == before {
                "nothing changed"
            } else {
                "the catalogue was taken over"
            });
        }
        None => say(text(&door.current().document)?),
    }
    Ok(())
}

/// A file that is right by itself.
fn read(file: &Path) -> Result<Document, Failure> {
    let mut text = String::new();
    let what = format!("reading {}", file.display());
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(LARGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(LARGEST).read_to_string(&mut text))
    };
    read.map_err(Failure::system(what))?;
    // serde's message ends with the line and column.
    let document: Document = serde_json::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    let wrong = catalogue::check(&document);
    if wrong.is_empty() {
        return Ok(document);
    }
    let lines = wrong
        .iter()
        .map(|wrong| format!("{}: {}: {}", file.display(), wrong.pointer, wrong.message));
    Err(Failure::Usage(lines.collect::<Vec<_>>().join("\n")))
}

/// One entry a line, so that a change shows as a line.
fn text(document: &Document) -> Result<String, Failure> {
    fn list(entries: &[impl serde::Serialize]) -> Result<String, serde_json::Error> {
        let lines = entries.iter().map(|entry| Ok(format!("    {}", serde_json::to_string(entry)?)));
        Ok(lines.collect::<Result<Vec<_>, serde_json::Error>>()?.join(",\n"))
    }
    let broken = |error: serde_json::Error| Failure::Broken(error.to_string());
    let lists = [
        ("domains", list(&document.domains)),
        ("services", list(&document.services)),
        ("themes", list(&document.themes)),
    ];
    let mut parts = Vec::new();
    for (name, lines) in lists {
        parts.push(format!("  \"{name}\": [\n{}\n  ]", lines.map_err(broken)?));
    }
    Ok(format!("{{\n{}\n}}", parts.join(",\n")))
}
