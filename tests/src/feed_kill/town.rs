//! Where the daemon is at present, and who writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::scratch::Rest;

/// How long whoever was not answered waits.
const PAUSE: Duration = Duration::from_millis(20);

/// The daemon, wherever it listens.
#[derive(Clone)]
pub(super) struct Town {
    api: Arc<watch::Sender<SocketAddr>>,
    key: String,
    over: Arc<AtomicBool>,
    /// Contacts that were acknowledged.
    made: Arc<watch::Sender<usize>>,
}

impl Town {
    pub(super) fn new(api: SocketAddr, key: &str) -> Self {
        Self {
            api: Arc::new(watch::Sender::new(api)),
            key: key.to_owned(),
            over: Arc::default(),
            made: Arc::new(watch::Sender::new(0)),
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

    /// Waits until another contact was acknowledged, so that no life passes with nothing to lose; not for ever, since the next death
    /// may be what brings the town back.
    pub(super) async fn worked(&self, within: Duration) {
        let mut made = self.made.subscribe();
        let before = *made.borrow_and_update();
        let _ = timeout(within, made.wait_for(|count| *count > before)).await;
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
                town.made.send_modify(|count| *count += 1);
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
