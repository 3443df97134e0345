//! A watched folder whose files come, change, are replaced and go in any order: none is handed out too early, and none for ever waits.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use voxea_imap::scan::watch::{Peeked, Settings, Stamp, Watch, temporary};

const SETTLE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(20);

fuzz_target!(|data: &[u8]| {
    let mut watch = Watch::new(Settings {
        settle: SETTLE,
        patience: PATIENCE,
    });
    // By name: its stamp, and since when the watch has known it.
    let mut folder: BTreeMap<u8, (Stamp, Duration)> = BTreeMap::new();
    let mut now = Duration::ZERO;
    for step in data.chunks_exact(2) {
        let (name, deed, argument) = (step[0] & 7, step[0] >> 3 & 3, step[1]);
        now += Duration::from_secs(u64::from(step[0] >> 5));
        match deed {
            0 => drop(folder.remove(&name)),
            1 => {
                // Written, touched or replaced: anything of its stamp may change, and all of it may be as it was.
                let stamp = Stamp {
                    size: u64::from(argument & 3),
                    modified: i128::from(argument >> 2 & 3),
                    changed: i128::from(argument >> 4 & 3),
                    inode: u64::from(argument >> 6),
                };
                let before = folder.get(&name).filter(|(known, _)| *known == stamp).copied();
                folder.insert(name, before.unwrap_or((stamp, now)));
            }
            _ => {}
        }
        watch.look(folder.iter().map(|(name, (stamp, _))| (*name, *stamp)).collect(), now);
        assert_eq!(watch.waiting(), folder.len());
        for name in watch.to_peek(now) {
            let (stamp, since) = folder[&name];
            assert!(stamp.size > 0 && now - since >= SETTLE, "looked into too early");
            watch.peeked(&name, if argument & 1 == 0 { Peeked::Whole } else { Peeked::Unsure });
        }
        let ready = watch.ready(now);
        for one in &ready {
            let (stamp, since) = folder[&one.name];
            assert!(one.stamp == stamp && now - since >= SETTLE, "handed out too early");
        }
        let waited = |since: &Duration| now - *since >= PATIENCE;
        let due = folder.values().filter(|(_, since)| waited(since)).count();
        assert!(ready.len() >= due, "a file waits for ever");
        let lasting: Vec<Duration> = ready.iter().map(|one| folder[&one.name].1).collect();
        assert!(lasting.is_sorted(), "the longest unchanged comes first");
    }
    let text = String::from_utf8_lossy(data);
    let hidden = temporary(&format!(".{text}"));
    assert!(hidden, "hidden files are left alone");
});
