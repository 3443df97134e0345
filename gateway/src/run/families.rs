//! What a scrape is made of.

/// Families of metrics with their values of now.
pub(super) type Families = Vec<prometheus::proto::MetricFamily>;
