//! The caller's sound: packets out on time, packets in listened to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use super::g711;

/// Octets, and samples, of a packet.
const FRAME: usize = 160;
/// Time of a packet.
const PACKET: Duration = Duration::from_millis(20);
/// Octets of the other side that are kept: ten minutes.
const KEPT: usize = 10 * 60 * 8_000;
/// The beep's frequency, Hz.
const BEEP: f64 = 1_000.0;
/// Packets of pure tone that make a beep.
const BEEP_PACKETS: u32 = 8;

/// What the network does to our packets.
#[derive(Debug, Clone, Default)]
pub struct Impairment {
    /// Of a hundred packets so many are dropped, by a fixed sequence.
    pub loss_percent: u64,
    /// Every so many packets, one goes out after its successor; 0 for none.
    pub reorder_every: usize,
    /// Nothing is sent from the first offset for the second's length, both within the octets played.
    pub gap: Option<(Duration, Duration)>,
}

/// What was really sent.
#[derive(Debug, Clone, Copy)]
pub struct Played {
    /// When the first packet's first sample was due.
    pub started: Instant,
    /// Packets sent.
    pub packets: usize,
    /// By how much the latest packet left behind its time.
    pub worst_lateness: Duration,
}

/// What the other side sent.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// RTP packets.
    pub packets: u64,
    /// Their payloads as they came, at most ten minutes.
    pub octets: Vec<u8>,
    /// The longest stretch that it left out: timestamps that jumped from one number to the next.
    pub hole: Duration,
    /// Sequence number and timestamp of the last packet.
    last: Option<(u16, u32)>,
}

impl Heard {
    fn note(&mut self, packet: &[u8]) {
        let [_, _, a, b, c, d, e, f, ..] = *packet else { return };
        let (number, timestamp) = (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]));
        let last = self.last.replace((number, timestamp));
        if let Some((before, at)) = last
            && number == before.wrapping_add(1)
        {
            let step = timestamp.wrapping_sub(at).saturating_sub(FRAME as u32);
            self.hole = self.hole.max(Duration::from_micros(u64::from(step) * 125));
        }
    }
}

/// One packet of a plan: when it is due, its number, and its octets.
pub type Planned<'a> = (Duration, usize, &'a [u8]);

/// Cuts octets into packets and lets the network do its work on them; numbers are those before loss.
#[must_use]
pub fn plan<'a>(octets: &'a [u8], impairment: &Impairment) -> Vec<Planned<'a>> {
    let mut planned: Vec<Planned<'a>> = Vec::new();
    // A linear congruential generator (Knuth's MMIX): the same packets in every run.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for (number, frame) in octets.chunks(FRAME).enumerate() {
        let due = PACKET * number as u32;
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let lost = (state >> 33) % 100 < impairment.loss_percent;
        let silent = impairment.gap.is_some_and(|(from, length)| due >= from && due < from + length);
        if !lost && !silent {
            planned.push((due, number, frame));
        }
    }
    if impairment.reorder_every > 0 {
        for at in (impairment.reorder_every..planned.len()).step_by(impairment.reorder_every) {
            // The two swap places in time, not only in the list.
            let (first, second) = (planned[at - 1].0, planned[at].0);
            planned.swap(at - 1, at);
            planned[at - 1].0 = first;
            planned[at].0 = second;
        }
    }
    planned
}

pub(super) struct Media {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) remote: SocketAddr,
    pub(super) payload_type: u8,
    /// Timestamp and sequence number are those of this instant, so that two plays keep their distance.
    origin: Instant,
    heard: Arc<Mutex<Heard>>,
    beep: watch::Receiver<Option<Instant>>,
    listener: Option<JoinHandle<()>>,
}

impl Media {
    pub(super) fn start(socket: UdpSocket, remote: SocketAddr, payload_type: u8, listen: bool) -> Self {
        let socket = Arc::new(socket);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (sender, beep) = watch::channel(None);
        let listening = listen_to(Arc::clone(&socket), payload_type, Arc::clone(&heard), sender);
        let listener = listen.then(|| tokio::spawn(listening));
        Self {
            socket,
            remote,
            payload_type,
            origin: Instant::now(),
            heard,
            beep,
            listener,
        }
    }

    /// The place in the sequence of a packet that leaves now.
    pub(super) fn place(&self) -> usize {
        (self.origin.elapsed().as_millis() / 20) as usize
    }

    pub(super) async fn beep(&self, within: Duration) -> Result<Instant> {
        let mut beep = self.beep.clone();
        let ended = timeout(within, beep.wait_for(Option::is_some)).await.context("no beep was heard")?;
        ended.context("the listener ended")?.context("no beep")
    }

    pub(super) async fn play(&self, octets: &[u8], impairment: &Impairment) -> Result<Played> {
        let started = Instant::now();
        let first = ((started - self.origin).as_millis() / 20) as usize;
        let mut worst = Duration::ZERO;
        let planned = plan(octets, impairment);
        for (due, number, frame) in &planned {
            sleep_until((started + *due).into()).await;
            worst = worst.max(started.elapsed().saturating_sub(*due));
            self.socket
                .send_to(&rtp(self.payload_type, first + number, 0x5EED, frame), self.remote)
                .await?;
        }
        sleep_until((started + PACKET * octets.len().div_ceil(FRAME) as u32).into()).await;
        Ok(Played {
            started,
            packets: planned.len(),
            worst_lateness: worst,
        })
    }

    pub(super) fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

/// The packet with this number (RFC 3550 §5.1): sequence number and timestamp follow from it.
#[must_use]
pub fn rtp(payload_type: u8, number: usize, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend_from_slice(&(number as u16).to_be_bytes());
    packet.extend_from_slice(&((number * FRAME) as u32).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

async fn listen_to(socket: Arc<UdpSocket>, payload_type: u8, heard: Arc<Mutex<Heard>>, beep: watch::Sender<Option<Instant>>) {
    let decode = if payload_type == 0 { g711::mu_law } else { g711::a_law };
    let mut buffer = [0; 2_048];
    let mut tone = 0;
    let mut last = Instant::now();
    loop {
        let Ok(length) = socket.recv(&mut buffer).await else { continue };
        let Some(payload) = buffer[..length].get(12..) else { continue };
        {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.packets += 1;
            heard.note(&buffer[..length]);
            let room = KEPT - heard.octets.len();
            heard.octets.extend_from_slice(&payload[..payload.len().min(room)]);
        }
        let samples: Vec<i16> = payload.iter().map(|&octet| decode(octet)).collect();
        if g711::purity(&samples, BEEP) > 0.9 {
            tone += 1;
            last = Instant::now();
        } else {
            if tone >= BEEP_PACKETS {
                beep.send_replace(Some(last));
            }
            tone = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_loses_reorders_and_pauses() {
        let octets = vec![0; FRAME * 1_000];
        assert_eq!(plan(&octets, &Impairment::default()).len(), 1_000);
        let lossy = Impairment {
            loss_percent: 3,
            ..Impairment::default()
        };
        assert!((960..985).contains(&plan(&octets, &lossy).len()));
        let gap = Some((Duration::from_secs(5), Duration::from_secs(2)));
        let paused = plan(
            &octets,
            &Impairment {
                gap,
                reorder_every: 10,
                ..Impairment::default()
            },
        );
        assert_eq!(paused.len(), 900);
        let numbers: Vec<usize> = paused.iter().map(|(_, number, _)| *number).collect();
        assert_eq!(numbers[8..12], [8, 10, 9, 11]);
        assert!(paused.is_sorted_by_key(|(due, _, _)| *due));
    }

    #[test]
    fn a_hole_is_what_timestamps_leave_out() {
        let mut heard = Heard::default();
        for packet in [rtp(8, 0, 7, &[]), rtp(8, 1, 7, &[]), rtp(8, 5, 7, &[])] {
            heard.note(&packet);
        }
        assert_eq!(heard.hole, Duration::ZERO, "packets that are lost are no hole of the sender's");
        let mut jumped = rtp(8, 6, 7, &[]);
        jumped[4..8].copy_from_slice(&(9_u32 * 160).to_be_bytes());
        heard.note(&jumped);
        assert_eq!(heard.hole, Duration::from_millis(60));
    }

    #[test]
    fn a_packet_says_its_place() {
        let packet = rtp(8, 70_000, 7, &[0xD5; 160]);
        assert_eq!(packet.len(), 172);
        assert_eq!(packet[..4], [0x80, 8, 0x11, 0x70]);
        assert_eq!(packet[4..8], (70_000_u32 * 160).to_be_bytes());
    }
}
