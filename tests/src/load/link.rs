//! A UDP socket that loses what it carries, by a seed.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

/// What the kernel keeps for us while we are busy, as far as it lets us.
const BUFFER: usize = 8 << 20;

/// A socket towards one server.
pub(super) struct Link {
    socket: UdpSocket,
    server: SocketAddr,
    /// Of a thousand datagrams, each way.
    loss: u64,
    seed: u64,
}

impl Link {
    pub(super) fn open(from: IpAddr, server: SocketAddr, loss: u64, seed: u64) -> io::Result<Self> {
        let socket = UdpSocket::bind((from, 0))?;
        // As much as the system grants.
        let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &BUFFER);
        let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::SndBuf, &BUFFER);
        Ok(Self {
            socket,
            server,
            loss,
            seed,
        })
    }

    pub(super) fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends, or loses.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.lost() {
            return Ok(());
        }
        match self.socket.send_to(bytes, self.server) {
            Ok(_) => Ok(()),
            // A full buffer is a loss as well; a refusal is an earlier datagram's.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What came, unless it was lost; waits no longer than this.
    pub(super) fn receive<'a>(&mut self, buffer: &'a mut [u8], wait: Option<Duration>) -> io::Result<Option<&'a [u8]>> {
        match wait {
            Some(wait) => {
                self.socket.set_nonblocking(false)?;
                self.socket.set_read_timeout(Some(wait.max(Duration::from_micros(200))))?;
            }
            None => self.socket.set_nonblocking(true)?,
        }
        match self.socket.recv(buffer) {
            Ok(_) if self.lost() => Ok(Some(&[])),
            Ok(length) => Ok(buffer.get(..length)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Some(&[])),
            Err(error) => Err(error),
        }
    }

    fn lost(&mut self) -> bool {
        self.loss > 0 && number(&mut self.seed) % 1_000 < self.loss
    }
}

/// SplitMix64.
pub(super) fn number(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
