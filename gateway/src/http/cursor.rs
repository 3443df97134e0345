//! Cursors: positions in commit order that clients hand back and cannot read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::{Kind, Problem};

/// First byte of a cursor: its form, so that a later one can differ.
const FORM: u8 = 1;

/// Writes a position.
pub(crate) fn write(position: i64) -> String {
    let mut bytes = [FORM; 9];
    bytes[1..].copy_from_slice(&position.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor; nothing stands for the beginning.
///
/// # Errors
/// 400 for what no page of ours handed out.
pub(crate) fn read(text: Option<&str>) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(0) };
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| <[u8; 9]>::try_from(bytes).ok());
    match bytes {
        Some([FORM, position @ ..]) if i64::from_be_bytes(position) >= 0 => Ok(i64::from_be_bytes(position)),
        _ => Err(Problem::new(
            Kind::BAD_CURSOR,
            "`after` must be a cursor as an earlier page gave it in `next`; leave it out to begin",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_back_and_nothing_else_does() {
        for position in [0, 1, 42, i64::MAX] {
            assert_eq!(read(Some(&write(position))).unwrap(), position);
        }
        assert_eq!(read(None).unwrap(), 0);
        for bad in ["", "0", "42", "!!", "AAAA", &write(-1), &format!("{}A", write(1))] {
            assert_eq!(read(Some(bad)).unwrap_err().status(), 400, "{bad}");
        }
    }
}
