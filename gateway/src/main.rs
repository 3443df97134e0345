//! `voxea`: a town hall's calls, texts and mails become citizen requests.

mod bucket;
mod commands;
mod config;
mod failure;
mod http;
#[cfg(target_env = "gnu")]
mod memory;
mod out;
mod run;
mod sound;
mod trust;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    memory::bound();
    let command = commands::Cli::parse();
    // Once for the process: every TLS library then finds the same provider.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    command.execute().unwrap_or_else(|failure| {
        let _ = writeln!(std::io::stderr().lock(), "voxea: {failure}");
        failure.code()
    })
}
