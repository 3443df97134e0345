//! Datagrams with the instant at which the kernel took them in. Legs are swept
//! ten times a second, so the instant of reading says too little.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg};
use nix::sys::time::TimeSpec;

/// Longer datagrams are no RTP of ours; they are cut and then refused.
const BUFFER: usize = 2_048;

/// Datagrams that one call of the system reads. A sweep finds five of a living call, and fewer than this say that there is
/// no more.
pub(super) const BATCH: usize = 8;

/// One received datagram.
#[derive(Debug)]
pub(super) struct Datagram<'a> {
    pub(super) from: SocketAddr,
    pub(super) octets: &'a [u8],
    pub(super) arrival: Instant,
}

/// The buffers of one media thread, and both clocks as read together.
pub(super) struct Receiver {
    buffers: Box<[u8; BUFFER * BATCH]>,
    /// Of IPv4 and of IPv6: the kernel notes in them how long an address was, and takes that for its room the next time.
    headers: [MultiHeaders<SockaddrStorage>; 2],
    came: Vec<Came>,
    now: Instant,
    wall: Duration,
}

/// What was read into a buffer.
#[derive(Debug)]
struct Came {
    from: SocketAddr,
    length: usize,
    arrival: Instant,
}

impl Receiver {
    pub(super) fn new() -> Self {
        let headers = || MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec)));
        Self {
            buffers: Box::new([0; BUFFER * BATCH]),
            headers: [headers(), headers()],
            came: Vec::with_capacity(BATCH),
            now: Instant::now(),
            wall: Duration::ZERO,
        }
    }

    /// Reads the clocks, for the sweep that begins.
    pub(super) fn read_clocks(&mut self) -> Instant {
        (self.now, self.wall) = clocks();
        self.now
    }

    /// Reads what waits, [`BATCH`] at most; how many it were. None can have come before `since`, when the socket was last
    /// found empty: that bounds what a step of the wall clock can do.
    pub(super) fn fill(&mut self, socket: &UdpSocket, v6: bool, since: Instant) -> io::Result<usize> {
        self.came.clear();
        let mut slices = self.buffers.chunks_exact_mut(BUFFER).map(|buffer| [IoSliceMut::new(buffer)]);
        let mut slices: [_; BATCH] = std::array::from_fn(|_| slices.next().unwrap_or_else(|| [IoSliceMut::new(&mut [])]));
        let headers = &mut self.headers[usize::from(v6)];
        let read = match recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(read) => read,
            Err(Errno::EAGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        for message in read {
            let stamp = stamp(&message);
            if stamp.is_some_and(|stamp| stamp > self.wall) {
                // It came while this sweep was under way, which may have been held up for long.
                (self.now, self.wall) = clocks();
            }
            let age = stamp.and_then(|stamp| self.wall.checked_sub(stamp)).unwrap_or_default();
            let cut = message.flags.contains(MsgFlags::MSG_TRUNC);
            self.came.push(Came {
                from: message.address.as_ref().and_then(address).ok_or(io::ErrorKind::Unsupported)?,
                length: if cut { 0 } else { message.bytes },
                arrival: self.now.checked_sub(age).map_or(since, |arrival| arrival.max(since)),
            });
        }
        Ok(self.came.len())
    }

    /// One of those that were read, from 0 on.
    pub(super) fn datagram(&self, index: usize) -> Option<Datagram<'_>> {
        let came = self.came.get(index)?;
        Some(Datagram {
            from: came.from,
            octets: self.buffers.get(index * BUFFER..)?.get(..came.length)?,
            arrival: came.arrival,
        })
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("came", &self.came).finish_non_exhaustive()
    }
}

/// Both clocks, read together.
fn clocks() -> (Instant, Duration) {
    (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// When the kernel took it in, by the wall clock.
fn stamp(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<Duration> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    })
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
    use super::*;

    /// A leg that held the thread up (a disk did, for seconds) must not make what came meanwhile for the next one old, by the
    /// clock that was read before: it would be placed where it does not belong.
    #[test]
    fn what_came_while_the_sweep_was_held_up_came_then() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::ReceiveTimestampns, &true).unwrap();
        let mut receiver = Receiver::new();
        let begun = receiver.read_clocks();
        std::thread::sleep(Duration::from_millis(80));
        let sent = Instant::now();
        socket.send_to(&[1], socket.local_addr().unwrap()).unwrap();
        assert_eq!(receiver.fill(&socket, false, begun).unwrap(), 1);
        let arrival = receiver.datagram(0).unwrap().arrival;
        let apart = arrival.max(sent) - arrival.min(sent);
        assert!(apart < Duration::from_millis(20), "{:?}", arrival - begun);
    }

    #[test]
    fn all_that_waits_is_read_whatever_family_was_read_before() {
        let mut receiver = Receiver::new();
        for host in ["127.0.0.1", "[::1]", "127.0.0.1", "[::1]"] {
            let ours = UdpSocket::bind(format!("{host}:0")).unwrap();
            nix::sys::socket::setsockopt(&ours, nix::sys::socket::sockopt::ReceiveTimestampns, &true).unwrap();
            let peer = UdpSocket::bind(format!("{host}:0")).unwrap();
            let (before, v6) = (Instant::now(), host.starts_with('['));
            for number in 0..=BATCH as u8 {
                peer.send_to(&vec![number; usize::from(number) * 20], ours.local_addr().unwrap())
                    .unwrap();
            }
            peer.send_to(&[0; BUFFER + 1], ours.local_addr().unwrap()).unwrap();
            receiver.read_clocks();
            let long_ago = before - Duration::from_secs(9);
            assert_eq!(receiver.fill(&ours, v6, long_ago).unwrap(), BATCH);
            for number in 0..BATCH {
                let datagram = receiver.datagram(number).unwrap();
                assert_eq!(datagram.from, peer.local_addr().unwrap());
                assert_eq!(datagram.octets, vec![number as u8; number * 20]);
                assert!(datagram.arrival >= before - Duration::from_secs(1), "the kernel's stamp is read");
            }
            assert_eq!(receiver.fill(&ours, v6, long_ago).unwrap(), 2);
            assert!(
                receiver.datagram(1).unwrap().octets.is_empty(),
                "what was cut is not taken for whole"
            );
            assert!(receiver.datagram(2).is_none());
            assert_eq!(receiver.fill(&ours, v6, long_ago).unwrap(), 0);
        }
    }
}
