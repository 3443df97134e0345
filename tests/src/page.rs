//! A page on the loopback that lists the recordings and plays them: it adds the key and passes Range on.

use std::net::SocketAddr;

use crate::scratch::Rest;
use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A page that is served until the program ends.
#[derive(Debug)]
pub struct Page {
    /// Where.
    pub address: SocketAddr,
    /// What `/try/ID`, which plays a recording and seeks in it, told of it; `/try/ID.flac` and `/try/ID.pcm16` in that form.
    pub told: watch::Receiver<Option<String>>,
}

/// Serves the list of recordings.
///
/// # Errors
/// When no socket can be bound.
pub async fn serve(api: SocketAddr, key: &str) -> Result<Page> {
    let (tell, told) = watch::channel(None);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let key = key.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (key, tell) = (key.clone(), tell.clone());
            // A browser that goes away in the middle is no event.
            tokio::spawn(async move {
                let _ = answer(stream, api, &key, &tell).await;
            });
        }
    });
    Ok(Page { address, told })
}

async fn answer(mut stream: TcpStream, api: SocketAddr, key: &str, tell: &watch::Sender<Option<String>>) -> Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    let first = lines.next_line().await?.context("no request")?;
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut range = None;
    while let Some(line) = lines.next_line().await? {
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("range")
        {
            range = Some(value.trim().to_owned());
        }
    }
    if let Some(words) = path.strip_prefix("/told?") {
        tell.send_replace(Some(words.to_owned()));
    }
    let mut rest = Rest::new(api, key);
    let answered = match path.strip_prefix("/audio/") {
        Some(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) => {
            let (id, form) = name.split_once('.').unwrap_or((name, "wav"));
            let target = format!("/v1/recordings/{id}/audio?format={form}");
            let headers: Vec<(&str, &str)> = range.iter().map(|range| ("Range", range.as_str())).collect();
            let answered = rest.call_with("GET", &target, &headers, None).await?;
            let mut head = format!("HTTP/1.1 {} Audio\r\n", answered.status);
            for name in ["Content-Type", "Content-Range", "Accept-Ranges"] {
                if let Some(value) = answered.header(name) {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
            }
            (head, answered.body)
        }
        _ if path.starts_with("/try/") => (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n".to_owned(),
            TRY.replace("ID", path.trim_start_matches("/try/")).into_bytes(),
        ),
        _ => (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n".to_owned(),
            list(&mut rest).await?.into_bytes(),
        ),
    };
    let (head, body) = answered;
    writer
        .write_all(format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).as_bytes())
        .await?;
    writer.write_all(&body).await?;
    writer.shutdown().await?;
    Ok(())
}

async fn list(rest: &mut Rest) -> Result<String> {
    let requests = rest.get("/v1/requests?channel=voicemail&limit=50").await?;
    let mut page = "<!doctype html><html lang=fr><title>Messages</title><h1>Messages déposés</h1>".to_owned();
    for request in requests["items"].as_array().into_iter().flatten() {
        let id = request["id"].as_str().unwrap_or_default();
        let interactions = rest.get(&format!("/v1/requests/{id}/interactions")).await?;
        let recording = &interactions["items"][0]["recording"];
        let (Some(recording), Some(reference)) = (recording["id"].as_str(), request["ref"].as_str()) else {
            continue;
        };
        page.push_str(&format!(
            "<p>{reference} <audio controls preload=metadata src=/audio/{recording}></audio>"
        ));
    }
    Ok(page)
}

/// Plays from the middle for half a second, then tells what it saw.
const TRY: &str = "<!doctype html><audio id=a src=/audio/ID preload=metadata muted></audio><script>
const a = document.getElementById('a');
const tell = (words) => fetch('/told?' + words);
a.onerror = () => tell('error=' + a.error.code + a.error.message);
a.onloadedmetadata = () => { a.currentTime = a.duration / 2; };
a.onseeked = () => a.play().catch((error) => tell('refused=' + error.name));
a.ontimeupdate = () => { if (!a.seeking && a.currentTime > a.duration / 2 + 0.5) { a.ontimeupdate = null; tell('duration=' + a.duration); } };
</script>";
