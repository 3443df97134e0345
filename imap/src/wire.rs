//! One command and its answers, strictly.
//!
//! async-imap's own commands take the end of the connection for the end of the answer: a search on a connection that was
//! closed has found nothing, and a FETCH that was refused has brought nothing. Here an answer without its tagged end is a
//! lost connection, and a refusal is one.

use std::fmt;
use std::time::Duration;

use async_imap::Session;
use async_imap::imap_proto::{Response, Status};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::trouble::{Trouble, broken, lost, refused, trouble};

/// Sends a command and hands every untagged answer to `each`, until the server says that it is done, within `limit`.
///
/// # Errors
/// [`Trouble::Refused`] after a tagged NO or BAD, [`Trouble::Lost`] and [`Trouble::TooLarge`] when the connection is of no
/// use any more.
pub(crate) async fn ask<S>(session: &mut Session<S>, limit: Duration, command: &str, each: impl FnMut(&Response<'_>)) -> Result<(), Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin + fmt::Debug + Send,
{
    timeout(limit, exchange(session, command, each))
        .await
        .map_err(|_| lost("the server takes too long to answer"))?
}

async fn exchange<S>(session: &mut Session<S>, command: &str, mut each: impl FnMut(&Response<'_>)) -> Result<(), Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin + fmt::Debug + Send,
{
    // A line break would begin another command.
    if command.contains(['\r', '\n', '\0']) {
        return Err(Trouble::Wrong(
            "the configuration holds a line break where IMAP allows none".to_owned(),
        ));
    }
    let id = session.run_command(command).await.map_err(trouble)?;
    loop {
        let answer = session.read_response().await.map_err(|error| broken(&error))?;
        let answer = answer.ok_or_else(|| lost("the server closed the connection"))?;
        match answer.parsed() {
            Response::Done { tag, status, outcome } if *tag == id => {
                return match status {
                    Status::Ok => Ok(()),
                    _ => {
                        // The codes that imap-proto knows do not stand in the text.
                        let known = outcome.code.as_ref().map(|code| format!("[{code:?}] ")).unwrap_or_default();
                        let text = outcome.information.as_deref().unwrap_or("it did not say why");
                        Err(refused(&format!("{known}{text}")))
                    }
                };
            }
            other => each(other),
        }
    }
}

/// A folder's name, quoted (RFC 9051 §4.3).
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A sequence set with ranges: `1:3,7`.
pub(crate) fn set(uids: &[u32]) -> String {
    let mut sorted = uids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for uid in sorted {
        match ranges.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(uid) => *end = uid,
            _ => ranges.push((uid, uid)),
        }
    }
    let written: Vec<String> = ranges
        .iter()
        .map(|(start, end)| {
            if start == end {
                start.to_string()
            } else {
                format!("{start}:{end}")
            }
        })
        .collect();
    written.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_short() {
        assert_eq!(set(&[7, 1, 3, 2, 9, 10]), "1:3,7,9:10");
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted(r#"a "b" \c"#), r#""a \"b\" \\c""#);
    }
}
