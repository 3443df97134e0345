//! What the configuration says of Open311.

/// What the configuration says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Open311 {
    /// Whether it is served.
    pub(crate) enabled: bool,
    /// The town, as clients name it.
    pub(crate) jurisdiction: Option<String>,
    /// Whom to ask about it.
    pub(crate) contact: Option<String>,
    /// Where it is seen from outside, without a slash at its end: `https://voxea.example.fr`.
    pub(crate) base_url: Option<String>,
}
