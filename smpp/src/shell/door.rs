//! The socket on which an SMSC may connect to us, and what a stranger on it may cost.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::config::Outbind;
use crate::session::{Doorman, Verdict};

/// How long a stranger may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// Strangers that may be at the door at once; what comes beyond waits in the kernel's queue.
pub(super) const STRANGERS: usize = 16;
/// After the kernel refused us a connection nobody is asked for so long.
const BREATH: Duration = Duration::from_millis(500);

pub(super) struct Door {
    listener: TcpListener,
    outbind: Outbind,
}

/// How an introduction ended.
pub(super) type Introduced = Result<TcpStream, &'static str>;

impl Door {
    pub(super) async fn open(outbind: &Outbind) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(outbind.listen).await?,
            outbind: outbind.clone(),
        })
    }

    /// The address really bound.
    pub(super) fn address(&self) -> String {
        let bound = self.listener.local_addr().unwrap_or(self.outbind.listen);
        format!("outbind:{bound}")
    }

    /// Waits for somebody who may connect. `None`: somebody may not, and was closed. Cancelling it loses nobody.
    pub(super) async fn knock(&self) -> Option<TcpStream> {
        let Ok((stream, peer)) = self.listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            return None;
        };
        let allowed = self.outbind.allow.iter().any(|network| network.contains(peer.ip()));
        allowed.then_some(stream)
    }

    pub(super) fn outbind(&self) -> &Outbind {
        &self.outbind
    }
}

/// Hears a stranger until it is the SMSC, or is not. A few dozen bytes and ten seconds are all that it gets.
pub(super) async fn introduce(mut stream: TcpStream, outbind: Outbind) -> Introduced {
    let mut doorman = Doorman::new(&outbind.system_id, outbind.password.reveal());
    let heard = async {
        let mut bytes = [0; 64];
        loop {
            let count = match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return Err("it closed the connection"),
                Ok(count) => count,
            };
            match doorman.handle_input(bytes.get(..count).unwrap_or_default()) {
                Verdict::More => {}
                Verdict::Welcome => return Ok(()),
                Verdict::Refused(reason) => return Err(reason),
            }
        }
    };
    match tokio::time::timeout(INTRODUCTION, heard).await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err("it did not say who it is in time"),
    }
}
