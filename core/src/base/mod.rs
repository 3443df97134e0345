//! The ground floor: identifiers, time, actors, errors, typed settings. Imports nothing of ours.

pub mod account;
pub mod actor;
pub mod backoff;
pub mod count;
pub mod error;
pub mod exit;
pub mod expected;
pub mod failpoint;
pub mod grant;
pub mod hex;
pub mod id;
pub mod mutant;
pub mod nearest;
pub mod percent;
pub mod secret;
pub mod settings;
pub mod stop;
pub mod time;
pub mod wake;
