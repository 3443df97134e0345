//! The callers: one thread that sends the packets of all calls on time, and takes what comes back.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::socket::{MsgFlags, SockaddrStorage, recv, sendto};

use crate::load::rivals::pin_thread;
use crate::sip::rtp;

/// Time of a packet.
const PACKET: Duration = Duration::from_millis(20);
/// Calls share the packet's time in so many parts, one after the other.
const SLOTS: usize = 20;
/// Turns of [`PACKET`] from one look at what came back to the next.
const LISTEN: u64 = 10;
/// Later than this is late.
const LATE: Duration = Duration::from_millis(20);
/// Of a thousand packets so many may be late.
const MAY_BE_LATE: u64 = 5;
/// No packet may be so late: the recorder would hand out silence for it.
const TOO_LATE: Duration = Duration::from_millis(150);

/// Octets of a call's packet: noise that no other packet of any call repeats.
pub(super) fn sound(call: usize, packet: usize) -> [u8; 160] {
    let mut octets = [0; 160];
    let mut state = (call as u64) << 32 | packet as u64;
    for word in octets.chunks_exact_mut(8) {
        // splitmix64, by Steele, Lea and Flood.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    octets
}

/// How late packets left.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lateness {
    sent: u64,
    late: u64,
    worst: Duration,
}

impl Lateness {
    pub(super) fn kept_up(&self) -> bool {
        self.late * 1_000 <= self.sent * MAY_BE_LATE && self.worst < TOO_LATE
    }
}

impl std::fmt::Display for Lateness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = self.late as f64 * 100.0 / self.sent.max(1) as f64;
        write!(
            f,
            "at most {} ms late, {share:.2} % over {} ms",
            self.worst.as_millis(),
            LATE.as_millis()
        )
    }
}

struct Voice {
    call: usize,
    socket: UdpSocket,
    remote: SockaddrStorage,
    packets: usize,
    heard: u64,
}

#[derive(Default)]
struct Shared {
    fresh: Vec<Voice>,
    heard: Vec<u64>,
    lateness: Lateness,
    over: bool,
}

/// The thread; it ends when this is dropped.
pub(super) struct Sender {
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

/// What each call had heard at the beginning of the measurement.
pub(super) struct HeardBefore(Vec<u64>);

impl Sender {
    /// Starts it, on one core where one is named.
    pub(super) fn start(core: Option<usize>) -> Result<Self> {
        let shared = Arc::<Mutex<Shared>>::default();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("callers".into()).spawn(move || {
            // Where there is no such core the run is as good as elsewhere.
            let _ = core.map(pin_thread);
            run(&of_thread);
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// This call speaks from now on.
    pub(super) fn add(&self, call: usize, socket: UdpSocket, remote: SocketAddr) {
        let (remote, packets, heard) = (remote.into(), 0, 0);
        let voice = Voice {
            call,
            socket,
            remote,
            packets,
            heard,
        };
        lock(&self.shared).fresh.push(voice);
    }

    /// The measurement begins: what was late before does not count.
    pub(super) fn begin(&self) -> HeardBefore {
        let mut shared = lock(&self.shared);
        shared.lateness = Lateness::default();
        HeardBefore(shared.heard.clone())
    }

    pub(super) fn lateness(&self) -> Lateness {
        lock(&self.shared).lateness
    }
}

impl HeardBefore {
    /// Of the packets that are due in that time, the share that the call heard that heard least.
    pub(super) fn least(&self, sender: &Sender, span: Duration) -> f64 {
        let heard = lock(&sender.shared).heard.clone();
        let least = heard.iter().zip(&self.0).map(|(now, before)| now - before).min();
        least.unwrap_or(0) as f64 / (span.as_secs_f64() / PACKET.as_secs_f64())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        lock(&self.shared).over = true;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Mutex<Shared>) {
    let mut voices: Vec<Voice> = Vec::new();
    let begun = Instant::now();
    let mut buffer = [0; 2_048];
    let mut scrap = Lateness::default();
    for turn in 0_u64.. {
        for slot in 0..SLOTS {
            let due = begun + PACKET * u32::try_from(turn).unwrap_or(u32::MAX) + PACKET * slot as u32 / SLOTS as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            for voice in voices.iter_mut().skip(slot).step_by(SLOTS) {
                let late = Instant::now().saturating_duration_since(due);
                scrap.sent += 1;
                scrap.late += u64::from(late > LATE);
                scrap.worst = scrap.worst.max(late);
                let packet = rtp(8, voice.packets, 0x5EED, &sound(voice.call, voice.packets));
                // What the system does not take is lost, and the judge says so.
                let _ = sendto(voice.socket.as_raw_fd(), &packet, &voice.remote, MsgFlags::empty());
                voice.packets += 1;
                if (turn + slot as u64).is_multiple_of(LISTEN) {
                    while recv(voice.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).is_ok() {
                        voice.heard += 1;
                    }
                }
            }
        }
        let mut shared = lock(shared);
        if shared.over {
            return;
        }
        voices.append(&mut shared.fresh);
        shared.heard.clear();
        shared.heard.extend(voices.iter().map(|voice| voice.heard));
        shared.lateness.sent += scrap.sent;
        shared.lateness.late += scrap.late;
        shared.lateness.worst = shared.lateness.worst.max(scrap.worst);
        scrap = Lateness::default();
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_packet_is_like_another() {
        assert_ne!(sound(0, 1), sound(0, 2));
        assert_ne!(sound(1, 1), sound(2, 1));
        assert_eq!(sound(7, 9), sound(7, 9));
    }

    #[test]
    fn a_sender_that_was_held_up_says_so() {
        let lateness = |late, worst| Lateness {
            sent: 1_000,
            late,
            worst: Duration::from_millis(worst),
        };
        assert!(lateness(5, 30).kept_up());
        assert!(!lateness(6, 30).kept_up());
        assert!(!lateness(1, 150).kept_up());
    }
}
