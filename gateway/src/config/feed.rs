//! `[feed]`: how long events are kept.

use voxea_core::base::settings::Section;
use voxea_core::base::time::Millis;

/// A day in milliseconds.
const DAY: Millis = 24 * 3600 * 1000;

/// Reads `[feed]`: how old an event becomes, in milliseconds; `None` for ever.
pub(crate) fn read(section: Option<&Section<'_>>) -> Option<Millis> {
    let section = section.filter(|section| section.has("keep_days"))?;
    Some(section.int_or("keep_days", 3650, 1..=36_500) * DAY)
}
