//! What a client would rather have: quality values (RFC 9110 §12.4.2) and media ranges (§12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// Reads `q=0.5` as thousandths; `None` when it is no weight.
pub(super) fn thousandths(weight: &str) -> Option<u32> {
    let (name, value) = weight.split_once('=')?;
    let value = value.trim();
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, rest) = value.split_once('.').unwrap_or((value, ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest: u32 = format!("{rest:0<3}").parse().ok()?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1000),
        _ => None,
    }
}

/// The one of `offered` that the client likes best, by its place; the first of those that it likes as well. Without `Accept`, the
/// first. `None` when it takes none of them.
pub(crate) fn best(headers: &HeaderMap, offered: &[&str]) -> Option<usize> {
    let sent: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if sent.is_empty() {
        return Some(0);
    }
    let ranges: Vec<(&str, u32)> = sent.iter().flat_map(|text| text.split(',')).filter_map(range).collect();
    // The most specific range decides.
    let quality = |media: &str| {
        let kind = media.split('/').next().unwrap_or_default();
        let of = |wanted: &str| {
            let found = ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(wanted));
            found.map(|(_, quality)| *quality)
        };
        of(media).or_else(|| of(&format!("{kind}/*"))).or_else(|| of("*/*")).unwrap_or(0)
    };
    let mut best = None;
    for (at, media) in offered.iter().enumerate() {
        let quality = quality(media);
        if quality > best.map_or(0, |(_, quality)| quality) {
            best = Some((at, quality));
        }
    }
    best.map(|(at, _)| at)
}

fn range(text: &str) -> Option<(&str, u32)> {
    let mut pieces = text.split(';').map(str::trim);
    let range = pieces.next().filter(|range| range.contains('/'))?;
    // Parameters of the type, such as a charset, make no difference to what is offered here.
    let weight = pieces.find(|piece| piece.starts_with(['q', 'Q']));
    Some((range, weight.map_or(Some(1000), thousandths)?))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_most_specific_range_and_the_highest_quality_win() {
        let of = |text: &'static str| {
            best(
                &HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(text))]),
                &["application/json", "application/xml"],
            )
        };
        assert_eq!(best(&HeaderMap::new(), &["application/json", "application/xml"]), Some(0));
        for (text, wanted) in [
            ("application/xml", Some(1)),
            ("APPLICATION/XML; charset=utf-8", Some(1)),
            ("*/*", Some(0)),
            ("application/*", Some(0)),
            ("application/json;q=0.8, application/xml", Some(1)),
            ("application/xml;q=0.8, */*;q=0.9", Some(0)),
            ("application/json;q=0, */*", Some(1)),
            ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", Some(1)),
            ("text/html", None),
            ("application/xml;q=0", None),
            ("", None),
            ("application/xml;q=2", None),
        ] {
            assert_eq!(of(text), wanted, "{text}");
        }
        assert_eq!(
            ["q=1", "q=0.5", "q=0.123", "Q=0", "q=1.000"].map(thousandths),
            [Some(1000), Some(500), Some(123), Some(0), Some(1000)]
        );
        assert_eq!(["q=1.001", "q=0.1234", "q=", "x=1", "q"].map(thousandths), [None; 5]);
    }
}
