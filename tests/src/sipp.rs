//! SIPp, which nobody here wrote, as a caller.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Calls 3000 at `server` from 127.0.0.1; `arguments` say how, files are looked for in `folder`.
///
/// # Errors
/// When SIPp is missing, or a call did not go as its scenario says.
pub async fn run<A: AsRef<OsStr>>(server: SocketAddr, folder: &Path, arguments: &[A]) -> Result<()> {
    let output = Command::new("sipp")
        .args(arguments)
        .args(["-s", "3000", "-i", "127.0.0.1", "-nostdin"])
        .arg(server.to_string())
        .current_dir(folder)
        .output()
        .await
        .context("sipp is missing: apt-get install sip-tester")?;
    ensure!(
        output.status.success(),
        "sipp: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}
