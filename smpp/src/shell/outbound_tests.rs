//! Replies in hand against a session on virtual time.

use std::path::Path;

use super::*;
use crate::pdu::{Bind, Credentials};
use crate::session::{Event, Output, Settings};
use voxea_core::base::settings::{Problems, Section, parse};
use voxea_core::outbox::{self, ReplyKind, Split};

const SECOND: Duration = Duration::from_secs(1);

fn reply(id: &str, to: &str, text: &str, attempts: i64) -> Outbound {
    Outbound {
        reply_id: id.to_owned(),
        request_id: String::new(),
        reference: String::new(),
        kind: ReplyKind::Reply,
        channel: "sms".to_owned(),
        to: to.to_owned(),
        subject: None,
        text: text.to_owned(),
        message_id: None,
        in_reply_to: None,
        references: Vec::new(),
        attempts,
        created_at: 0,
        expires_at: time::now() + 3_600_000,
        priority: 0,
        split: None,
        ask: Ask::Send,
    }
}

fn long(id: &str, left: &[u8]) -> Outbound {
    Outbound {
        split: Some(Split {
            joined: Joined::Udh8,
            reference: 7,
            total: 3,
            left: left.to_vec(),
        }),
        ..reply(id, "+33600000009", &"a".repeat(400), 1)
    }
}

struct Bench {
    outgoing: Outgoing,
    session: Session,
    now: Instant,
}

impl Bench {
    fn new(keys: &str) -> Self {
        let text = format!("name = \"s\"\naddress = \"127.0.0.1:1\"\nsystem_id = \"v\"\npassword = \"p\"\nnumber = \"36123\"\n{keys}");
        let node = parse(&text).unwrap();
        let problems = Problems::new();
        let config = Config::read(&mut Section::root(&node, Path::new("/nowhere"), &problems));
        assert_eq!(problems.into_sorted().len(), 0);
        let now = Instant::now();
        let credentials = Credentials {
            system_id: "v".into(),
            password: "p".into(),
            system_type: String::new(),
            version: 0x34,
        };
        let settings = Settings {
            bind: Bind::Transceiver,
            credentials,
            window: 64,
            inbound_window: 1,
            enquire_interval: 300 * SECOND,
            response_timeout: 20 * SECOND,
        };
        let mut session = Session::new(settings, now).unwrap();
        session
            .handle_input(&[0, 0, 0, 16, 0x80, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1], now)
            .unwrap();
        assert!(matches!(session.poll_output(), Output::Event(Event::Bound)));
        Self {
            outgoing: Outgoing::new(&config),
            session,
            now,
        }
    }

    fn lease(&mut self, replies: impl IntoIterator<Item = Outbound>) {
        for reply in replies {
            self.outgoing.send(reply, self.now);
        }
        self.pump();
    }

    fn pump(&mut self) {
        self.outgoing.pump(&mut self.session, self.now);
    }

    /// Whose texts are in flight, in order, each with its segment.
    fn flying(&self) -> Vec<(String, Option<u8>)> {
        let mut flying: Vec<_> = self.outgoing.under_way.iter().collect();
        flying.sort_unstable();
        let of = |(_, (key, number)): (&Handle, &(Key, Option<u8>))| (self.outgoing.jobs[key].reply.reply_id.clone(), *number);
        flying.into_iter().map(of).collect()
    }

    /// The SMSC answers the oldest.
    fn answer(&mut self, status: u32) {
        let handle = *self.outgoing.under_way.keys().min().unwrap();
        self.answer_to(handle, status);
    }

    fn answer_to(&mut self, handle: Handle, status: u32) {
        self.outgoing.answered(handle, status, Some("7".to_owned()), self.now);
        self.pump();
    }

    fn settled(&mut self) -> Vec<(String, Settlement)> {
        self.outgoing.settlements()
    }
}

fn taken() -> Settlement {
    Settlement::Submitted {
        native_id: Some("7".to_owned()),
        last_word: false,
    }
}

fn part(number: u8) -> Settlement {
    let native_id = Some("7".to_owned());
    Settlement::Part {
        number,
        end: PartEnd::Submitted { native_id },
    }
}

#[test]
fn answers_become_settlements() {
    let rejected = |reason: &str| Settlement::Rejected { reason: reason.to_owned() };
    for (code, expected) in [
        (0, taken()),
        (0x0B, rejected("ESME_RINVDSTADR (0x0B)")),
        (0x45, rejected("ESME_RSUBMITFAIL (0x45)")),
        (0x0400, rejected("command_status 0x00000400")),
    ] {
        let mut bench = Bench::new("");
        bench.lease([reply("r", "+33612345678", "Bonjour", 1)]);
        bench.answer(code);
        assert_eq!(bench.settled(), [("r".to_owned(), expected)]);
    }
    let mut bench = Bench::new("");
    bench.lease([reply("r", "+33612345678", "Bonjour", 1)]);
    let handle = *bench.outgoing.under_way.keys().next().unwrap();
    bench.outgoing.unanswered(handle);
    assert!(matches!(&bench.settled()[..], [(_, Settlement::Unknown { .. })]));
    bench.lease([
        reply("r", "anonymous", "Bonjour", 1),
        reply("s", "+33612345678", &"a".repeat(161), 1),
    ]);
    let settled = bench.settled();
    assert!(
        settled
            .iter()
            .all(|(_, settlement)| matches!(settlement, Settlement::Rejected { .. }))
    );
    assert_eq!(settled.len(), 2);
}

#[test]
fn a_passing_refusal_delays_its_text_alone_and_longer_each_time() {
    let mut bench = Bench::new("retry_statuses = [\"0x0400\"]\n");
    for (attempts, code, seconds) in [(1, 0x08, 2), (2, 0x64, 4), (3, 0x400, 8), (40, 0x08, 300)] {
        bench.lease([reply("r", "+33612345678", "Bonjour", attempts)]);
        let before = time::now();
        bench.answer(code);
        let settled = bench.settled();
        let [(_, Settlement::Retry { at, .. })] = &settled[..] else {
            panic!("{settled:?}")
        };
        assert!((*at - before - seconds * 1000).abs() < 900, "{attempts} tries: {}", at - before);
    }
    bench.lease([reply("s", "+33699999999", "Bonjour", 1)]);
    assert_eq!(bench.flying().len(), 1, "another text goes on");
}

#[test]
fn a_throttling_smsc_is_left_alone() {
    let mut bench = Bench::new("");
    bench.lease([reply("1", "+33600000001", "a", 1), reply("2", "+33600000002", "b", 1)]);
    bench.answer(0x58);
    bench.answer(0x14);
    bench.lease([reply("3", "+33600000003", "c", 1)]);
    let settled = bench.settled();
    let [
        (_, Settlement::Retry { at: a, .. }),
        (_, Settlement::Retry { at: b, .. }),
        (_, Settlement::Return),
    ] = &settled[..]
    else {
        panic!("{settled:?}")
    };
    assert!((b - a).abs() < 500, "one pause for both");
    assert_eq!(bench.outgoing.room(&bench.session, bench.now), 0);
    assert_eq!(bench.outgoing.wakes_at(bench.now), Some(bench.now + SECOND));
    bench.now += SECOND;
    assert_eq!(bench.outgoing.room(&bench.session, bench.now), 62);
    bench.lease([reply("1", "+33600000001", "a", 2)]);
    bench.answer(0x58);
    assert_eq!(bench.outgoing.wakes_at(bench.now), Some(bench.now + 2 * SECOND), "twice as long");
}

/// A mutant that lets every text go at once turns this red: "2" is in flight when "1" is refused.
#[test]
fn no_text_overtakes_another_to_its_number() {
    let mut bench = Bench::new("");
    let (one, other) = ("+33600000001", "+33600000002");
    bench.lease([reply("1", one, "a", 1), reply("2", one, "b", 1), reply("3", other, "c", 1)]);
    let ids = |bench: &Bench| bench.flying().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(&bench), ["1", "3"]);
    bench.answer(0);
    assert_eq!(ids(&bench), ["3", "2"]);
    bench.settled();
    bench.lease([reply("4", one, "d", 1)]);
    let second = *bench.outgoing.under_way.keys().max().unwrap();
    bench.answer_to(second, 0x08);
    let settled = bench.settled();
    assert!(
        matches!(&settled[..], [(four, Settlement::Return), (two, Settlement::Retry { .. })] if four == "4" && two == "2"),
        "{settled:?}"
    );
    assert_eq!(ids(&bench), ["3"]);
}

#[test]
fn what_waits_too_long_is_handed_back() {
    let mut bench = Bench::new("");
    bench.lease([reply("1", "+33600000001", "a", 1), reply("2", "+33600000001", "b", 1)]);
    assert_eq!(bench.outgoing.wakes_at(bench.now), Some(bench.now + WAIT));
    bench.now += WAIT;
    bench.pump();
    assert_eq!(bench.settled(), [("2".to_owned(), Settlement::Return)]);
    bench.lease([reply("3", "+33600000001", "c", 1)]);
    bench.outgoing.give_up();
    assert_eq!(bench.settled(), [("3".to_owned(), Settlement::Return)]);
}

#[test]
fn a_second_holds_so_many() {
    let mut bench = Bench::new("per_second = 2\n");
    assert_eq!(bench.outgoing.room(&bench.session, bench.now), 2);
    bench.lease((1..=3).map(|number| reply(&number.to_string(), &format!("+3360000000{number}"), "a", 1)));
    assert_eq!(bench.flying().len(), 2);
    assert_eq!(bench.outgoing.wakes_at(bench.now), Some(bench.now + SECOND / 2));
    bench.now += SECOND / 2;
    bench.pump();
    assert_eq!(bench.flying().len(), 3);
}

#[test]
fn segments_go_together_and_are_settled_one_by_one() {
    let mut bench = Bench::new("");
    bench.lease([long("r", &[1, 2, 3])]);
    assert_eq!(bench.flying().len(), 3);
    for number in 1..=3 {
        bench.answer(0);
        assert_eq!(bench.settled(), [("r".to_owned(), part(number))]);
    }
    assert!(bench.outgoing.jobs.is_empty() && bench.outgoing.busy.is_empty());
    // Only what is left is sent, and a throttled segment is settled with the others of this try.
    bench.lease([long("r", &[2, 3])]);
    assert_eq!(bench.flying(), [("r".to_owned(), Some(2)), ("r".to_owned(), Some(3))]);
    bench.answer(0x58);
    assert_eq!(bench.settled(), [], "one is in flight");
    bench.answer(0);
    let settled = bench.settled();
    assert!(
        matches!(&settled[..], [(_, first), (_, Settlement::Retry { .. })] if *first == part(3)),
        "{settled:?}"
    );
}

#[test]
fn a_response_that_comes_late_settles_what_was_given_up() {
    let mut bench = Bench::new("");
    bench.lease([reply("a", "1", "Bonjour", 1), reply("b", "2", "Bonjour", 1)]);
    let mut handles: Vec<Handle> = bench.outgoing.under_way.keys().copied().collect();
    handles.sort_unstable();
    for handle in &handles {
        bench.outgoing.unanswered(*handle);
    }
    assert!(bench.settled().iter().all(|(_, end)| matches!(end, Settlement::Unknown { .. })));
    bench.answer_to(handles[0], 0);
    bench.answer_to(handles[1], 0x0b);
    bench.answer_to(handles[1], 0);
    let native_id = Some("7".to_owned());
    let reason = "ESME_RINVDSTADR (0x0B), which came late".to_owned();
    assert_eq!(
        bench.settled(),
        [
            (
                "a".to_owned(),
                Settlement::Submitted {
                    native_id,
                    last_word: false
                }
            ),
            ("b".to_owned(), Settlement::Rejected { reason })
        ]
    );
}

#[test]
fn a_refused_segment_ends_the_text_and_an_unanswered_one_does_not() {
    let mut bench = Bench::new("");
    bench.lease([long("r", &[1, 2, 3])]);
    let first = *bench.outgoing.under_way.keys().min().unwrap();
    bench.outgoing.unanswered(first);
    bench.answer(0x58);
    bench.answer(0x0B);
    let settled = bench.settled();
    assert!(
        matches!(
            &settled[..],
            [
                (
                    _,
                    Settlement::Part {
                        number: 1,
                        end: PartEnd::Unknown { .. }
                    }
                ),
                (_, Settlement::Rejected { .. })
            ]
        ),
        "for good outweighs for now: {settled:?}"
    );
}

fn asking(ask: Ask) -> Outbound {
    Outbound {
        ask,
        ..reply("r", "+33612345678", "", 1)
    }
}

#[test]
fn what_became_of_a_text_settles_it_or_leaves_it() {
    let heard = |state, reason: Option<&str>| Settlement::Heard {
        native_id: "7".to_owned(),
        state,
        reason: reason.map(str::to_owned),
    };
    let (delivered, rejected) = (outbox::ReceiptState::Delivered, outbox::ReceiptState::Rejected);
    for (state, error, expected) in [
        (1, 0, Settlement::Unsaid),
        (2, 0, heard(delivered, None)),
        (3, 0, heard(rejected, Some("EXPIRED"))),
        (4, 0, heard(rejected, Some("DELETED"))),
        (5, 11, heard(rejected, Some("UNDELIV err 11"))),
        (6, 0, Settlement::Unsaid),
        (7, 0, Settlement::Unsaid),
        (8, 0, heard(rejected, Some("REJECTD"))),
        (77, 0, Settlement::Unsaid),
    ] {
        let mut bench = Bench::new("query = true\n");
        bench.lease([asking(Ask::Query(vec!["7".to_owned()]))]);
        let handle = bench.outgoing.asking.oldest().unwrap();
        bench.outgoing.told(handle, Told { state, error });
        assert_eq!(bench.settled(), [("r".to_owned(), expected)], "{state}");
    }
    // A refusal, no answer, and an id that fits no field.
    let mut bench = Bench::new("");
    bench.lease([asking(Ask::Query(["7", "8", &"9".repeat(65)].map(str::to_owned).to_vec()))]);
    let handle = bench.outgoing.asking.oldest().unwrap();
    bench.outgoing.answered(handle, 0x67, None, bench.now);
    let handle = bench.outgoing.asking.oldest().unwrap();
    bench.outgoing.unanswered(handle);
    assert_eq!(bench.settled(), vec![("r".to_owned(), Settlement::Unsaid); 3]);
}

#[test]
fn a_text_in_the_place_of_another_keeps_its_id_and_the_order() {
    let to = "+33612345678";
    let replace = |text: &str, before: &str| Outbound {
        ask: Ask::Replace {
            native_id: "old".to_owned(),
            text: before.to_owned(),
        },
        ..reply("r", to, text, 1)
    };
    let mut bench = Bench::new("replace = true\n");
    bench.lease([replace("Demain", "Lundi"), reply("s", to, "Bonjour", 1)]);
    assert_eq!(bench.flying(), [("r".to_owned(), None)], "one to a number at a time");
    bench.answer(0);
    let kept = Settlement::Submitted {
        native_id: Some("old".to_owned()),
        last_word: false,
    };
    assert_eq!(bench.settled(), [("r".to_owned(), kept)]);
    assert_eq!(bench.flying(), [("s".to_owned(), None)]);
    bench.answer(0);
    bench.settled();

    bench.lease([replace("Demain", "Lundi")]);
    bench.answer(0x13);
    let reason = "the earlier text was not replaced: ESME_RREPLACEFAIL (0x13)".to_owned();
    assert_eq!(bench.settled(), [("r".to_owned(), Settlement::Rejected { reason })]);
    bench.lease([replace("Demain", "Lundi")]);
    bench.answer(0x08);
    assert!(matches!(&bench.settled()[..], [(_, Settlement::Retry { .. })]), "it passes");
    bench.lease([replace("Demain", "Lundi")]);
    let handle = *bench.outgoing.under_way.keys().next().unwrap();
    bench.outgoing.unanswered(handle);
    let settled = bench.settled();
    assert!(
        matches!(&settled[..], [(_, Settlement::Unknown { reason })] if reason.contains("this text or the one")),
        "{settled:?}"
    );
    bench.lease([replace("Prêt", "Lundi"), replace("Demain", "Prêt")]);
    let settled = bench.settled();
    assert!(
        settled
            .iter()
            .all(|(_, settlement)| matches!(settlement, Settlement::Rejected { .. }))
    );
    assert_eq!((settled.len(), bench.flying().len()), (2, 0), "replace_sm tells no alphabet");
}

#[test]
fn what_was_sent_is_asked_back() {
    let forget = |ids: &[&str]| asking(Ask::Forget(ids.iter().map(ToString::to_string).collect()));
    let answer = |bench: &mut Bench, code| {
        let handle = bench.outgoing.asking.oldest().unwrap();
        bench.outgoing.answered(handle, code, None, bench.now)
    };
    let mut bench = Bench::new("cancel = true\n");
    bench.lease([forget(&["7", "8"])]);
    answer(&mut bench, 0);
    assert_eq!(bench.settled(), [], "one of two");
    answer(&mut bench, 0);
    assert_eq!(bench.settled(), [("r".to_owned(), Settlement::Cancelled)]);
    bench.lease([forget(&["7", "8"])]);
    answer(&mut bench, 0x11);
    assert!(matches!(&bench.settled()[..], [(_, Settlement::NotCancelled { .. })]));
    assert!(bench.outgoing.asking.oldest().is_none());
}

#[test]
fn a_text_whose_segments_changed_is_not_sent() {
    let mut bench = Bench::new("");
    let mut odd = long("r", &[1, 2, 3]);
    odd.text = "court".to_owned();
    bench.lease([odd]);
    assert!(matches!(&bench.settled()[..], [(_, Settlement::Rejected { .. })]));
}
