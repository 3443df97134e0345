//! The keeper against a registrar that is nothing but text, on virtual time.

use std::time::{Duration, Instant};

use super::*;
use crate::auth::{Allowed, Credentials, Login};
use crate::flow::Transport;
use crate::wire::{self, Message};

struct Bench {
    keeper: Keeper,
    start: Instant,
    now: Instant,
    flow: Flow,
    /// Seconds since the start, and the request.
    sent: Vec<(u64, Task, Ask)>,
}

fn settings() -> Settings {
    Settings {
        name: "pbx".to_owned(),
        host: "pbx.example".to_owned(),
        port: 5070,
        transport: Transport::Udp,
        login: Some(Login::new(Credentials::new("voix", "s3cret"), Allowed::Sha)),
        register: Some(300),
        options: None,
    }
}

fn asking() -> Settings {
    Settings {
        login: None,
        register: None,
        options: Some(Duration::from_secs(30)),
        ..settings()
    }
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let flow = Flow {
            remote: "192.0.2.1:5070".parse().unwrap(),
            local: "192.0.2.10:5060".parse().unwrap(),
            transport: settings.transport,
        };
        Self {
            keeper: Keeper::new(settings, [7; 32], now),
            start: now,
            now,
            flow,
            sent: Vec::new(),
        }
    }

    /// Time passes until something is sent, or no longer than this.
    fn pass(&mut self, time: Duration) -> Option<Ask> {
        let until = self.now + time;
        loop {
            match self.keeper.poll() {
                Want::Reach => self.keeper.reached(self.flow, self.now),
                Want::Send { task, ask, .. } => {
                    let at = (self.now - self.start).as_secs();
                    self.sent.push((at, task, ask.clone()));
                    return Some(ask);
                }
                Want::Timeout(Some(at)) if at <= until => {
                    self.now = self.now.max(at);
                    self.keeper.handle_timeout(self.now);
                }
                Want::Timeout(_) => {
                    self.now = until;
                    return None;
                }
            }
        }
    }

    fn next(&mut self) -> Ask {
        self.pass(Duration::from_secs(3_600)).unwrap()
    }

    fn answer(&mut self, status: u16, lines: &str) {
        let (_, task, _) = self.sent.last().unwrap();
        let task = *task;
        let response = response(status, task, lines);
        self.keeper.answer(task, Some(&response), self.now);
    }

    fn state(&self) -> State {
        self.keeper.status().state
    }

    fn error(&self) -> String {
        self.keeper.status().last_error.unwrap_or_default()
    }

    /// Seconds until the next attempt.
    fn pause(&self) -> u64 {
        (self.keeper.status().next_attempt.unwrap() - self.now).as_secs()
    }
}

fn response(status: u16, task: Task, lines: &str) -> Response {
    let text = format!(
        "SIP/2.0 {status} Whatever\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\n\
         Call-ID: 1\r\nCSeq: 1 {}\r\n{lines}\r\n",
        task.as_str()
    );
    match wire::parse(&text.into()) {
        Ok(Message::Response(response)) => *response,
        other => panic!("{other:?}"),
    }
}

fn header<'a>(ask: &'a Ask, name: &str) -> &'a str {
    ask.headers.iter().find(|(found, _)| *found == name).map_or("", |(_, value)| value)
}

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\r\n";

#[test]
fn it_registers_proves_itself_and_refreshes_in_time() {
    let mut bench = Bench::new(settings());
    let first = bench.next();
    assert_eq!(first.uri, "sip:pbx.example:5070");
    assert_eq!(header(&first, "To"), "<sip:voix@pbx.example>");
    assert!(header(&first, "From").starts_with("<sip:voix@pbx.example>;tag="));
    assert_eq!(header(&first, "Contact"), "<sip:voix@192.0.2.10:5060>");
    assert_eq!((header(&first, "Expires"), header(&first, "CSeq")), ("300", "1 REGISTER"));
    bench.answer(401, CHALLENGE);
    let second = bench.next();
    assert!(header(&second, "Authorization").contains("nonce=\"n1\""));
    assert_eq!(
        (header(&second, "CSeq"), header(&second, "Call-ID")),
        ("2 REGISTER", header(&first, "Call-ID"))
    );
    // The registrar's word counts, not ours; another's binding stands beside ours.
    bench.answer(
        200,
        "Contact: <sip:other@192.0.2.9>;expires=9, <sip:voix@192.0.2.10>;expires=120\r\nExpires: 77\r\n",
    );
    let status = bench.keeper.status();
    assert_eq!(status.state, State::Up);
    assert_eq!(status.registered_until, Some(bench.now + Duration::from_secs(120)));
    assert!((84..=108).contains(&bench.pause()), "{}", bench.pause());
    let again = bench.next();
    assert!(header(&again, "Authorization").contains("nc=00000002"), "proved at once");
    bench.answer(401, &CHALLENGE.replace("n1", "n2").replace("qop", "stale=true, qop"));
    let fresh = bench.next();
    assert!(header(&fresh, "Authorization").contains("nonce=\"n2\"") && header(&fresh, "Authorization").contains("nc=00000001"));
    bench.answer(200, "");
    assert_eq!(bench.keeper.status().registered_until, Some(bench.now + Duration::from_secs(300)));
}

#[test]
fn a_wrong_password_is_visible_and_slowly_tried_again() {
    let mut bench = Bench::new(settings());
    bench.next();
    bench.answer(401, CHALLENGE);
    bench.next();
    bench.answer(401, CHALLENGE);
    assert!(bench.error().contains("user or password"), "{}", bench.error());
    assert!((270..=330).contains(&bench.pause()), "{}", bench.pause());
    assert_eq!(
        (bench.state(), bench.keeper.status().registered_until),
        (State::Halted, None),
        "it is there, and somebody must change something"
    );
    let since = bench.keeper.status().since;
    bench.next();
    bench.answer(403, "");
    assert!(bench.error().contains("(403)") && bench.pause() >= 270);
    assert_eq!(bench.keeper.status().since, since, "nothing has changed");
    bench.next();
    bench.answer(401, "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\"\r\n");
    assert!(bench.error().contains("md5 = true"), "{}", bench.error());
    bench.next();
    bench.answer(200, "");
    assert_eq!(bench.state(), State::Up, "somebody has");
    // What kept us for so long does so no more.
    bench.next();
    bench.answer(403, "");
    assert_eq!((bench.state(), bench.keeper.status().registered_until), (State::Halted, None));
}

#[test]
fn who_answers_options_is_not_up_before_we_are_registered() {
    let mut bench = Bench::new(Settings {
        options: Some(Duration::from_secs(30)),
        ..settings()
    });
    let (first, second) = (bench.next(), bench.next());
    assert_eq!(
        (header(&first, "CSeq"), second.method.to_string().as_str()),
        ("1 REGISTER", "OPTIONS")
    );
    let heard = |bench: &mut Bench, task, status| {
        let response = response(status, task, "");
        bench.keeper.answer(task, Some(&response), bench.now);
    };
    heard(&mut bench, Task::Options, 200);
    assert_eq!(
        bench.state(),
        State::Unknown,
        "it is there, and what becomes of the registration is not known"
    );
    heard(&mut bench, Task::Register, 500);
    assert_eq!(bench.state(), State::Retrying);
    // It answers OPTIONS all the time, and no REGISTER.
    for _ in 0..12 {
        bench.next();
        let (_, task, _) = bench.sent.last().unwrap();
        match *task {
            Task::Options => heard(&mut bench, Task::Options, 200),
            Task::Register => assert_eq!(bench.state(), State::Retrying, "it is there all the time"),
        }
    }
    assert!(bench.sent.iter().filter(|(_, task, _)| *task == Task::Register).count() > 3);
    assert!(bench.error().contains("no answer to REGISTER"), "{}", bench.error());
    heard(&mut bench, Task::Options, 200);
    assert_eq!(bench.state(), State::Retrying);
}

#[test]
fn a_refresh_that_fails_takes_nothing_away_until_the_registration_ends() {
    let mut bench = Bench::new(settings());
    bench.next();
    bench.answer(200, "");
    let until = bench.keeper.status().registered_until.unwrap();
    bench.next();
    bench.answer(500, "Retry-After: 600\r\n");
    assert!(bench.now < until && bench.state() == State::Up, "we can still be called");
    bench.pass(Duration::from_secs(300));
    assert!(bench.now >= until);
    assert_eq!((bench.state(), bench.keeper.status().registered_until), (State::Retrying, None));
    bench.next();
    bench.answer(200, "");
    assert_eq!(bench.state(), State::Up);
}

#[test]
fn a_stale_nonce_is_no_wrong_password_but_only_once() {
    let mut bench = Bench::new(settings());
    bench.next();
    bench.answer(401, CHALLENGE);
    for nonce in ["n2", "n3"] {
        bench.next();
        bench.answer(401, &CHALLENGE.replace("n1", nonce).replace("qop", "stale=true, qop"));
    }
    assert!(bench.error().contains("user or password") && bench.pause() >= 270);
}

#[test]
fn too_short_a_time_is_made_longer_once() {
    let mut bench = Bench::new(settings());
    bench.next();
    bench.answer(423, "Min-Expires: 600\r\n");
    assert_eq!(header(&bench.next(), "Expires"), "600");
    bench.answer(423, "Min-Expires: 900\r\n");
    assert!(bench.error().contains("423") && bench.pause() >= 270);
    let mut bench = Bench::new(settings());
    bench.next();
    bench.answer(423, "Min-Expires: 4294967295\r\n");
    assert!(bench.error().contains("423"), "more than a day is nobody's to ask");
}

#[test]
fn a_registrar_that_keeps_nothing_has_not_registered_us() {
    for lines in ["Contact: <sip:other@192.0.2.9>;expires=60\r\n", "Expires: 0\r\n"] {
        let mut bench = Bench::new(settings());
        bench.next();
        bench.answer(200, lines);
        assert_eq!(bench.keeper.status().registered_until, None);
        assert!(bench.error().contains("keeps no registration"), "{lines}");
    }
}

#[test]
fn silence_is_answered_with_growing_pauses_and_registration_ends_by_itself() {
    let mut bench = Bench::new(settings());
    bench.next();
    bench.answer(200, "");
    let until = bench.keeper.status().registered_until.unwrap();
    for _ in 0..12 {
        bench.next();
    }
    assert!(bench.now > until);
    assert_eq!((bench.state(), bench.keeper.status().registered_until), (State::Down, None));
    assert!(bench.error().contains("no answer to REGISTER within 8 s"), "{}", bench.error());
    let times: Vec<u64> = bench.sent.iter().map(|(at, _, _)| *at).collect();
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        pauses[1] < 12 && pauses[4] > 20 && pauses[10] > 110 && pauses[10] < 142,
        "{pauses:?}"
    );
    bench.answer(200, "");
    assert_eq!(bench.state(), State::Up);
    assert!(bench.keeper.status().is_registered(bench.now));
}

#[test]
fn a_registrar_says_when_to_come_again() {
    let mut bench = Bench::new(settings());
    bench.next();
    bench.answer(503, "Retry-After: 900 (busy)\r\n");
    assert!((810..=990).contains(&bench.pause()), "{}", bench.pause());
    bench.next();
    bench.answer(500, "Retry-After: 999999\r\n");
    assert!((3_240..=3_960).contains(&bench.pause()), "an hour at most: {}", bench.pause());
}

#[test]
fn two_failures_take_a_peer_down_and_one_answer_brings_it_back() {
    let mut bench = Bench::new(asking());
    assert_eq!(bench.state(), State::Unknown);
    let ask = bench.next();
    assert_eq!(
        (ask.method.to_string().as_str(), header(&ask, "To")),
        ("OPTIONS", "<sip:pbx.example:5070>")
    );
    bench.answer(404, "");
    assert_eq!(bench.state(), State::Up, "who answers is there");
    assert!((27..=33).contains(&bench.pause()), "{}", bench.pause());
    bench.next();
    bench.answer(503, "");
    assert_eq!(bench.state(), State::Up);
    assert!(bench.pause() <= 6, "the next one follows soon: {}", bench.pause());
    bench.next();
    bench
        .keeper
        .unanswered(Task::Options, Some("its certificate has expired".to_owned()), bench.now);
    assert_eq!(
        (bench.state(), bench.error().as_str()),
        (State::Down, "its certificate has expired")
    );
    let since = bench.keeper.status().since;
    bench.next();
    bench.answer(408, "");
    assert_eq!(bench.keeper.status().since, since);
    bench.next();
    bench.answer(200, "");
    assert_eq!(bench.state(), State::Up);
    bench.next();
    bench.answer(503, "");
    assert_eq!(bench.state(), State::Up, "the count begins anew");
}

#[test]
fn options_are_proved_where_there_is_an_account() {
    let mut bench = Bench::new(Settings {
        register: None,
        options: Some(Duration::from_secs(30)),
        ..settings()
    });
    bench.next();
    bench.answer(407, &CHALLENGE.replace("WWW", "Proxy"));
    assert!(header(&bench.next(), "Proxy-Authorization").contains("uri=\"sip:pbx.example:5070\""));
    bench.answer(407, &CHALLENGE.replace("WWW", "Proxy"));
    assert_eq!(bench.state(), State::Up, "it refuses us, and is there");
    let mut bench = Bench::new(asking());
    bench.next();
    bench.answer(401, CHALLENGE);
    assert_eq!(bench.state(), State::Up);
}

#[test]
fn no_way_to_a_peer_is_a_failure_like_silence() {
    let mut keeper = Keeper::new(asking(), [7; 32], Instant::now());
    let mut now = Instant::now();
    for _ in 0..2 {
        keeper.handle_timeout(now);
        assert!(matches!(keeper.poll(), Want::Reach));
        assert!(matches!(keeper.poll(), Want::Timeout(None)), "one wish at a time");
        keeper.unreachable("its name is not known", now);
        now = keeper.status().next_attempt.unwrap();
    }
    assert_eq!(keeper.status().state, State::Down);
    assert_eq!(keeper.status().last_error.as_deref(), Some("its name is not known"));
}

#[test]
fn it_takes_itself_out_at_the_end() {
    let mut bench = Bench::new(settings());
    bench.next();
    bench.answer(200, "");
    bench.keeper.close(bench.now);
    assert!(!bench.keeper.is_closed());
    let last = bench.next();
    assert_eq!(header(&last, "Expires"), "0");
    bench.answer(401, CHALLENGE);
    let proved = bench.next();
    assert!(header(&proved, "Authorization").contains("nonce=\"n1\"") && header(&proved, "Expires") == "0");
    bench.answer(200, "");
    assert!(bench.keeper.is_closed() && bench.pass(Duration::from_secs(3_600)).is_none());
    // Nobody answers: it ends all the same.
    let mut bench = Bench::new(settings());
    bench.next();
    bench.keeper.close(bench.now);
    bench.next();
    assert!(bench.pass(Duration::from_secs(2)).is_none() && bench.keeper.is_closed());
    // Nothing was ever said: nothing is to be taken back.
    let mut bench = Bench::new(asking());
    bench.keeper.close(bench.now);
    assert!(bench.keeper.is_closed() && bench.pass(Duration::from_secs(60)).is_none());
}
