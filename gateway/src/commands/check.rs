//! `voxea check`.

use std::process::ExitCode;

use super::common::say;
use crate::config::{Config, ConfigError};
use crate::failure::Failure;

/// Says everything that is wrong with the configuration; 0 when nothing is, 2 otherwise.
///
/// # Errors
/// There is no configuration to check.
pub(super) fn check(loaded: Result<Config, ConfigError>) -> Result<ExitCode, Failure> {
    match loaded {
        Ok(config) => {
            for warning in &config.warnings {
                say(warning);
            }
            let channels = usize::from(config.sip.is_some()) + config.smpp.len() + config.mailboxes.len();
            say(format_args!("the configuration is right; {} beside the API", counted(channels)));
            Ok(ExitCode::SUCCESS)
        }
        Err(wrong @ ConfigError::Wrong { .. }) => {
            say(&wrong);
            Ok(ExitCode::from(2))
        }
        Err(error) => Err(error.into()),
    }
}

fn counted(channels: usize) -> String {
    match channels {
        0 => "no channel".to_owned(),
        1 => "one channel".to_owned(),
        _ => format!("{channels} channels"),
    }
}
