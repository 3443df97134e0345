//! Range arithmetic for bodies of known length (RFC 9110 §14).

use std::ops::Range;

/// The unit that we serve, for `Accept-Ranges`.
pub(crate) const UNIT: &str = "bytes";

/// What a `Range` header asks of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// No range, or one that must be ignored (another unit, several ranges, bad syntax): the whole body with 200.
    Whole,
    /// One range that lies in the body, in bytes: 206.
    Part(Range<u64>),
    /// A well-formed range of which nothing lies in the body: 416.
    Outside,
}

/// Reads a `Range` header against a body of `length` bytes.
///
/// Several ranges are answered with the whole body, which RFC 9110 §14.2 allows: players never ask for them, and
/// overlapping ones are an attack.
pub(crate) fn asked(header: Option<&str>, length: u64) -> Asked {
    let Some((unit, spec)) = header.and_then(|text| text.split_once('=')) else {
        return Asked::Whole;
    };
    // RFC 9110 §14.1: range units are case-insensitive; one that we do not know is ignored.
    if !unit.trim().eq_ignore_ascii_case(UNIT) || spec.contains(',') {
        return Asked::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Asked::Whole;
    };
    match (number(first), number(last)) {
        // The last n bytes; all of them when there are fewer.
        (Number::Absent, Number::Is(0)) => Asked::Outside,
        (Number::Absent, Number::Is(n)) if length > 0 => Asked::Part(length.saturating_sub(n)..length),
        (Number::Absent, Number::Is(_)) => Asked::Outside,
        (Number::Is(first), last @ (Number::Absent | Number::Is(_))) => {
            let end = match last {
                Number::Is(last) if last < first => return Asked::Whole,
                Number::Is(last) => last.saturating_add(1).min(length),
                _ => length,
            };
            if first < length { Asked::Part(first..end) } else { Asked::Outside }
        }
        _ => Asked::Whole,
    }
}

enum Number {
    Absent,
    Is(u64),
    Bad,
}

fn number(text: &str) -> Number {
    if text.is_empty() {
        return Number::Absent;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Number::Bad;
    }
    // More digits than a u64 holds is still a number, and lies beyond every body.
    Number::Is(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_in_the_standard() {
        let table = [
            (None, Asked::Whole),
            (Some("bytes=0-"), Asked::Part(0..100)),
            (Some("bytes=0-0"), Asked::Part(0..1)),
            (Some("bytes=10-19"), Asked::Part(10..20)),
            (Some("Bytes=99-"), Asked::Part(99..100)),
            (Some("bytes=50-1000"), Asked::Part(50..100)),
            (Some("bytes=-10"), Asked::Part(90..100)),
            (Some("bytes=-1000"), Asked::Part(0..100)),
            (Some("bytes=99999999999999999999999-"), Asked::Outside),
            (Some("bytes=0-99999999999999999999999"), Asked::Part(0..100)),
            (Some("bytes=100-"), Asked::Outside),
            (Some("bytes=-0"), Asked::Outside),
            (Some("bytes=20-10"), Asked::Whole),
            (Some("bytes=-"), Asked::Whole),
            (Some("bytes=a-b"), Asked::Whole),
            (Some("bytes=+1-2"), Asked::Whole),
            (Some("bytes=0-1,5-6"), Asked::Whole),
            (Some("lines=0-1"), Asked::Whole),
            (Some("bytes"), Asked::Whole),
        ];
        for (header, expected) in table {
            assert_eq!(asked(header, 100), expected, "{header:?}");
        }
    }

    #[test]
    fn nothing_lies_in_an_empty_body() {
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Outside);
        assert_eq!(asked(Some("bytes=-5"), 0), Asked::Outside);
        assert_eq!(asked(None, 0), Asked::Whole);
    }
}
