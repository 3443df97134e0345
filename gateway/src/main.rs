//! `voxea`: a town hall's calls, texts and mails become citizen requests.

mod commands;
mod config;
mod http;
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

fn main() -> ExitCode {
    let command = commands::Cli::parse();
    // Once for the process: every TLS library then finds the same provider.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    let mut code = ExitCode::FAILURE;
    let done = command.execute().inspect_err(|failure| code = failure.code()).context("voxea");
    match done {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "{error:#}");
            code
        }
    }
}
