//! Why the binary ends with another code than 0.

use std::process::ExitCode;

use voxea_core::base::error::CoreError;

use crate::config::ConfigError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration. Exit code 2.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The database or the blobs.
    #[error("{0}")]
    Core(#[from] CoreError),
    /// Something of the operating system.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// What the person typed. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A task that the daemon cannot live without has ended.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// What was being done when the operating system refused.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    /// 2 for what the person must mend first, 1 for the rest.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            // Of what the core is opened with, the configuration is all that can be invalid.
            Self::Config(_) | Self::Usage(_) | Self::Core(CoreError::Invalid { .. }) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
