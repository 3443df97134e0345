//! What ends a connection or a command, in our words: async-imap's errors quote the server's bytes, mails and all.

use std::io;

use async_imap::error::Error;

use crate::limit::TooLarge;
use crate::name;

/// What ended a connection, or a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The network or the server failed; another connection may work.
    #[error("{0}")]
    Lost(String),
    /// The certificate or the folder are wrong.
    #[error("{0}")]
    Wrong(String),
    /// The server does not accept the credentials.
    #[error("{0}")]
    Denied(String),
    /// The server refused the command; the connection lives.
    #[error("the server refused: {words}")]
    Refused {
        /// What it said, one line.
        words: String,
        /// What that means.
        code: Code,
    },
    /// A mail is larger than the server had said; the connection is lost.
    #[error("a mail is larger than the server had said")]
    TooLarge,
}

/// Why a server refuses (RFC 5530 §3, RFC 3501 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// It will pass by itself: somebody else uses the folder, a part of the server is away, a limit is reached.
    Passing,
    /// The credentials are wrong, or not enough.
    Denied,
    /// The folder that a mail shall go to is not there.
    TryCreate,
    /// Anything else, or it did not say.
    Other,
}

impl Code {
    /// By the words of a refusal, in which the code stands in brackets, or as async-imap names it.
    pub(crate) fn of(words: &str) -> Self {
        let upper = words.to_uppercase();
        let says = |names: &[&str]| names.iter().any(|name| upper.contains(&format!("[{name}]")));
        if says(&["UNAVAILABLE", "INUSE", "SERVERBUG", "LIMIT"]) {
            Self::Passing
        } else if says(&["AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED"]) {
            Self::Denied
        } else if upper.contains("TRYCREATE") {
            Self::TryCreate
        } else {
            Self::Other
        }
    }
}

pub(crate) fn lost(words: &str) -> Trouble {
    Trouble::Lost(words.to_owned())
}

/// A refusal in the server's words.
pub(crate) fn refused(words: &str) -> Trouble {
    Trouble::Refused {
        words: name::line(words, 200),
        code: Code::of(words),
    }
}

/// An error in our words.
pub(crate) fn trouble(error: Error) -> Trouble {
    match error {
        Error::Io(error) => broken(&error),
        Error::ConnectionLost => lost("the server closed the connection"),
        Error::No(words) | Error::Bad(words) => refused(&words),
        Error::Validate(_) => Trouble::Wrong("the configuration holds a line break where IMAP allows none".to_owned()),
        _ => lost("the server's answer cannot be read"),
    }
}

/// A socket's error, or a parser's inside one.
pub(crate) fn broken(error: &io::Error) -> Trouble {
    let too_large = error.get_ref().and_then(|inner| inner.downcast_ref::<TooLarge>());
    match (too_large, error.kind()) {
        (Some(_), _) => Trouble::TooLarge,
        (None, io::ErrorKind::Other) => lost("the server's answer cannot be read"),
        (None, io::ErrorKind::TimedOut) => lost("the server is silent"),
        (None, kind) => Trouble::Lost(format!("the connection failed: {kind}")),
    }
}

/// A refused login is the operator's to repair, unless the server says that it is only busy. Old servers say so in words.
pub(crate) fn refused_login(error: Error) -> Trouble {
    let (Error::No(words) | Error::Bad(words)) = error else {
        return trouble(error);
    };
    let lower = words.to_lowercase();
    let busy = [
        "temporar",
        "too many",
        "maximum number",
        "try again",
        "internal error",
        "unavailable",
    ];
    match Code::of(&words) {
        Code::Passing => lost("the server is too busy for another login"),
        Code::Other | Code::TryCreate if busy.iter().any(|word| lower.contains(word)) => lost("the server is too busy for another login"),
        _ if lower.contains("[privacyrequired]") || lower.contains("logindisabled") => {
            Trouble::Wrong("the server takes no login without TLS; security = \"starttls\" or \"tls\" would be right".to_owned())
        }
        _ => Trouble::Denied("the server refuses the login; user or password_file is wrong".to_owned()),
    }
}

/// A folder that cannot be selected is the operator's to repair, unless that passes.
pub(crate) fn refused_folder(folder: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused {
            words,
            code: Code::Passing,
        } => Trouble::Lost(format!("the folder {folder:?} cannot be selected now: {words}")),
        Trouble::Refused { words, .. } => Trouble::Wrong(format!(
            "the folder {folder:?} cannot be selected: {words}; `folder` and `folders` must name what is there"
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_never_quote_the_server() {
        let quoting = Error::Io(io::Error::other("Error during parsing of \"From: jeanne@example.fr\""));
        assert_eq!(trouble(quoting).to_string(), "the server's answer cannot be read");
        let large = Error::Io(io::Error::other(TooLarge { declared: 9, cap: 1 }));
        assert_eq!(trouble(large), Trouble::TooLarge);
    }

    #[test]
    fn a_busy_server_is_not_a_wrong_password() {
        let login = |words: &str| refused_login(Error::No(format!("code: None, info: Some({words:?})")));
        for words in [
            "[UNAVAILABLE] Temporary authentication failure.",
            "[INUSE] locked",
            "[LIMIT] Too many",
            "[SERVERBUG] Internal error",
            "Too many connections",
        ] {
            assert!(matches!(login(words), Trouble::Lost(_)), "{words}");
        }
        for words in [
            "[AUTHENTICATIONFAILED] Authentication failed. Try again",
            "[EXPIRED] x",
            "Login failed",
        ] {
            assert!(matches!(login(words), Trouble::Denied(_)), "{words}");
        }
        assert!(matches!(login("[PRIVACYREQUIRED] use TLS"), Trouble::Wrong(_)));
    }

    #[test]
    fn a_folder_that_is_in_use_is_not_a_wrong_folder() {
        for words in [
            "[INUSE] Mailbox is locked",
            "[UNAVAILABLE] backend",
            "[SERVERBUG] Internal error",
            "[limit] too many",
        ] {
            assert!(matches!(refused_folder("INBOX", refused(words)), Trouble::Lost(_)), "{words}");
        }
        for words in [
            "[NONEXISTENT] no such folder",
            "[NOPERM] not yours",
            "Mailbox doesn't exist: Traités",
        ] {
            assert!(matches!(refused_folder("INBOX", refused(words)), Trouble::Wrong(_)), "{words}");
        }
    }
}
