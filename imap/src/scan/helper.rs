//! The process that searches a document, from both sides: what asks it, and what it does to itself before it reads a byte.
//!
//! It is the daemon's own binary with one hidden argument. It gets the document on its standard input, answers with a line of
//! JSON, and is nobody's concern when it dies: its memory, its CPU time and the clock are bounded, its environment is empty, and
//! it can open no descriptor beyond the three it has, so neither a file nor a socket. No code found is all that can follow.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use super::document::{self, Finding, Unreadable};

/// The hidden command of the binary.
pub const COMMAND: &str = "decode";
/// Its argument once its limits are set.
pub const CONFINED: &str = "--confined";
/// The binary of this process, also when another one lies in its place by now.
const BINARY: &str = "/proc/self/exe";
/// The largest document that is searched, in bytes.
pub const DOCUMENT_BYTES: usize = 32 * 1024 * 1024;
/// What the process may map, in bytes, its own code included.
const MEMORY: u64 = 256 * 1024 * 1024;
/// CPU time that it may use, in seconds.
const CPU: u64 = 3;
/// After so long no further page is begun.
const ENOUGH: Duration = Duration::from_millis(2_000);
/// How long it may take at all.
const PATIENCE: Duration = Duration::from_secs(4);
/// The longest answer, in bytes.
const ANSWER: u64 = 16 * 1024;
/// So many at a time, whatever asks.
static POOL: Semaphore = Semaphore::const_new(2);

/// Why nothing is known of a document's codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It says so itself.
    #[error("{0}")]
    Unreadable(String),
    /// It is larger than [`DOCUMENT_BYTES`].
    #[error("it is too large to be searched")]
    TooLarge,
    /// It took too long, or too much memory, or brought its reader down.
    #[error("its reading was broken off: {0}")]
    BrokenOff(&'static str),
    /// The process could not be had.
    #[error("the process that reads documents cannot be started: {0}")]
    Unavailable(String),
}

/// Searches a document in a process of its own.
///
/// # Errors
/// See [`Failure`]; none of them is a reason not to take the document in.
pub async fn search(document: Bytes) -> Result<Finding, Failure> {
    if document.len() > DOCUMENT_BYTES {
        return Err(Failure::TooLarge);
    }
    let unavailable = |error: &dyn std::fmt::Display| Failure::Unavailable(error.to_string());
    let _turn = POOL.acquire().await.map_err(|error| unavailable(&error))?;
    let mut child = Command::new(BINARY)
        .arg(COMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| unavailable(&error))?;
    let talked = tokio::time::timeout(PATIENCE, talk(&mut child, &document)).await;
    let ended = if talked.is_err() {
        let _ = child.kill().await;
        None
    } else {
        child.wait().await.ok()
    };
    match (talked, ended) {
        (Err(_), _) => Err(Failure::BrokenOff("it took too long")),
        (Ok(answer), Some(status)) if status.success() => parse(&answer),
        (Ok(_), Some(status)) if status.code() == Some(i32::from(UNCONFINED)) => Err(unavailable(&"its limits could not be set")),
        // A signal: of the CPU limit, of a stack that overflowed, of memory that was not there.
        _ => Err(Failure::BrokenOff("its reader died")),
    }
}

async fn talk(child: &mut Child, document: &[u8]) -> Vec<u8> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let give = async move {
        if let Some(mut stdin) = stdin {
            // One that has died does not read to the end; its status says the rest.
            let _ = stdin.write_all(document).await;
        }
    };
    let take = async move {
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            let _ = stdout.take(ANSWER).read_to_end(&mut answer).await;
        }
        answer
    };
    tokio::join!(give, take).1
}

fn parse(answer: &[u8]) -> Result<Finding, Failure> {
    let answer: Value = serde_json::from_slice(answer).map_err(|_| Failure::BrokenOff("its reader said nothing"))?;
    if let Some(reason) = answer.get("unreadable").and_then(Value::as_str) {
        return Err(Failure::Unreadable(reason.chars().filter(|c| !c.is_control()).take(200).collect()));
    }
    let count = |key: &str| {
        answer
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(0)
    };
    let references = answer.get("references").and_then(Value::as_array).into_iter().flatten();
    // Its reader may have been talked into anything, so what it says is held against the rule once more.
    let sound = references
        .filter_map(Value::as_str)
        .filter_map(|text| voxea_rules::reference::parse(text).ok());
    Ok(Finding {
        references: sound.map(|reference| reference.to_string()).take(16).collect(),
        pages: count("pages"),
        passed: count("passed"),
    })
}

/// The exit code of a process that could not set its own limits, and read nothing.
pub const UNCONFINED: u8 = 3;

/// Sets the limits of this process and begins it anew under them, with [`CONFINED`]: an allocator that reserved memory at its start
/// would not be held by a limit that came later. Returns only when that fails.
///
/// # Errors
/// The system's; nothing may be read then.
pub fn confine() -> std::io::Error {
    let limited = || {
        // Whoever asked is gone: nobody waits for the answer.
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
        setrlimit(Resource::RLIMIT_CPU, CPU, CPU)?;
        setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY)
    };
    match limited() {
        Ok(()) => std::process::Command::new(BINARY).args([COMMAND, CONFINED]).env_clear().exec(),
        Err(error) => error.into(),
    }
}

/// The last limit, the first thing that the process does under the others: it can make no descriptor from here on, of a file, a
/// socket or anything else.
///
/// # Errors
/// The system's, and when the limits are not there; nothing may be read then.
pub fn seal() -> nix::Result<()> {
    if getrlimit(Resource::RLIMIT_AS)?.1 > MEMORY || getrlimit(Resource::RLIMIT_CPU)?.1 > CPU {
        return Err(nix::errno::Errno::EPERM);
    }
    setrlimit(Resource::RLIMIT_NOFILE, 0, 0)
}

/// What the process answers, as one line of JSON: `references`, `pages`, `passed`, or `unreadable` with the reason.
#[must_use]
pub fn answer(document: &Bytes) -> String {
    let begun = Instant::now();
    let found = document::search(document, &mut || begun.elapsed() < ENOUGH);
    written(&found).to_string()
}

fn written(found: &Result<Finding, Unreadable>) -> Value {
    match found {
        Ok(finding) => json!({"references": finding.references, "pages": finding.pages, "passed": finding.passed}),
        Err(unreadable) => json!({"unreadable": unreadable.to_string()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let finding = Finding {
            references: vec!["2026-0000001-2".to_owned()],
            pages: 2,
            passed: 1,
        };
        let through = |found: Result<Finding, Unreadable>| parse(written(&found).to_string().as_bytes());
        assert_eq!(through(Ok(finding.clone())), Ok(finding));
        assert_eq!(
            through(Err(Unreadable::Locked)),
            Err(Failure::Unreadable("it is a PDF with a password".to_owned()))
        );
    }

    #[test]
    fn nothing_that_the_process_says_is_believed_unseen() {
        let forged = br#"{"references":["2026-0000001-3","x","2026-0000001-2",7],"pages":-1}"#;
        let found = parse(forged).unwrap();
        assert_eq!((found.references, found.pages), (vec!["2026-0000001-2".to_owned()], 0));
        assert!(matches!(parse(b"Killed"), Err(Failure::BrokenOff(_))));
    }
}
