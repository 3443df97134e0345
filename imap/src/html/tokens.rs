//! HTML as a row of tags and texts, in one pass, as a browser would cut it (the HTML Standard, §13.2.5).

use std::borrow::Cow;

use mail_parser::decoders::html::add_html_token;

use crate::charset;

/// Most attributes of one tag that are read; a tree builder compares each with all others.
const ATTRIBUTES: usize = 64;
/// Longest entity, in bytes: `&CounterClockwiseContourIntegral;`.
const ENTITY_BYTES: usize = 33;

/// A piece of HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Between tags, as it stands there.
    Text(&'a str),
    /// A tag that opens, the name in lower case.
    Open(String, Vec<(&'a str, &'a str)>),
    /// A tag that closes.
    Close(String),
}

/// Cuts HTML. Comments, declarations and what stands in scripts and styles are passed over.
pub(super) fn tokens(html: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = html;
    // Raw elements that have no end: a scan for it once is enough.
    let mut endless: Vec<&'static str> = Vec::new();
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let Some(tail) = rest.strip_prefix('<') else {
                let end = rest.find('<').unwrap_or(rest.len());
                let (text, after) = rest.split_at(end);
                rest = after;
                return Some(Token::Text(text));
            };
            match tail.as_bytes() {
                [b'!', b'-', b'-', ..] => rest = after_comment(tail.get(3..).unwrap_or_default()),
                [b'!' | b'?', ..] => rest = tail.split_once('>').map_or("", |(_, after)| after),
                [b'/', letter, ..] if letter.is_ascii_alphabetic() => {
                    let inner = tail.get(1..).unwrap_or_default();
                    let name = name(inner);
                    rest = inner.split_once('>').map_or("", |(_, after)| after);
                    return Some(Token::Close(name.to_ascii_lowercase()));
                }
                [letter, ..] if letter.is_ascii_alphabetic() => {
                    let name = name(tail).to_ascii_lowercase();
                    let (attributes, after) = attributes(tail.get(name.len()..).unwrap_or_default());
                    rest = after;
                    if let Some(raw) = RAW.iter().find(|raw| **raw == name) {
                        if !endless.contains(raw) {
                            match after_raw(after, raw) {
                                Some(end) => rest = end,
                                None => endless.push(raw),
                            }
                        }
                        continue;
                    }
                    return Some(Token::Open(name, attributes));
                }
                _ => {
                    // No tag: the sign stands for itself.
                    let end = tail.find('<').unwrap_or(tail.len());
                    let (text, after) = rest.split_at(end + 1);
                    rest = after;
                    return Some(Token::Text(text));
                }
            }
        }
    })
}

/// Elements of which nothing is shown, and in which no tag counts but their own end.
const RAW: [&str; 6] = ["script", "style", "title", "template", "noframes", "iframe"];

fn after_raw<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(at) = html.get(from..)?.find("</") {
        let inner = html.get(from + at + 2..)?;
        from += at + 2;
        if inner.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return inner.split_once('>').map(|(_, after)| after);
        }
    }
    None
}

fn after_comment(inside: &str) -> &str {
    // "<!-->" and "<!--->" are whole comments.
    let inside = match inside {
        _ if inside.starts_with('>') => return inside.get(1..).unwrap_or_default(),
        _ if inside.starts_with("->") => return inside.get(2..).unwrap_or_default(),
        _ => inside,
    };
    inside.split_once("-->").map_or("", |(_, after)| after)
}

fn name(tail: &str) -> &str {
    let end = tail
        .find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
        .unwrap_or(tail.len());
    tail.get(..end).unwrap_or_default()
}

/// The attributes of a tag, the first of each name, and what follows its end.
fn attributes(mut rest: &str) -> (Vec<(&str, &str)>, &str) {
    let mut found: Vec<(&str, &str)> = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (found, after);
        }
        if rest.is_empty() {
            return (found, rest);
        }
        // An equals sign at its beginning belongs to a name.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest
            .get(first..)
            .and_then(|tail| tail.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=')))
            .map_or(rest.len(), |end| end + first);
        let (name, after) = rest.split_at(end);
        let after_name = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let (value, after) = match after_name.strip_prefix('=') {
            Some(value) => value_of(value.trim_start_matches(|c: char| c.is_ascii_whitespace())),
            None => ("", after),
        };
        rest = after;
        if found.len() < ATTRIBUTES && !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            found.push((name, value));
        }
    }
}

fn value_of(rest: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inside) = rest.strip_prefix(quote) {
            return inside.split_once(quote).unwrap_or((inside, ""));
        }
    }
    let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(rest.len());
    rest.split_at(end)
}

/// The value of an attribute; its name's case does not count.
pub(super) fn attribute<'a>(attributes: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| *value)
}

/// Text with its entities resolved.
pub(super) fn resolved(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let length = entity(from);
        let (entity, after) = from.split_at(length);
        match number(entity) {
            Some(c) => out.push(c),
            None if entity.ends_with(';') => add_html_token(&mut out, entity.as_bytes(), false),
            None => out.push_str(entity),
        }
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// How long the entity is that begins here; an ampersand alone is one of length 1.
fn entity(from: &str) -> usize {
    let body = from.get(1..).unwrap_or_default();
    let length = body
        .bytes()
        .take(ENTITY_BYTES)
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#')
        .count();
    let ends = body.as_bytes().get(length) == Some(&b';');
    if ends && length > 0 {
        length + 2
    } else if body.starts_with('#') {
        // A number without its semicolon is one all the same.
        length + 1
    } else {
        1
    }
}

/// `&#233;`, `&#xe9;`; numbers of windows-1252 are what their writer meant (the HTML Standard, §13.2.5.80).
fn number(entity: &str) -> Option<char> {
    let digits = entity.strip_prefix("&#")?.trim_end_matches(';');
    let value = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    let c = char::from_u32(value).filter(|c| *c != '\0').unwrap_or('\u{fffd}');
    Some(charset::meant(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> String {
        let pieces = tokens(html).map(|token| match token {
            Token::Text(text) => resolved(text).into_owned(),
            Token::Open(name, attributes) => format!(
                "[{name}{}]",
                attributes
                    .iter()
                    .map(|(name, value)| format!(" {name}={value}"))
                    .collect::<String>()
            ),
            Token::Close(name) => format!("[/{name}]"),
        });
        pieces.collect()
    }

    #[test]
    fn html_is_cut_as_browsers_cut_it() {
        for (html, wanted) in [
            ("<P Class=a b='c' d = \"e>f\" g>x</P >", "[p Class=a b=c d=e>f g=]x[/p]"),
            ("a<br/>b", "a[br]b"),
            ("<!-- <b> -->a<!-->b<!DOCTYPE html>c<?xml ?>d", "abcd"),
            ("<!--[if mso]>x<![endif]-->a<![if !mso]>b<![endif]>", "ab"),
            (
                "a<script>if (a < b) { '</p>' }</SCRIPT >b<style>p{}</style>c<title>t</title>d",
                "abcd",
            ),
            ("a<style>b", "ab"),
            ("1 < 2 <3 <-", "1 < 2 <3 <-"),
            ("<a href=x", "[a href=x]"),
            ("<a href=\"x", "[a href=x]"),
            (
                "l&rsquo;&eacute;t&#233;&#xE9; &amp;lt; &#146; &#128; & &x &nbsp;.",
                "l’étéé &lt; ’ € & &x \u{a0}.",
            ),
            ("&#0; &#x110000; &#;", "\u{fffd} \u{fffd} &#;"),
        ] {
            assert_eq!(shown(html), wanted, "{html}");
        }
        let many = format!("<a {}>", (0..1000).map(|n| format!("a{n}=1 ")).collect::<String>());
        assert!(matches!(tokens(&many).next(), Some(Token::Open(_, attributes)) if attributes.len() == ATTRIBUTES));
    }

    #[test]
    fn hostile_html_costs_no_more_than_its_length() {
        for html in [
            "<".repeat(300_000),
            "<!--".repeat(100_000),
            "<style>".repeat(100_000),
            "<a b='".repeat(100_000),
            "</".repeat(200_000),
            "&".repeat(500_000),
            "<script></s".repeat(60_000),
        ] {
            assert!(tokens(&html).count() <= html.len());
        }
    }
}
