//! One command from the wire (RFC 3501 §9): its line, the literals in it, and its words.

use anyhow::{Result, bail};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest command line, literals left out.
const LINE: usize = 64 * 1024;
/// Longest literal a client may send.
const LITERAL: usize = 64 * 1024;

/// Reads one line without its CRLF; `None` at the end of the stream.
pub(super) async fn line<R: AsyncBufRead + Unpin>(reader: &mut R) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = reader.take(LINE as u64);
    if limited.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        bail!("a line without end, or too long");
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(line))
}

/// Reads a command and asks for its literals: tag, name and arguments as words. A parenthesised list comes as its
/// words between `(` and `)`; quotes are taken off.
pub(super) async fn read<R, W>(reader: &mut R, writer: &mut W) -> Result<Option<Vec<String>>>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut found = Vec::new();
    loop {
        let Some(mut text) = line(reader).await? else {
            return Ok(None);
        };
        let literal = literal(&text);
        if let Some((start, _, _)) = literal {
            text.truncate(start);
        }
        words(&text, &mut found);
        let Some((_, length, waits)) = literal else {
            return Ok(Some(found));
        };
        if length > LITERAL {
            bail!("a literal of {length} octets");
        }
        if waits {
            writer.write_all(b"+ go ahead\r\n").await?;
            writer.flush().await?;
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).await?;
        found.push(String::from_utf8_lossy(&bytes).into_owned());
    }
}

/// A literal announced at the end of the line: where, how long, and whether the client waits for `+` (RFC 7888).
fn literal(line: &[u8]) -> Option<(usize, usize, bool)> {
    let inner = line.strip_suffix(b"}")?;
    let start = inner.iter().rposition(|&byte| byte == b'{')?;
    let digits = std::str::from_utf8(&inner[start + 1..]).ok()?;
    let (digits, waits) = match digits.strip_suffix('+') {
        Some(digits) => (digits, false),
        None => (digits, true),
    };
    Some((start, digits.parse().ok()?, waits))
}

fn words(line: &[u8], found: &mut Vec<String>) {
    let mut rest = line;
    while let Some((&first, after)) = rest.split_first() {
        let word;
        (word, rest) = match first {
            b' ' => (None, after),
            b'(' | b')' => (Some(char::from(first).to_string()), after),
            b'"' => {
                let (word, rest) = quoted(after);
                (Some(word), rest)
            }
            _ => {
                let length = atom(rest);
                let word = String::from_utf8_lossy(&rest[..length]).into_owned();
                (Some(word), &rest[length..])
            }
        };
        found.extend(word);
    }
}

/// A quoted string whose opening quote is behind us, and what follows it.
fn quoted(rest: &[u8]) -> (String, &[u8]) {
    let mut word = Vec::new();
    let mut escaped = false;
    for (index, &byte) in rest.iter().enumerate() {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => {
                return (String::from_utf8_lossy(&word).into_owned(), &rest[index + 1..]);
            }
            _ => {
                escaped = false;
                word.push(byte);
            }
        }
    }
    (String::from_utf8_lossy(&word).into_owned(), &[])
}

/// Length of an atom; brackets, as in `BODY[HEADER.FIELDS (FROM)]`, hold it together. At least 1.
fn atom(rest: &[u8]) -> usize {
    let mut inside = false;
    for (index, &byte) in rest.iter().enumerate() {
        match byte {
            b'[' => inside = true,
            b']' => inside = false,
            b' ' | b'(' | b')' if !inside && index > 0 => return index,
            _ => {}
        }
    }
    rest.len()
}

/// The numbers that a sequence set names (RFC 3501 §9), `*` being `last`, out of those that exist.
pub(super) fn chosen(set: &str, existing: &[u32], last: u32) -> Option<Vec<u32>> {
    let number = |text: &str| match text {
        "*" => Some(last),
        _ => text.parse::<u32>().ok().filter(|&number| number > 0),
    };
    let mut ranges = Vec::new();
    for part in set.split(',') {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        let (from, to) = (number(from)?, number(to)?);
        ranges.push(from.min(to)..=from.max(to));
    }
    let named = |number: &&u32| ranges.iter().any(|range| range.contains(*number));
    Some(existing.iter().filter(named).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        let mut found = Vec::new();
        words(line.as_bytes(), &mut found);
        found
    }

    #[test]
    fn words_keep_brackets_and_lists_together() {
        let line = r#"a1 UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (FROM)]<0.10>)"#;
        let expected = [
            "a1",
            "UID",
            "FETCH",
            "1:*",
            "(",
            "UID",
            "BODY.PEEK[HEADER.FIELDS (FROM)]<0.10>",
            ")",
        ];
        assert_eq!(split(line), expected);
        assert_eq!(split(r#"a LOGIN "m\"x" "" end"#), ["a", "LOGIN", "m\"x", "", "end"]);
    }

    #[test]
    fn a_star_is_the_last_also_below_the_start() {
        // RFC 3501 §9: a range to `*` always includes the last, whatever its start.
        assert_eq!(chosen("9:*", &[1, 2, 5], 5), Some(vec![5]));
        assert_eq!(chosen("1,4:6", &[1, 2, 5], 5), Some(vec![1, 5]));
        assert_eq!(chosen("0", &[1], 1), None);
    }

    #[tokio::test]
    async fn a_literal_is_asked_for() -> Result<()> {
        let mut input: &[u8] = b"a LOGIN {6}\r\nmairie {3+}\r\na b\r\n";
        let mut output = Vec::new();
        let command = read(&mut input, &mut output).await?;
        assert_eq!(command, Some(["a", "LOGIN", "mairie", "a b"].map(String::from).to_vec()));
        assert_eq!(output, b"+ go ahead\r\n");
        Ok(())
    }
}
