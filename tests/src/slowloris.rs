//! Connections that send a byte a second, and programs that have something to ask meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::feed_bench::ask::Times;
use crate::scratch::{Rest, Running};

const PROGRAMS: usize = 8;
/// How long programs ask.
const WHILE: Duration = Duration::from_secs(12);

/// How a slow client begins; what it never comes to the end of is its own.
fn beginnings(key: &str) -> [String; 4] {
    [
        String::new(),
        "GET /v1/requests HTTP/1.1\r\nHost: voxea\r\nX-A: ".to_owned(),
        format!(
            "POST /v1/intake/web HTTP/1.1\r\nHost: voxea\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: 100000\r\n\r\n{{\"text\":\""
        ),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned(),
    ]
}

/// Keeps a connection open for as long as the server lets it, and opens it anew then.
async fn dawdle(server: SocketAddr, number: usize, beginning: String) -> Result<()> {
    let host = 2 + u8::try_from(number % 200)?;
    loop {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, host], 0).into())?;
        let Ok(mut stream) = socket.connect(server).await else {
            sleep(Duration::from_millis(200)).await;
            continue;
        };
        let (mut byte, begun) = ([0], Instant::now());
        if stream.write_all(beginning.as_bytes()).await.is_err() {
            continue;
        }
        loop {
            let more = timeout(Duration::from_secs(1), stream.read(&mut byte)).await;
            let ended = matches!(more, Ok(Ok(0) | Err(_)));
            if ended || (!beginning.starts_with("PRI") && stream.write_all(b"a").await.is_err()) {
                break;
            }
        }
        sleep(Duration::from_secs(1).saturating_sub(begun.elapsed())).await;
    }
}

/// Asks and brings in by turns, each time over a new connection or over a kept one; what each call took.
async fn program(mut rest: Rest, number: usize) -> Result<Vec<Duration>> {
    let (server, key) = (rest.address(), rest.key().to_owned());
    let begun = Instant::now();
    let mut took = Vec::new();
    while begun.elapsed() < WHILE {
        if number.is_multiple_of(2) {
            rest = Rest::new(server, &key);
        }
        for (method, target, body, wanted) in [
            ("GET", "/v1/requests?limit=10", None, 200),
            ("POST", "/v1/intake/web", Some(json!({"text": "Un lampadaire est en panne"})), 201),
            ("GET", "/v1/changes?limit=10", None, 200),
        ] {
            let asked = Instant::now();
            // A kept connection may be given away between two calls, as any server may close one: then the call is made again.
            let answered = match rest.call(method, target, body.as_ref()).await {
                Ok(answered) => answered,
                Err(_) => rest.call(method, target, body.as_ref()).await?,
            };
            ensure!(answered.status == wanted, "{method} {target}: {}", answered.status);
            took.push(asked.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(took)
}

/// So many slow connections, and eight programs that ask for twelve seconds: what their calls took.
///
/// # Errors
/// When a call is not answered as it should be.
pub async fn story(running: &Running, connections: usize) -> Result<Times> {
    let mut slow = JoinSet::new();
    let beginnings = beginnings(running.rest().key());
    for number in 0..connections {
        slow.spawn(dawdle(running.api, number, beginnings[number % beginnings.len()].clone()));
    }
    let mut programs = JoinSet::new();
    for number in 0..PROGRAMS {
        programs.spawn(program(running.rest(), number));
    }
    let mut took = Vec::new();
    while let Some(one) = programs.join_next().await {
        took.extend(one??);
    }
    ensure!(slow.try_join_next().is_none(), "a slow client gave up");
    Ok(Times::of(took))
}
