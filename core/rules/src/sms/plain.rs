//! The same text in fewer septets: letters without their accents, and round brackets.

use super::policy::{Letters, Policy};
use crate::typography::{equivalent, unaccented};

/// Characters that all go out without UCS-2, or nothing. A pictograph goes together with the
/// space that it stood between.
pub(super) fn plain(chars: &[char], policy: &Policy) -> Option<Vec<char>> {
    let mut plain = Vec::with_capacity(chars.len());
    let mut dropped = false;
    for &char in chars {
        if policy.alphabet.has(char) {
            let doubled = dropped && char == ' ' && plain.last().is_none_or(|last| *last == ' ');
            if !doubled {
                plain.push(char);
                dropped = false;
            }
            continue;
        }
        if policy.letters == Letters::Keep && unaccented(char).is_some() {
            return None;
        }
        let ascii = equivalent(char, plain.last().copied())?;
        dropped |= ascii.is_empty();
        plain.extend(ascii.chars());
    }
    while dropped && plain.last() == Some(&' ') {
        plain.pop();
    }
    Some(plain)
}

/// Saves septets where no word is touched: runs of spaces, brackets of the extension table.
pub(super) fn squeeze(plain: &[char]) -> Vec<char> {
    let mut squeezed: Vec<char> = Vec::with_capacity(plain.len());
    for &char in plain {
        match char {
            ' ' | '\n' if squeezed.is_empty() => {}
            ' ' if matches!(squeezed.last(), Some(' ' | '\n')) => {}
            '[' | '{' => squeezed.push('('),
            ']' | '}' => squeezed.push(')'),
            '|' | '\\' => squeezed.push('/'),
            '~' => squeezed.push('-'),
            _ => squeezed.push(char),
        }
    }
    while matches!(squeezed.last(), Some(' ' | '\n' | '\r')) {
        squeezed.pop();
    }
    squeezed
}
