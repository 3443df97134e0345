//! Datagrams with the instant at which the kernel took them in. Legs are swept
//! ten times a second, so the instant of reading says too little.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use nix::sys::time::TimeSpec;

/// Longer datagrams are no RTP of ours; they are cut and then refused.
const BUFFER: usize = 2_048;

/// One received datagram.
#[derive(Debug)]
pub(super) struct Datagram<'a> {
    pub(super) from: SocketAddr,
    pub(super) octets: &'a [u8],
    pub(super) arrival: Instant,
}

/// The buffers of one media thread, and both clocks as read together.
#[derive(Debug)]
pub(super) struct Receiver {
    buffer: Box<[u8; BUFFER]>,
    control: Vec<u8>,
    now: Instant,
    wall: Duration,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            buffer: Box::new([0; BUFFER]),
            control: nix::cmsg_space!(TimeSpec),
            now: Instant::now(),
            wall: Duration::ZERO,
        }
    }

    /// Reads the clocks, for the sweep that begins.
    pub(super) fn read_clocks(&mut self) -> Instant {
        self.wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = Instant::now();
        self.now
    }

    /// The next datagram that waits, if any. It cannot have come before
    /// `since`, when the socket was last found empty: that bounds what a step
    /// of the wall clock can do.
    pub(super) fn receive(&mut self, socket: &UdpSocket, since: Instant) -> io::Result<Option<Datagram<'_>>> {
        let mut slices = [IoSliceMut::new(&mut self.buffer[..])];
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut self.control), flags);
        let message = match received {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        });
        let from = message.address.as_ref().and_then(address).ok_or(io::ErrorKind::Unsupported)?;
        let cut = message.flags.contains(MsgFlags::MSG_TRUNC);
        let length = if cut { 0 } else { message.bytes };
        if stamp.is_some_and(|stamp| stamp > self.wall) {
            // It came while this sweep was under way, which may have been held up for long.
            self.read_clocks();
        }
        let age = stamp.and_then(|stamp| self.wall.checked_sub(stamp)).unwrap_or_default();
        let arrival = self.now.checked_sub(age).map_or(since, |arrival| arrival.max(since));
        Ok(Some(Datagram {
            from,
            octets: &self.buffer[..length],
            arrival,
        }))
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    storage.as_sockaddr_in6().map(|v6| {
        let v6 = SocketAddrV6::from(*v6);
        SocketAddr::new(v6.ip().to_canonical(), v6.port())
    })
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;

    /// A leg that held the thread up (a disk did, for seconds) must not make what came meanwhile for the next one old, by the
    /// clock that was read before: it would be placed where it does not belong.
    #[test]
    fn what_came_while_the_sweep_was_held_up_came_then() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
        let mut receiver = Receiver::new();
        let begun = receiver.read_clocks();
        std::thread::sleep(Duration::from_millis(80));
        let sent = Instant::now();
        socket.send_to(&[1], socket.local_addr().unwrap()).unwrap();
        let arrival = receiver.receive(&socket, begun).unwrap().unwrap().arrival;
        assert!(
            arrival.max(sent) - arrival.min(sent) < Duration::from_millis(20),
            "{:?}",
            arrival - begun
        );
    }
}
