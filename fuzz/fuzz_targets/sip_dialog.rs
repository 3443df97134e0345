//! Octets become deeds of four callers, of the user and of time, with the tags and branches that really are there, so that
//! the deep states are reached which text alone never guesses: nothing panics, nothing grows, each call ends once.
#![no_main]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::call::CallHandle;
use voxea_sip::endpoint::{Config, Endpoint, Event, Limits, Output};
use voxea_sip::flow::{Flow, Transport};
use voxea_sip::policy::Trunk;

const LIMITS: Limits = Limits { calls: 3, transactions: 24, refusals: 50, retry_after: 5 };
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8 0 101\r\n";

fuzz_target!(|data: &[u8]| bounded(|| play(data)));

struct World {
    endpoint: Endpoint,
    now: Instant,
    /// Our tag in each caller's dialog.
    tags: [String; 4],
    cseq: u32,
    /// Our last request, to be answered.
    asked: String,
    open: HashMap<CallHandle, bool>,
}

fn play(data: &[u8]) {
    let trunk = Trunk::new("pbx", vec!["127.0.0.0/8".parse().expect("a network")]);
    let mut world = World {
        endpoint: Endpoint::new(Config { secret: [7; 32], trunks: vec![trunk], lines: vec!["3000".to_owned()], limits: LIMITS }),
        now: Instant::now(),
        tags: Default::default(),
        cseq: 1,
        asked: String::new(),
        open: HashMap::new(),
    };
    for step in data.chunks_exact(3).take(200) {
        let [deed, who, how] = *step else { continue };
        world.step(deed, usize::from(who % 4), who & 4 != 0, how);
        let held = world.endpoint.held();
        assert!(held.calls <= LIMITS.calls && held.transactions <= LIMITS.transactions && held.dialogs <= held.calls, "{held:?}");
        assert!(held.timers <= 6 * (held.calls + held.transactions) + 2 * held.requests, "{held:?}");
        assert!(world.open.len() <= held.calls, "a call that is gone, and nobody was told");
    }
    let calls: Vec<CallHandle> = world.open.keys().copied().collect();
    for call in calls {
        let now = world.now;
        let _ = world.endpoint.hangup(call, now);
        world.drain();
    }
    for _ in 0..10_000 {
        let Some(at) = world.drain() else { break };
        world.now = at.max(world.now);
        world.endpoint.handle_timeout(world.now);
    }
    assert_eq!(world.endpoint.held(), Default::default(), "something is left over");
}

impl World {
    fn step(&mut self, deed: u8, who: usize, tcp: bool, how: u8) {
        let sdp = how & 1 == 0;
        self.cseq += 1;
        match deed % 16 {
            0 => self.say("INVITE", who, tcp, 1, &format!("i{who}x{}", how >> 5), false, sdp),
            1 => self.say("ACK", who, tcp, u32::from(how), "a", true, sdp),
            2 => self.say("ACK", who, tcp, 1, "a1", true, sdp),
            3 => self.say("CANCEL", who, tcp, 1, &format!("i{who}x{}", how >> 5), false, false),
            4 => self.say("BYE", who, tcp, self.cseq, &format!("b{}", self.cseq), true, false),
            5 => self.say("INVITE", who, tcp, self.cseq, &format!("r{}", self.cseq), true, sdp),
            6 => self.say("ACK", who, tcp, self.cseq - 1, &format!("ra{}", self.cseq), true, sdp),
            7 => self.say("UPDATE", who, tcp, self.cseq, &format!("u{}", self.cseq), true, sdp),
            8 => self.say(["INFO", "OPTIONS", "REFER", "PRACK"][usize::from(how % 4)], who, tcp, self.cseq, &format!("o{}", self.cseq), how & 8 == 0, false),
            9 => self.say("OPTIONS", who, tcp, self.cseq, "same", false, false),
            10 => self.answer(["100 T", "200 OK", "481 G", "408 T", "491 P", "422 S", "500 N"][usize::from(how % 7)]),
            11 | 12 => {
                self.now += Duration::from_millis([1, 200, 500, 4_000, 32_000, 60_000, 100_000][usize::from(how % 7)]);
                self.endpoint.handle_timeout(self.now);
            }
            _ => self.decide(deed, how),
        }
        self.drain();
    }

    /// The user.
    fn decide(&mut self, deed: u8, how: u8) {
        let mut calls: Vec<CallHandle> = self.open.keys().copied().collect();
        calls.sort_unstable();
        let Some(&call) = calls.get(usize::from(how) % calls.len().max(1)) else { return };
        let decided = match deed % 16 {
            13 => self.endpoint.accept(call, ([127, 0, 0, 1], 40_000).into(), self.now).map(|()| false),
            14 => self.endpoint.reject(call, 486, None, self.now).map(|()| true),
            _ => self.endpoint.hangup(call, self.now).map(|()| self.open.get(&call) == Some(&false)),
        };
        match decided {
            Ok(true) => drop(self.open.remove(&call)),
            Ok(false) => drop(self.open.insert(call, true)),
            Err(_) => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a message has as many parts")]
    fn say(&mut self, method: &str, who: usize, tcp: bool, cseq: u32, branch: &str, inside: bool, sdp: bool) {
        let to = if inside { format!(";tag={}", self.tags[who]) } else { String::new() };
        let (kind, body) = if sdp { ("Content-Type: application/sdp\r\n", OFFER) } else { ("", "") };
        let timer = ["", "Supported: timer\r\nAllow: UPDATE\r\nSession-Expires: 90;refresher=uas\r\n", "Supported: timer\r\nSession-Expires: 90\r\n"][cseq as usize % 3];
        let transport = if tcp { "TCP" } else { "UDP" };
        let text = format!(
            "{method} sip:3000@h SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:5062;branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:c@h>;tag=f{who}\r\nTo: <sip:3000@h>{to}\r\nCall-ID: {who}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:c@127.0.0.1:5062>\r\n{timer}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.hear(text, tcp);
    }

    fn answer(&mut self, status: &str) {
        let copied = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
        let copy: String = self.asked.lines().filter(copied).map(|line| format!("{line}\r\n")).collect();
        self.hear(format!("SIP/2.0 {status}\r\n{copy}Min-SE: 120\r\nContent-Length: 0\r\n\r\n"), false);
    }

    fn hear(&mut self, text: String, tcp: bool) {
        let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let flow = Flow { remote: address(5062), local: address(5060), transport };
        self.endpoint.handle_input(Bytes::from(text), flow, self.now);
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.endpoint.poll_output() {
                Output::Event(Event::IncomingCall(call)) => assert!(self.open.insert(call.call, false).is_none()),
                Output::Event(Event::Answered { call, .. } | Event::Renegotiated { call, .. }) => {
                    assert_eq!(self.open.get(&call), Some(&true), "a call that was not accepted, or is over");
                }
                Output::Event(Event::Cancelled { call }) => assert_eq!(self.open.remove(&call), Some(false)),
                Output::Event(Event::Ended { call, .. }) => assert_eq!(self.open.remove(&call), Some(true)),
                Output::Event(_) => {}
                Output::Transmit { bytes, .. } => {
                    let text = String::from_utf8(bytes.to_vec()).expect("we write text");
                    if !text.starts_with("SIP/2.0 ") {
                        self.asked = text;
                    } else if text.starts_with("SIP/2.0 200 ") && text.contains(" INVITE\r\n") {
                        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                        let who: usize = field("Call-ID: ").parse().expect("our own Call-ID");
                        self.tags[who] = field("To: ").split("tag=").nth(1).unwrap_or_default().to_owned();
                    }
                }
                Output::Timeout(at) => return at,
            }
        }
    }
}
