//! A server that knows bytes and has its own idea of time, on virtual time: every wait of ours ends.

use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::time::sleep;
use voxea_core::base::settings::{Problems, Section, parse};

use super::*;

#[test]
fn internal_dates_are_read() {
    assert_eq!(milliseconds("24-Nov-2026 09:00:00 +0100"), 1_795_507_200_000);
    assert_eq!(milliseconds(" 4-Nov-2026 08:00:00 +0000"), 1_793_779_200_000);
    assert_eq!(milliseconds("yesterday"), 0);
}

/// What the server does at the first command of a kind, and from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It says nothing any more.
    Silent,
    /// It says something every two minutes that answers nothing.
    Chats,
    /// It closes the connection.
    Closes,
    /// It is a decent server.
    Well,
}

fn config() -> Config {
    let node = parse("name = \"a\"\naddress = \"127.0.0.1\"\nsecurity = \"none\"\nuser = \"u\"\npassword = \"p\"\n").unwrap();
    let problems = Problems::new();
    Config::read(&mut Section::root(&node, Path::new("/nowhere"), &problems), "Europe/Paris")
}

async fn serve(far: DuplexStream, at: &'static str, then: Then) {
    let (reader, mut writer) = tokio::io::split(far);
    let mut lines = BufReader::new(reader).lines();
    let mut odd = at == "greeting";
    let (mut line, mut idling) = (String::new(), String::new());
    loop {
        if line.ends_with("IDLE") {
            idling = line.split(' ').next().unwrap_or_default().to_owned();
        }
        if odd {
            match then {
                Then::Silent => std::future::pending().await,
                Then::Closes => return,
                Then::Well => {}
                Then::Chats => {
                    if line.ends_with("IDLE") {
                        writer.write_all(b"+ idling\r\n").await.unwrap();
                    }
                    loop {
                        tokio::select! {
                            () = sleep(Duration::from_secs(50)) => {
                                if writer.write_all(b"* OK Still here\r\n").await.is_err() {
                                    return;
                                }
                            }
                            read = lines.next_line(), if line.ends_with("IDLE") => {
                                if read.is_ok_and(|read| read.as_deref() == Some("DONE")) {
                                    break;
                                }
                            }
                        }
                    }
                    line = "DONE".to_owned();
                }
            }
        }
        let tag = line.split(' ').next().unwrap_or_default().to_owned();
        if line.is_empty() {
            writer.write_all(b"* OK ready\r\n").await.unwrap();
        } else if line == "DONE" {
            writer.write_all(format!("{idling} OK idled\r\n").as_bytes()).await.unwrap();
        } else if line.ends_with("IDLE") {
            writer.write_all(b"+ idling\r\n").await.unwrap();
        } else {
            let more = if line.contains("SELECT") {
                "* OK [UIDVALIDITY 7] x\r\n"
            } else {
                ""
            };
            writer.write_all(format!("{more}{tag} OK done\r\n").as_bytes()).await.unwrap();
        }
        line = match lines.next_line().await {
            Ok(Some(line)) => line,
            _ => return,
        };
        odd = line.contains(at);
    }
}

/// How long it took until a session with everything in it failed, and with what.
async fn fails(at: &'static str, then: Then) -> (Duration, Result<(), Trouble>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(serve(far, at, then));
    let began = Instant::now();
    let ended = session(near).await;
    serving.abort();
    (began.elapsed(), ended)
}

async fn session(near: DuplexStream) -> Result<(), Trouble> {
    let mut connection = Connection::over(&config(), Box::new(near), "peer".to_owned()).await?;
    connection.select("INBOX").await?;
    connection.search(1, &[]).await?;
    connection.sizes(&[1], &mut Vec::new()).await?;
    connection.bodies(&[1], "(UID BODY.PEEK[])", &mut Vec::new()).await?;
    connection.flag(&[1], "\\Seen").await?;
    connection
        .idle(Instant::now() + Duration::from_secs(10), std::future::pending())
        .await
}

const STEPS: [&str; 9] = [
    "greeting",
    "LOGIN",
    "CAPABILITY",
    "SELECT",
    "NOOP",
    "SEARCH",
    "RFC822.SIZE",
    "BODY.PEEK",
    "STORE",
];

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_left_within_a_minute() {
    for at in STEPS {
        let (took, ended) = fails(at, Then::Silent).await;
        assert!(matches!(ended, Err(Trouble::Lost(_))), "{at}: {ended:?}");
        assert!(took <= Duration::from_secs(61), "{at}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_chats_and_answers_nothing_is_left() {
    for at in STEPS.into_iter().skip(1) {
        let (took, ended) = fails(at, Then::Chats).await;
        assert!(matches!(ended, Err(Trouble::Lost(_))), "{at}: {ended:?}");
        // A whole FETCH may take ten minutes, any other command one.
        let most = if at == "RFC822.SIZE" || at == "BODY.PEEK" { 601 } else { 61 };
        assert!(took <= Duration::from_secs(most), "{at}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_connection_is_never_an_answer() {
    for at in STEPS.into_iter().chain(["IDLE"]) {
        let (took, ended) = fails(at, Then::Closes).await;
        assert!(matches!(ended, Err(Trouble::Lost(_))), "{at}: {ended:?}");
        assert!(took <= Duration::from_secs(11), "{at}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_ends_by_our_own_clock_whatever_the_server_says_meanwhile() {
    for then in [Then::Chats, Then::Well] {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let serving = tokio::spawn(serve(far, "IDLE", then));
        let mut connection = Connection::over(&config(), Box::new(near), "peer".to_owned()).await.unwrap();
        connection.select("INBOX").await.unwrap();
        let began = Instant::now();
        let until = began + crate::planner::IDLE;
        connection.idle(until, std::future::pending()).await.unwrap();
        let took = began.elapsed();
        assert!(
            took >= crate::planner::IDLE && took <= crate::planner::IDLE + Duration::from_secs(61),
            "{then:?}: {took:?}"
        );
        serving.abort();
    }
}
