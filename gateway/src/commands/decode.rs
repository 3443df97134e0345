//! `voxea decode`, which nobody calls by hand: the daemon has documents searched by a process that may die of them.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use voxea_imap::scan::helper;

/// Reads a document from standard input and says on standard output which references its codes hold. Before the runtime and the
/// configuration: the process has one thread, and is to know nothing.
///
/// It runs twice: the first sets the limits and becomes the second, which is `confined`.
pub(super) fn decode(confined: bool) -> ExitCode {
    if !confined {
        let _ = helper::confine();
        return ExitCode::from(helper::UNCONFINED);
    }
    if helper::seal().is_err() {
        return ExitCode::from(helper::UNCONFINED);
    }
    let mut document = Vec::new();
    let most = helper::DOCUMENT_BYTES as u64;
    if std::io::stdin().lock().take(most).read_to_end(&mut document).is_err() {
        return ExitCode::FAILURE;
    }
    let answer = helper::answer(&document.into());
    match writeln!(std::io::stdout().lock(), "{answer}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
