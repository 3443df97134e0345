//! Transports: `sips:`, hops that name one, and connections that are gone.

use std::net::SocketAddr;
use std::time::Duration;

use voxea_sip::endpoint::{Event, Limits};
use voxea_sip::flow::{Flow, Transport};

use crate::bench::{Bench, OFFER, first_line, header, inside, invite, invite_with, tag};

impl Bench {
    fn over(transport: Transport) -> Self {
        let mut bench = Self::with(Limits::default());
        bench.flow.transport = transport;
        bench.flow.remote.set_port(40_000);
        bench
    }

    /// The flow's connection, or the one to `port`, turns out to be gone.
    fn fails(&mut self, port: u16) -> Vec<(SocketAddr, String)> {
        let mut remote = self.flow.remote;
        remote.set_port(port);
        let (before, flow) = (self.sent.len(), Flow { remote, ..self.flow });
        self.endpoint.transport_failed(flow, self.now);
        self.pass(Duration::ZERO);
        self.sent[before..].iter().map(|(_, to, text)| (*to, text.clone())).collect()
    }
}

fn sips(invite: &str) -> String {
    invite.replace("INVITE sip:3000", "INVITE sips:3000")
}

#[test]
fn sips_is_answered_over_tls_only_and_in_kind() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::over(transport);
        let answers = bench.input(sips(&invite("1")));
        assert_eq!(first_line(&answers[0]), "SIP/2.0 480 Temporarily Unavailable");
        assert_eq!(header(&answers[0], "Warning"), Some("380 192.0.2.10:5060 \"SIPS Not Allowed\""));
    }
    let mut bench = Bench::over(Transport::Tls);
    let call = bench.offered(sips(&invite("1"))).call;
    let ok = bench.accept(call);
    assert_eq!(header(&ok, "Contact"), Some("<sips:192.0.2.10:5060>"));
    let mut bench = Bench::over(Transport::Tls);
    let call = bench.offered(invite("1")).call;
    let ok = bench.accept(call);
    assert_eq!(header(&ok, "Contact"), Some("<sip:192.0.2.10:5060;transport=tls>"));
    // The topmost Record-Route decides before the Contact.
    let routed = invite_with("2", "3000", "Record-Route: <sips:192.0.2.1;lr>, <sip:192.0.2.9;lr>\r\n", OFFER);
    let call = bench.offered(routed).call;
    assert_eq!(header(&bench.accept(call), "Contact"), Some("<sips:192.0.2.10:5060>"));
}

#[test]
fn a_request_of_ours_goes_where_the_route_says() {
    let mut bench = Bench::over(Transport::Udp);
    bench.endpoint.listens(vec![
        (Transport::Udp, "0.0.0.0:5060".parse().unwrap()),
        (Transport::Tls, "0.0.0.0:5071".parse().unwrap()),
    ]);
    let route = "Record-Route: <sip:192.0.2.7:5081;transport=tls;r2=on;lr>, <sip:192.0.2.7;r2=on;lr>\r\n";
    let call = bench.offered(invite_with("1", "3000", route, OFFER)).call;
    let tag = tag(&bench.accept(call));
    bench.input(inside("ACK", 1, &tag, "ack", ""));
    bench.hangup(call);
    let (_, to, bye) = bench.sent.last().unwrap();
    assert_eq!(*to, "192.0.2.7:5081".parse().unwrap());
    assert!(header(bye, "Via").unwrap().starts_with("SIP/2.0/TLS 192.0.2.10:5071;"), "{bye}");
    assert_eq!(header(bye, "Route"), Some("<sip:192.0.2.7:5081;transport=tls;r2=on;lr>"));
}

#[test]
fn a_bye_takes_the_other_way_and_then_ends_at_once() {
    let mut bench = Bench::over(Transport::Tcp);
    let (call, _) = bench.talking();
    bench.hangup(call);
    let (_, to, bye) = bench.sent.last().unwrap().clone();
    assert_eq!(to, bench.flow.remote, "the connection of the INVITE first");
    let again = bench.fails(40_000);
    assert_eq!(again, [("192.0.2.1:5080".parse().unwrap(), bye)], "then the Contact, unchanged");
    assert_eq!(bench.endpoint.calls(), 1);
    assert!(bench.fails(5_080).is_empty());
    assert_eq!(bench.endpoint.calls(), 0, "not after 32 s");
    bench.pass(Duration::from_secs(33));
    assert!(bench.endpoint.is_idle());
    assert_eq!(bench.times("BYE").len(), 2);
}

#[test]
fn an_answer_that_did_not_leave_goes_to_the_port_of_via() {
    let mut bench = Bench::over(Transport::Tcp);
    let call = bench.offered(invite("1")).call;
    let ok = bench.accept(call);
    let again = bench.fails(40_000);
    assert_eq!(again, [("192.0.2.1:5060".parse().unwrap(), ok.clone())]);
    bench.pass(Duration::from_millis(500));
    assert_eq!(bench.sent.last().unwrap().1.port(), 5060, "repetitions too");
    bench.input(inside("ACK", 1, &tag(&ok), "ack", ""));
    assert!(bench.fails(5_060).is_empty(), "an acknowledged one is not sent again");
    let mut bench = Bench::over(Transport::Tcp);
    bench.input(invite_with("1", "4711", "", OFFER));
    let again = bench.fails(40_000);
    assert_eq!(first_line(&again[0].1), "SIP/2.0 404 Not Found");
}

#[test]
fn a_probe_to_a_dead_connection_ends_at_once() {
    let mut bench = Bench::over(Transport::Tls);
    let ask = bench.endpoint.ask(bench.flow, &crate::bench::options(), bench.now);
    bench.fails(40_000);
    assert!(matches!(bench.events.pop(), Some(Event::Answer { ask: found, response: None }) if found == ask));
    assert!(bench.endpoint.is_idle());
}

#[test]
fn a_failure_elsewhere_ends_nothing() {
    let mut bench = Bench::over(Transport::Tcp);
    let (call, _) = bench.talking();
    bench.hangup(call);
    assert!(bench.fails(40_001).is_empty());
    assert_eq!(bench.endpoint.calls(), 1);
}

#[test]
fn a_refresh_that_cannot_be_sent_is_tried_again_and_ends_no_call() {
    let mut bench = Bench::over(Transport::Tcp);
    let extra = "Supported: timer\r\nAllow: INVITE, ACK, BYE, UPDATE\r\nSession-Expires: 200;refresher=uas\r\n";
    let call = bench.offered(invite_with("1", "3000", extra, OFFER)).call;
    let tag = tag(&bench.accept(call));
    bench.input(inside("ACK", 1, &tag, "ack", ""));
    bench.events.clear();
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.times("UPDATE ").len(), 1);
    assert_eq!(bench.fails(40_000)[0].0.port(), 5_080, "the Contact's");
    assert!(bench.fails(5_080).is_empty());
    assert!(bench.events.is_empty(), "the session has time until its end");
    bench.pass(Duration::from_secs(3));
    assert!(bench.times("UPDATE ").len() > 2, "it was tried again");
    bench.pass(Duration::from_secs(100));
    assert!(matches!(bench.events.pop(), Some(Event::Ended { .. })), "nobody refreshed it");
}
