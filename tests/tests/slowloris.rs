//! A thousand connections that send a byte a second, and the programs that have something to ask meanwhile.

#![expect(clippy::print_stderr, reason = "the figures are what is looked for when it fails")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use voxea_tests::scratch::{self, Rest, Running, Scratch};

const SLOW: usize = 1_000;
const PROGRAMS: usize = 8;
/// How long programs ask.
const WHILE: Duration = Duration::from_secs(12);
/// What 99 of 100 of their calls take at most. The figures are printed; this only tells a daemon that gives the slow no more than
/// their share from one where others wait until the slow have had their time, 15 s and more.
const BOUND: Duration = Duration::from_secs(5);

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

async fn story(running: &Running, connections: usize) -> Result<Duration> {
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
    took.sort_unstable();
    let p99 = *took.get(took.len() * 99 / 100).context("no call")?;
    let longest = took.last().copied().unwrap_or_default();
    eprintln!(
        "{connections} slow connections: {} calls, p99 {p99:?}, longest {longest:?}",
        took.len()
    );
    Ok(p99)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_connections_hold_up_nobody() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let p99 = story(&running, SLOW).await?;
    ensure!(p99 < BOUND, "p99 {p99:?}");
    running.stop().await
}

/// So many that all places are taken, and others wait: who asks gets one of those of the slow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_three_times_as_many_as_there_are_places() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)?.replacen("[api]\n", "[api]\nconnections = 300\n", 1);
    std::fs::write(&config, text)?;
    let running = scratch.run().await?;
    let p99 = story(&running, SLOW).await?;
    ensure!(p99 < BOUND, "p99 {p99:?}");
    running.stop().await
}
