//! Clients for free: public tools, which nobody here wrote, read `/openapi.json`. A linter finds no fault with it, and what two
//! generators make of it compiles, is whole, and does a back office's work.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;
use voxea_tests::scratch::{self, Running, Scratch};

/// Where the tools are, and the programs that use what they make.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/clients");
/// Imports every module of the Python client: a template that went wrong is seen by nobody else.
const WHOLE: &str = "import importlib, pkgutil, generated\n\
    for found in pkgutil.walk_packages(generated.__path__, 'generated.'): importlib.import_module(found.name)";

struct Desk {
    running: Running,
    folder: tempfile::TempDir,
    _scratch: Scratch,
}

impl Desk {
    /// A daemon, and a folder with its document.
    async fn new() -> Result<Self> {
        let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
        let running = scratch.run().await?;
        let document = running.rest().call("GET", "/openapi.json", None).await?;
        ensure!(document.status == 200, "{}", document.status);
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("openapi.json"), &document.body)?;
        for name in ["package.json", "generate.mjs", "tsconfig.json", "story.ts", "story.py"] {
            std::fs::copy(Path::new(TOOLS).join(name), folder.path().join(name))?;
        }
        std::os::unix::fs::symlink(Path::new(TOOLS).join("node_modules"), folder.path().join("node_modules"))?;
        Ok(Self {
            running,
            folder,
            _scratch: scratch,
        })
    }

    /// Runs a tool in the folder; what it says on stdout.
    async fn run(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        let said = Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("VOXEA", format!("http://{}", self.running.api))
            .env("KEY", self.running.rest().key())
            .env("REDOCLY_TELEMETRY", "off")
            .stdin(Stdio::null())
            .output()
            .await
            .with_context(|| format!("{}: scripts/install-peers installs it", program.display()))?;
        let (out, words) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        ensure!(said.status.success(), "{} {arguments:?}: {out}{words}", program.display());
        Ok(out.into_owned())
    }
}

fn tool(name: &str) -> PathBuf {
    Path::new(TOOLS).join("node_modules/.bin").join(name)
}

fn python(name: &str) -> PathBuf {
    Path::new(TOOLS).join(".venv/bin").join(name)
}

/// What both programs say they saw.
fn worked(said: &str) -> Result<()> {
    let last = said.lines().last().unwrap_or_default();
    let said: Value = serde_json::from_str(last).with_context(|| format!("no JSON: {said}"))?;
    ensure!(
        said["subject"] == "Éclairage" && said["text"] == "Un lampadaire est en panne",
        "{said}"
    );
    ensure!(said["status"] == "to_qualify" && said["stale"] == 412, "{said}");
    ensure!(said["missing"] == "urn:voxea:problem:not-found", "{said}");
    let seen: Vec<&str> = said["seen"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for wanted in [
        "fr.voxea.request.created",
        "fr.voxea.interaction.received",
        "fr.voxea.request.status_changed",
    ] {
        ensure!(seen.iter().filter(|event| **event == wanted).count() == 1, "{wanted}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_linter_finds_no_fault_with_the_document() -> Result<()> {
    let desk = Desk::new().await?;
    let said = desk.run(&tool("redocly"), &["lint", "openapi.json", "--format=json"]).await?;
    let said: Value = serde_json::from_str(&said)?;
    ensure!(said["totals"]["errors"] == 0, "{}", said["problems"]);
    // It does find faults: an operation without a name of its own.
    let path = desk.folder.path().join("openapi.json");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, text.replace("\"get_requests_by_id\"", "\"get_requests\""))?;
    ensure!(
        desk.run(&tool("redocly"), &["lint", "openapi.json", "--format=json"])
            .await
            .is_err()
    );
    Ok(())
}

#[tokio::test]
async fn a_generated_typescript_client_does_a_back_offices_work() -> Result<()> {
    let desk = Desk::new().await?;
    desk.run(Path::new("node"), &["generate.mjs"]).await?;
    desk.run(&tool("tsc"), &["--project", "."]).await?;
    worked(&desk.run(Path::new("node"), &["built/story.js"]).await?)
}

#[tokio::test]
async fn a_generated_python_client_does_a_back_offices_work() -> Result<()> {
    let desk = Desk::new().await?;
    let generate = ["generate", "--path", "openapi.json", "--output-path", "generated", "--meta", "none"];
    desk.run(&python("openapi-python-client"), &generate).await?;
    desk.run(&python("python"), &["-c", WHOLE]).await?;
    worked(&desk.run(&python("python"), &["story.py"]).await?)
}
