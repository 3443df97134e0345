//! What an answer asks of us beside its status.

use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;

/// Months as HTTP dates have them.
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Retry-After` in milliseconds from `now` (milliseconds UTC): seconds, or a date (RFC 9110 §10.2.3). Whatever else it says is
/// not there.
pub(super) fn retry_after(headers: &HeaderMap, now: i64) -> Option<i64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are as good as the longest wait.
        return Some(text.parse::<i64>().map_or(i64::MAX, |seconds| seconds.saturating_mul(1000)));
    }
    Some((date(text)? - now).max(0))
}

/// An IMF-fixdate (RFC 9110 §5.6.7), `Fri, 27 Nov 2026 19:00:00 GMT`, in milliseconds UTC.
fn date(text: &str) -> Option<i64> {
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day = parts.next().filter(|day| day.len() == 2)?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? + 1;
    let (year, time) = (parts.next().filter(|year| year.len() == 4)?, parts.next()?);
    if parts.next() != Some("GMT") || parts.next().is_some() {
        return None;
    }
    voxea_core::base::time::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn seconds_or_a_date_and_nothing_else() {
        let of = |text: &'static str| {
            retry_after(
                &HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]),
                1_795_507_200_000,
            )
        };
        assert_eq!(of("120"), Some(120_000));
        assert_eq!(of("0"), Some(0));
        assert_eq!(of("99999999999999999999"), Some(i64::MAX));
        assert_eq!(of("Tue, 24 Nov 2026 08:01:00 GMT"), Some(60_000));
        assert_eq!(of("Tue, 24 Nov 2026 07:00:00 GMT"), Some(0));
        for none in [
            "",
            "-1",
            "1.5",
            "soon",
            "Tue, 24 Nov 2026 08:01:00 CET",
            "Tue, 24 Foo 2026 08:01:00 GMT",
            "Tue, 24-Nov-26 08:01:00 GMT",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), 0), None);
    }
}
