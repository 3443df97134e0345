//! `[login]`: how long an agent stays logged in.

use voxea_core::access::Lifetime;
use voxea_core::base::settings::Section;

/// A minute in milliseconds.
const MINUTE: i64 = 60_000;

/// Reads `[login]`.
pub(crate) fn read(section: Option<&Section<'_>>) -> Lifetime {
    let Some(section) = section else { return Lifetime::default() };
    let idle = section.int_or("idle_minutes", 30, 1..=1440) * MINUTE;
    let total = section.int_or("session_hours", 10, 1..=168) * 60 * MINUTE;
    if idle > total {
        section.problem(
            "idle_minutes",
            format!(
                "is longer than a session lasts in all; at most {} with this session_hours",
                total / MINUTE
            ),
        );
    }
    Lifetime { idle, total }
}
