//! A token server on this machine (RFC 6749): it gives tokens for the right client, and tells a mail server which of them are good
//! (RFC 7662). It knows bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The largest request that is read.
const LARGEST: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Shared {
    /// Tokens that are good.
    good: Mutex<Vec<String>>,
    forms: Mutex<Vec<String>>,
    asked: Mutex<usize>,
}

/// The server; it ends when this is dropped. Its tokens belong to one user.
#[derive(Debug)]
pub struct TokenServer {
    /// Where it listens, without TLS.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl TokenServer {
    /// Starts on a loopback port that the kernel chose. Who shows `client_secret` gets the tokens `prefix-1`, `prefix-2` and so on,
    /// each good for an hour; whoever does not is refused in words that repeat what it sent.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(user: &str, client_secret: &str, prefix: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let (serve, user) = (shared.clone(), user.to_owned());
        let (secret, prefix) = (format!("client_secret={client_secret}"), prefix.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some((head, body)) = request(&mut stream).await else { continue };
                let (status, text) = if head.starts_with("POST /token ") {
                    give(&serve, &body, &secret, &prefix)
                } else {
                    *lock(&serve.asked) += 1;
                    introspect(&serve, &head, &user)
                };
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Ok(Self { address, shared, task })
    }

    /// Every form that was sent for a token.
    #[must_use]
    pub fn forms(&self) -> Vec<String> {
        lock(&self.shared.forms).clone()
    }

    /// How often a mail server has asked whether a token is good.
    #[must_use]
    pub fn asked(&self) -> usize {
        *lock(&self.shared.asked)
    }

    /// No token that was given is good any more.
    pub fn revoke(&self) {
        lock(&self.shared.good).clear();
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn give(shared: &Shared, form: &str, secret: &str, prefix: &str) -> (u16, String) {
    let mut forms = lock(&shared.forms);
    forms.push(form.to_owned());
    if !form.split('&').any(|field| field == secret) {
        let words = form.replace(['"', '\\'], "");
        return (
            401,
            format!("{{\"error\":\"invalid_client\",\"error_description\":\"{words} is wrong\"}}"),
        );
    }
    let token = format!("{prefix}-{}", forms.len());
    lock(&shared.good).push(token.clone());
    (
        200,
        format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":3600}}"),
    )
}

fn introspect(shared: &Shared, head: &str, user: &str) -> (u16, String) {
    let field = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Authorization").then(|| value.trim().to_owned())
    });
    let token = field.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let good = token.is_some_and(|token| lock(&shared.good).iter().any(|good| good == token));
    (
        200,
        if good {
            format!("{{\"active\":true,\"username\":\"{user}\"}}")
        } else {
            "{\"active\":false}".to_owned()
        },
    )
}

/// Head and body of a request.
async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(chunk.get(..count)?);
        if read.len() > LARGEST {
            return None;
        }
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
