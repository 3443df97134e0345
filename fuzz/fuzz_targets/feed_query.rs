//! Queries of the feed by strangers: cursors that read back as they were spelt, lists within their bound, patterns that mean what
//! they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_rules::cursor::{Cursor, LONGEST};
use voxea_rules::filter::{MOST, list, means, once};

const NAMES: [&str; 5] = ["request.created", "request.updated", "reply.settled", "channel.up", "theme.changed"];

/// The same, part by part.
fn meant(pattern: &str, name: &str) -> bool {
    let (wanted, parts): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), name.split('.').collect());
    match wanted.split_last() {
        Some((&"*", first)) => parts.len() > first.len() && parts.starts_with(first),
        _ => wanted == parts,
    }
}

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let text = String::from_utf8_lossy(bytes);
    let pairs: Vec<(String, String)> = text
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if let Ok(Some(after)) = once(&pairs, "after")
        && let Ok(cursor) = after.parse::<Cursor>()
    {
        assert_eq!(cursor.to_string(), after, "one text stands for one place");
        assert!(after.len() <= LONGEST);
    }
    for name in ["type", "theme"] {
        let Ok(names) = list(&pairs, name) else { continue };
        let said: Vec<&str> = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect();
        assert!(names.len() <= MOST);
        assert_eq!(names.join(","), said.join(","));
        for pattern in names {
            for known in NAMES {
                assert_eq!(means(pattern, known), meant(pattern, known), "{pattern} {known}");
            }
        }
    }
}));
