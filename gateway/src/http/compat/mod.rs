//! Other people's interfaces over the same doors; each is off unless the configuration says so.

pub(crate) mod open311;
