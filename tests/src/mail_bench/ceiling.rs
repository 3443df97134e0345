//! What nobody can beat on this machine.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::USER;
use crate::dovecot::PASSWORD;

/// Mails a flush, as many as Voxea commits together at most.
const BATCH: u64 = 100;

/// Mails a second when as many bytes go over the loopback into one file, with an fdatasync every hundred mails.
///
/// # Errors
/// The network's or the disk's.
pub fn bytes(total: u64, mails: usize) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sender = std::thread::spawn(move || -> Result<()> {
        let mut socket = TcpStream::connect(address)?;
        let block = vec![b'x'; 64 * 1024];
        let mut left = total;
        while left > 0 {
            let now = usize::try_from(left)?.min(block.len());
            socket.write_all(block.get(..now).context("a short block")?)?;
            left -= now as u64;
        }
        Ok(())
    });
    let (mut socket, _) = listener.accept()?;
    let mut file = tempfile::tempfile()?;
    let (mut block, mut written, a_flush) = (vec![0; 64 * 1024], 0_u64, (total / mails as u64 * BATCH).max(1));
    let begun = Instant::now();
    loop {
        let read = socket.read(&mut block)?;
        if read == 0 {
            break;
        }
        file.write_all(block.get(..read).unwrap_or_default())?;
        if (written + read as u64) / a_flush > written / a_flush {
            file.sync_data()?;
        }
        written += read as u64;
    }
    file.sync_data()?;
    let elapsed = begun.elapsed();
    ensure!(
        written == total && sender.join().is_ok_and(|sent| sent.is_ok()),
        "the bytes did not come"
    );
    Ok(mails as f64 / elapsed.as_secs_f64())
}

/// Mails a second that the server hands to a client which drops them: one FETCH of everything.
///
/// # Errors
/// When the server does not answer.
pub fn server(port: u16, mails: usize) -> Result<f64> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    let mut say = |text: &str, tag: &str| -> Result<()> {
        socket.write_all(text.as_bytes())?;
        let (mut block, mut tail) = (vec![0; 256 * 1024], Vec::new());
        let end = format!("\r\n{tag} OK");
        loop {
            let read = socket.read(&mut block)?;
            ensure!(read > 0, "the server closed the connection");
            tail.extend_from_slice(block.get(..read).unwrap_or_default());
            // The tagged answer is last, and short but for a list of capabilities.
            let late = tail.len().saturating_sub(4_000);
            tail.drain(..late);
            if tail.ends_with(b"\r\n") && String::from_utf8_lossy(&tail).contains(&end) {
                return Ok(());
            }
        }
    };
    say(&format!("a NOOP\r\nb LOGIN {USER} {PASSWORD}\r\n"), "b")?;
    say("c SELECT INBOX\r\n", "c")?;
    let begun = Instant::now();
    say("d UID FETCH 1:* (UID BODY.PEEK[])\r\n", "d")?;
    Ok(mails as f64 / begun.elapsed().as_secs_f64())
}
