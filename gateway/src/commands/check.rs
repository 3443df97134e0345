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
            let channels = usize::from(config.sip.is_some()) + config.smpp.len() + config.mailboxes.len();
            say(format_args!("the configuration is right; {channels} channels beside the API"));
            Ok(ExitCode::SUCCESS)
        }
        Err(wrong @ ConfigError::Wrong { .. }) => {
            say(&wrong);
            Ok(ExitCode::from(2))
        }
        Err(error) => Err(error.into()),
    }
}
