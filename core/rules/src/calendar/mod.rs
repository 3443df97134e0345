//! The working time of a service: when it is open, what counts against a deadline, when that
//! deadline falls.
//!
//! A [`Calendar`] is weekly hours in a time zone, less the public holidays of a zone, less the
//! closures that the town itself decides. Instants are milliseconds UTC; dates are civil dates
//! in the calendar's own time zone.
//!
//! Deliberately absent: school holidays, bridge days, and the days that custom or an agreement
//! closes without a law (Mardi gras and Mi-carême in the Antilles, the feasts of Islam on
//! Mayotte, a town's own fête). Whoever keeps them writes them down as closures.

mod closure;
pub mod easter;
mod holidays;
mod hours;
mod working;
mod zone;

pub use closure::{Closed, Closure};
pub use holidays::Holiday;
pub use hours::{HoursError, Span, WeeklyHours};
pub use working::Calendar;
pub use zone::{HolidayZone, UnknownHolidayZone};
