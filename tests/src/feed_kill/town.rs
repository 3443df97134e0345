//! Where the daemon is at present, and who writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::scratch::Rest;

/// How long whoever was not answered waits.
const PAUSE: Duration = Duration::from_millis(20);

/// The daemon, wherever it listens.
#[derive(Clone)]
pub(super) struct Town {
    api: Arc<watch::Sender<SocketAddr>>,
    key: String,
    over: Arc<AtomicBool>,
}

impl Town {
    pub(super) fn new(api: SocketAddr, key: &str) -> Self {
        Self {
            api: Arc::new(watch::Sender::new(api)),
            key: key.to_owned(),
            over: Arc::default(),
        }
    }

    pub(super) fn moved(&self, api: SocketAddr) {
        self.api.send_replace(api);
    }

    pub(super) fn address(&self) -> SocketAddr {
        *self.api.borrow()
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn rest(&self) -> Rest {
        Rest::new(self.address(), &self.key)
    }

    pub(super) fn writers_stop(&self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// Brings contacts in, each under one key until it is acknowledged; the requests that were answered.
pub(super) async fn write(town: Town, writer: usize) -> Vec<String> {
    let (mut made, mut number) = (Vec::new(), 0_usize);
    let body = json!({"from": "0612345678", "text": "Un lampadaire est en panne"});
    let mut rest = town.rest();
    // Who began a contact ends it: what is under way when the others stop is acknowledged too.
    while !town.over.load(Ordering::SeqCst) {
        let key = format!("{writer}-{number}");
        let mut tries = 0;
        loop {
            let answered = rest
                .call_with("POST", "/v1/intake/counter", &[("Idempotency-Key", &key)], Some(&body))
                .await;
            if let Some(id) = answered
                .ok()
                .filter(|got| got.status == 201)
                .and_then(|got| got.json().ok()?["id"].as_str().map(str::to_owned))
            {
                made.push(id);
                break;
            }
            tries += 1;
            if tries > 3_000 {
                return made;
            }
            sleep(PAUSE).await;
            rest = town.rest();
        }
        number += 1;
        sleep(PAUSE).await;
    }
    made
}
