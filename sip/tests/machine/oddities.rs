//! Everyday oddities through the parser and the machine. The running daemon is held against the same table.

use voxea_sip::endpoint::Event;
use voxea_tests::sip::oddities;

use crate::bench::Bench;

#[test]
fn every_oddity_has_its_outcome() {
    let table = oddities(Bench::new().flow.remote).unwrap();
    let mut wrong = Vec::new();
    for oddity in &table {
        let mut bench = Bench::new();
        let answers = bench.input(oddity.message.clone());
        let called = matches!(bench.events.pop(), Some(Event::IncomingCall(_)));
        let found = match answers.as_slice() {
            [] if called => "call".to_owned(),
            [] => "silence".to_owned(),
            [one] => one.split(' ').nth(1).unwrap_or_default().to_owned(),
            several => format!("{several:?}"),
        };
        if found != oddity.outcome {
            wrong.push(format!("{}: expected {}, found {found}", oddity.name, oddity.outcome));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong: {wrong:#?}", wrong.len(), table.len());
    assert!(table.len() >= 60);
}
