//! The audit trail: one chain whoever appends at the same moment, and whatever is done to it in the database is named.

use futures_util::future::join_all;
use serde_json::{Value, json};
use voxea_core::access::Keys;
use voxea_core::audit::{self, Audit, Broken, Entry, Filter, Settings, SigningKey, Sound, Trust};
use voxea_core::base::actor::{Actor, Contract};
use voxea_core::base::time::Millis;
use voxea_core::catalogue::Expected;
use voxea_core::request::{Patch, Status};
use voxea_core::store::Store;

use crate::place::{HOUR, NOW, Place, SECOND, agent, alone, sms_account, text};

const WRITERS: usize = 16;
const MONTH: Millis = 30 * 24 * HOUR;

/// A trail over the story's database, with a key of its own.
struct Trail<'a> {
    place: &'a Place,
    audit: Audit,
    folder: tempfile::TempDir,
}

impl<'a> Trail<'a> {
    fn over(place: &'a Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::start(place.store.clone(), &Settings::within(folder.path())).unwrap();
        Self { place, audit, folder }
    }

    async fn read(&self, object: &str, at: Millis) {
        let entry = Entry::new(&agent(), "read", object).at(at).purpose(Some("instruction".to_owned()));
        self.audit.read(entry).await.unwrap();
    }

    fn trust(&self) -> Trust {
        Trust {
            keys: vec![self.audit.public_key()],
            ..Trust::default()
        }
    }

    /// As `voxea audit verify` does: over a connection that can only read.
    async fn verified(&self, now: Millis) -> Result<Sound, Broken> {
        let store = Store::open_read_only(&self.place.url).await.unwrap();
        let found = audit::verify(&store, &self.trust(), now, |_, _| ()).await.unwrap();
        store.close().await;
        found
    }
}

pub(crate) async fn sixteen_at_once_make_one_chain(place: &Place) {
    let trail = Trail::over(place);
    // As another node would: over a committer of its own, and inside transactions of other doors.
    let other = Audit::start(place.store.clone(), &Settings::within(trail.folder.path())).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let (audit, store) = (
            if writer % 2 == 0 { trail.audit.clone() } else { other.clone() },
            place.store.clone(),
        );
        tokio::spawn(async move {
            for round in 0..10 {
                let entry = Entry::new(&agent(), "read", format!("request/{writer}-{round}")).at(NOW);
                if round % 3 == 0 {
                    let mut tx = store.begin().await.unwrap();
                    audit::append(&mut tx, &[entry.clone(), entry]).await.unwrap();
                    tx.commit().await.unwrap();
                } else {
                    audit.read(entry).await.unwrap();
                }
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    // What is rolled back leaves no gap.
    let mut tx = place.store.begin().await.unwrap();
    audit::append(&mut tx, &[Entry::new(&agent(), "read", "request/nobody")])
        .await
        .unwrap();
    drop(tx);
    trail.read("request/last", NOW).await;
    assert!(trail.audit.checkpoint(NOW).await.unwrap());
    assert!(!other.checkpoint(NOW).await.unwrap(), "nothing is new");
    let rows = i64::try_from(WRITERS * 14 + 1).unwrap();
    let sound = trail.verified(NOW).await.unwrap();
    assert_eq!(
        (sound.rows, sound.first, sound.last, sound.checkpoints, sound.signed),
        (rows, 1, rows, 1, Some((rows, NOW)))
    );
}

/// Every door that appends, at the same moment: none waits for one that waits for it.
pub(crate) async fn doors_that_append_do_not_block_each_other(place: &Place) {
    let trail = Trail::over(place);
    place.intake.register(&sms_account()).await.unwrap();
    let theme = place.catalogue.current().document.themes[0].clone();
    let writers = (0..WRITERS).map(|writer| {
        let (audit, intake, desk) = (trail.audit.clone(), place.intake.clone(), place.desk.clone());
        let (catalogue, keys, mut theme) = (place.catalogue.clone(), Keys::new(place.store.clone()), theme.clone());
        tokio::spawn(async move {
            for round in 0..4 {
                let mut contact = alone(&format!("{writer} {round}"), NOW);
                contact.actor = Some(agent());
                let request = intake.accept(contact).await.unwrap().request_id;
                let patch = Patch {
                    status: Some(Status::Open),
                    ..Patch::default()
                };
                desk.patch(&agent(), &request, 1, &patch).await.unwrap();
                audit
                    .read(Entry::new(&agent(), "read", format!("request/{request}")))
                    .await
                    .unwrap();
                theme.label = format!("Voirie {writer} {round}");
                catalogue.put_theme(&agent(), &Expected::Any, theme.clone()).await.unwrap();
                keys.create(&agent(), "a", &Contract::default()).await.unwrap();
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    trail.audit.checkpoint(NOW).await.unwrap();
    let sound = trail.verified(NOW).await.unwrap();
    assert_eq!(sound.rows, i64::try_from(WRITERS * 4 * 5).unwrap());
}

pub(crate) async fn whatever_is_done_to_it_is_named(place: &Place) {
    let trail = Trail::over(place);
    for (count, signed) in [(4, NOW), (4, NOW + SECOND), (2, NOW)] {
        for n in 0..count {
            trail.read(&format!("request/{n}"), NOW + n).await;
        }
        if count == 4 {
            trail.audit.checkpoint(signed).await.unwrap();
        }
    }
    let sound = trail.verified(NOW).await.unwrap();
    assert_eq!((sound.rows, sound.checkpoints, sound.signed), (10, 2, Some((8, NOW + SECOND))));
    let seen = std::fs::read_to_string(trail.folder.path().join("audit.seen")).unwrap();
    assert!(seen.starts_with("8 "), "{seen}");

    let renumber = |from: i64, by: i64| {
        // No row may take another's number on the way.
        [
            format!("UPDATE audit SET seq = -seq WHERE seq >= {from}"),
            format!("UPDATE audit SET seq = -seq + {by} WHERE seq < 0"),
        ]
    };
    let copy = "INSERT INTO audit SELECT 6, at, actor, action, 'request/planted', detail, purpose, hash FROM audit WHERE seq = 5";
    let stories: Vec<(Vec<String>, Broken)> = vec![
        (vec!["UPDATE audit SET actor = 'key:other' WHERE seq = 3".into()], Broken::Edited(3)),
        (vec!["UPDATE audit SET purpose = NULL WHERE seq = 10".into()], Broken::Edited(10)),
        (vec!["DELETE FROM audit WHERE seq = 6".into()], Broken::Deleted(6, 6)),
        (vec!["DELETE FROM audit WHERE seq < 3".into()], Broken::Deleted(1, 2)),
        (vec!["DELETE FROM audit WHERE seq > 8".into()], Broken::Deleted(9, 10)),
        (vec!["DELETE FROM audit".into()], Broken::Deleted(1, 10)),
        ([&renumber(6, 1)[..], &[copy.into()]].concat(), Broken::Inserted(6)),
        (
            vec!["INSERT INTO audit SELECT 11, at, actor, action, object, detail, purpose, hash FROM audit WHERE seq = 10".into()],
            Broken::Inserted(11),
        ),
        (
            vec![
                "UPDATE audit SET seq = -6 WHERE seq = 6".into(),
                "UPDATE audit SET seq = 6 WHERE seq = 7".into(),
                "UPDATE audit SET seq = 7 WHERE seq = -6".into(),
            ],
            Broken::Swapped(6),
        ),
        (
            vec!["UPDATE audit_checkpoint SET signature = (SELECT signature FROM audit_checkpoint WHERE seq = 4) WHERE seq = 8".into()],
            Broken::Forged(8),
        ),
        (
            vec!["UPDATE audit_checkpoint SET at = at + 1 WHERE seq = 4".into()],
            Broken::Forged(4),
        ),
        (
            vec!["UPDATE audit_checkpoint SET key_id = 'another' WHERE seq = 4".into()],
            Broken::Stranger(1, 4, "another".into()),
        ),
        (
            vec![
                "DELETE FROM audit WHERE seq > 5".into(),
                "UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM audit WHERE seq = 5)".into(),
            ],
            Broken::Deleted(6, 8),
        ),
        (vec!["UPDATE audit_head SET hash = 'x'".into()], Broken::Head(10)),
        (vec!["DELETE FROM audit_head".into()], Broken::Head(10)),
    ];
    for (statements, broken) in stories {
        // Each is done to a trail that is sound again.
        for table in ["audit", "audit_checkpoint", "audit_head"] {
            place.change(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await;
        }
        for statement in &statements {
            place.change(statement).await;
        }
        assert_eq!(trail.verified(NOW).await, Err(broken), "{statements:?}");
        for table in ["audit", "audit_checkpoint", "audit_head"] {
            place.change(&format!("DELETE FROM {table}")).await;
            place.change(&format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await;
            place.change(&format!("DROP TABLE kept_{table}")).await;
        }
    }
    assert!(trail.verified(NOW).await.is_ok());
    // Turned back to the first checkpoint, head and all, the database alone tells nothing; this machine does.
    for statement in [
        "DELETE FROM audit WHERE seq > 4",
        "DELETE FROM audit_checkpoint WHERE seq > 4",
        "UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)",
    ] {
        place.change(statement).await;
    }
    assert!(trail.verified(NOW).await.is_ok());
    let trust = Trust {
        seen: Some(seen.parse().unwrap()),
        ..trail.trust()
    };
    let found = audit::verify(&place.store, &trust, NOW, |_, _| ()).await.unwrap();
    assert_eq!(found, Err(Broken::Deleted(5, 8)));
    // It signs nothing of that, not even after a start, and not when the chain was made anew with other rows.
    for forged in [0, 5] {
        let mut tx = place.store.begin().await.unwrap();
        let rows: Vec<Entry> = (0..forged).map(|n| Entry::new(&agent(), "read", format!("forged/{n}"))).collect();
        audit::append(&mut tx, &rows).await.unwrap();
        tx.commit().await.unwrap();
        assert!(trail.audit.checkpoint(NOW).await.is_err());
        let started = Audit::start(place.store.clone(), &Settings::within(trail.folder.path())).unwrap();
        assert!(started.checkpoint(NOW).await.is_err());
        assert_eq!(
            (
                started.status().await.unwrap().failures,
                started.status().await.unwrap().checkpoints
            ),
            (1, 0)
        );
        assert!(
            !started.checkpoint_when_due(NOW + SECOND).await.unwrap(),
            "it is tried again after a minute"
        );
        assert!(started.checkpoint_when_due(NOW + 61 * SECOND).await.is_err());
    }
    let found = audit::verify(&place.store, &trust, NOW, |_, _| ()).await.unwrap();
    assert_eq!(found, Err(Broken::Rewritten(5, 8)));
}

pub(crate) async fn old_rows_go_up_to_a_checkpoint(place: &Place) {
    let trail = Trail::over(place);
    for (month, rows) in [(0, 3), (1, 3), (11, 3)] {
        for n in 0..rows {
            trail.read(&format!("request/{n}"), NOW + month * MONTH).await;
        }
        trail.audit.checkpoint(NOW + month * MONTH).await.unwrap();
    }
    trail.read("request/new", NOW + 11 * MONTH).await;
    let (early, late) = (NOW + 12 * MONTH, NOW + 14 * MONTH);
    assert_eq!(trail.audit.purge(early).await.unwrap(), 0, "twelve months are a little longer");
    assert_eq!(trail.audit.purge(late).await.unwrap(), 6);
    assert_eq!(trail.audit.purge(late).await.unwrap(), 0);
    let sound = trail.verified(late).await.unwrap();
    // Rows 7 to 9, the new one, and the row that tells of the purge.
    assert_eq!(
        (sound.first, sound.last, sound.rows, sound.anchor),
        (7, 11, 5, Some((6, NOW + MONTH)))
    );
    let rows = trail.audit.page(&agent(), &Filter::default(), 100).await.unwrap().items;
    let last = rows.last().unwrap();
    assert_eq!(
        (last.action.as_str(), last.object.as_str(), last.actor.as_str()),
        ("purged", "audit/1..6", "system")
    );

    let mut file = Vec::new();
    assert_eq!(audit::export(&place.store, None, None, &mut file).await.unwrap(), 5);
    assert_eq!(audit::verify_lines(&file[..], &trail.trust()).unwrap(), Ok(sound));
    // From a day on: from the checkpoint before it.
    let mut part = Vec::new();
    audit::export(&place.store, Some(NOW + 12 * MONTH), None, &mut part).await.unwrap();
    let found = audit::verify_lines(&part[..], &trail.trust()).unwrap().unwrap();
    assert_eq!((found.first, found.last, found.anchor), (10, 11, Some((9, NOW + 11 * MONTH))));
    let mut part = Vec::new();
    audit::export(&place.store, None, Some(NOW + 2 * MONTH), &mut part).await.unwrap();
    assert_eq!(audit::verify_lines(&part[..], &trail.trust()).unwrap().unwrap().rows, 0);

    // Somebody who takes out as a purge would, but too early.
    place.change("DELETE FROM audit WHERE seq <= 9").await;
    place.change("DELETE FROM audit_checkpoint WHERE seq < 9").await;
    assert_eq!(trail.verified(late).await, Err(Broken::Early(9, NOW + 11 * MONTH)));
}

pub(crate) async fn changes_are_entered_with_what_they_change(place: &Place) {
    let trail = Trail::over(place);
    let keys = Keys::new(place.store.clone());
    keys.create(&Actor::System, "a", &Contract::default()).await.unwrap();
    let id = keys.list().await.unwrap()[0].id.clone();
    keys.revoke(&agent(), &id).await.unwrap();
    place.intake.register(&sms_account()).await.unwrap();
    let by_channel = place.intake.accept(text("a", NOW)).await.unwrap();
    let mut contact = text("b", NOW);
    contact.actor = Some(agent());
    let by_agent = place.intake.accept(contact).await.unwrap();
    let patch = Patch {
        status: Some(Status::Open),
        subject: Some(Some("Mme Durand".to_owned())),
        ..Patch::default()
    };
    let version = place.desk.get(&agent(), &by_channel.request_id).await.unwrap().version;
    place.desk.patch(&agent(), &by_channel.request_id, version, &patch).await.unwrap();
    let rows = trail.audit.page(&agent(), &Filter::default(), 100).await.unwrap().items;
    let told: Vec<(String, String, String, Value)> = rows
        .into_iter()
        .map(|row| (row.actor, row.action, row.object, serde_json::from_str(&row.detail).unwrap()))
        .collect();
    let row = |actor: &str, action: &str, object: String, detail| (actor.to_owned(), action.to_owned(), object, detail);
    let wanted = [
        row("system", "created", format!("key/{id}"), json!({"contract": Contract::default()})),
        row("key:agent", "revoked", format!("key/{id}"), json!({})),
        row(
            "key:agent",
            "taken_in",
            format!("request/{}", by_agent.request_id),
            json!({"interaction_id": by_agent.interaction_id, "channel": "sms"}),
        ),
    ];
    assert_eq!(told[..3], wanted);
    let (actor, action, object, detail) = &told[3];
    assert_eq!((actor.as_str(), action.as_str()), ("key:agent", "patched"));
    assert_eq!(object, &format!("request/{}", by_channel.request_id));
    assert_eq!((&detail["members"], &detail["status"]["to"]), (&json!(["subject"]), &json!("open")));
    assert_eq!(told.len(), 4);
    let filter = Filter {
        object: Some(format!("key/{id}")),
        ..Filter::default()
    };
    let page = trail.audit.page(&agent(), &filter, 1).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, Some(1)));
    trail.audit.checkpoint(NOW).await.unwrap();
    assert_eq!(trail.verified(NOW).await.unwrap().rows, 4);
}

pub(crate) async fn a_trail_that_cannot_be_written_refuses_reads(place: &Place) {
    let trail = Trail::over(place);
    place.change("ALTER TABLE audit RENAME TO audit_gone").await;
    let refused = trail.audit.read(Entry::new(&agent(), "read", "request/1")).await;
    assert!(refused.unwrap_err().is_passing());
    place.change("ALTER TABLE audit_gone RENAME TO audit").await;
    trail.read("request/1", NOW).await;
    let status = trail.audit.status().await.unwrap();
    assert_eq!((status.rows, status.unsigned, status.failures, status.checkpoints), (1, 1, 1, 0));
    assert!(!trail.audit.checkpoint_when_due(NOW + 59 * SECOND).await.unwrap());
    assert!(trail.audit.checkpoint_when_due(NOW + 60 * SECOND).await.unwrap());
    assert_eq!(trail.verified(NOW).await.unwrap().signed, Some((1, NOW + 60 * SECOND)));
    // A thousand new ones do not wait for the minute.
    let now = NOW + 60 * SECOND;
    for (rows, due) in [(999, false), (1, true)] {
        let entries: Vec<Entry> = (0..rows).map(|_| Entry::new(&agent(), "read", "request/1").at(now)).collect();
        let mut tx = place.store.begin().await.unwrap();
        audit::append(&mut tx, &entries).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(trail.audit.checkpoint_when_due(now).await.unwrap(), due);
    }
    // Another key signs from now on: the trail tells of it, and the older one must be given as well.
    let second = tempfile::tempdir().unwrap();
    let other = Audit::start(place.store.clone(), &Settings::within(second.path())).unwrap();
    other.read(Entry::new(&agent(), "read", "request/2")).await.unwrap();
    other.checkpoint(NOW).await.unwrap();
    let new = other.public_key().id();
    assert_eq!(trail.verified(NOW).await, Err(Broken::Stranger(1002, 1003, new.clone())));
    let filter = Filter {
        after: 1001,
        ..Filter::default()
    };
    let rows = trail.audit.page(&agent(), &filter, 10).await.unwrap().items;
    let told: Vec<(&str, &str)> = rows.iter().map(|row| (row.action.as_str(), row.object.as_str())).collect();
    assert_eq!(told, [("read", "request/2"), ("key_changed", format!("audit/key/{new}").as_str())]);
    let detail: Value = serde_json::from_str(&rows[1].detail).unwrap();
    assert_eq!(
        (&detail["before"], &detail["signed"], &detail["public"]),
        (
            &json!(trail.audit.public_key().id()),
            &json!(1001),
            &json!(other.public_key().to_string())
        )
    );
    // Once: neither its next checkpoint nor its next start tells it anew.
    other.read(Entry::new(&agent(), "read", "request/3")).await.unwrap();
    other.checkpoint(NOW).await.unwrap();
    let again = Audit::start(place.store.clone(), &Settings::within(second.path())).unwrap();
    again.read(Entry::new(&agent(), "read", "request/4")).await.unwrap();
    again.checkpoint(NOW).await.unwrap();
    let signers = audit::signers(&place.store).await.unwrap();
    let signers: Vec<(i64, i64, i64)> = signers.iter().map(|one| (one.first, one.last, one.checkpoints)).collect();
    assert_eq!(signers, [(1, 1001, 2), (1003, 1005, 3)]);
    let (key, _) = SigningKey::open(&second.path().join("audit.key")).unwrap();
    let trust = Trust {
        keys: vec![trail.audit.public_key(), key.public()],
        ..Trust::default()
    };
    let sound = audit::verify(&place.store, &trust, NOW, |_, _| ()).await.unwrap().unwrap();
    let old = trail.audit.public_key().id();
    assert_eq!((sound.rows, sound.keys), (1005, vec![(1, old), (1002, new)]));
}
