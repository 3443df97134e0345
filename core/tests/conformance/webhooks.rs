//! Webhooks: every event becomes a delivery in the transaction that passes it, and each is attempted until it is taken or its
//! time is over.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use voxea_core::base::error::CoreError;
use voxea_core::base::expected::Expected;
use voxea_core::base::time::Millis;
use voxea_core::feed::{Begin, EventKind, Filter};
use voxea_core::webhook::{DeliveryState, Due, NewWebhook, Outcome, Patch, Scheme, Turn, Webhook, Webhooks};

use crate::consumers::write;
use crate::place::{NOW, Place, agent, patiently};

const HOUR: Millis = 3_600_000;

fn doors(place: &Place) -> Webhooks {
    Webhooks::new(place.store.clone(), place.vault.clone(), place.feed.clone())
}

async fn made(webhooks: &Webhooks, scheme: Scheme, types: &[&str]) -> Webhook {
    let new = NewWebhook {
        url: "https://gru.example.fr/hook?token=geheim".to_owned(),
        description: Some("GRU".to_owned()),
        filter: Filter {
            types: types.iter().map(|&name| name.to_owned()).collect(),
            themes: Vec::new(),
        },
        scheme,
        from: Begin::Now,
    };
    webhooks.create(&agent(), &new).await.unwrap()
}

fn answered(status: u16) -> Outcome {
    Outcome {
        status: Some(status),
        error: (status >= 300).then(|| format!("it answered {status}")),
        retry_after: None,
    }
}

/// What is due at a moment, if anything.
async fn due(webhooks: &Webhooks, id: &str, room: usize, now: Millis) -> Vec<Due> {
    for _ in 0..20 {
        match patiently(|| webhooks.turn(id, room, now)).await.unwrap() {
            Turn::Send(_, due) => return due,
            Turn::Wait(0) => {}
            Turn::Wait(_) | Turn::Gone => return Vec::new(),
        }
    }
    Vec::new()
}

async fn settle(webhooks: &Webhooks, id: &str, due: Vec<Due>, outcome: &Outcome, now: Millis) -> bool {
    let outcomes: Vec<_> = due.into_iter().map(|due| (due, outcome.clone())).collect();
    patiently(|| webhooks.settle(id, &outcomes, now)).await.unwrap()
}

fn events(due: &[Due]) -> Vec<i64> {
    let sequence = |due: &Due| serde_json::from_str::<serde_json::Value>(&due.body).unwrap()["sequence"].clone();
    due.iter().map(|due| sequence(due).as_str().unwrap().parse().unwrap()).collect()
}

pub(crate) async fn every_event_is_sent_until_it_is_taken(place: &Place) {
    let webhooks = doors(place);
    let webhook = made(&webhooks, Scheme::Ed25519, &["fr.voxea.request.updated"]).await;
    let id = webhook.id.as_str();
    assert!(due(&webhooks, id, 8, NOW).await.is_empty());
    write(place, EventKind::RequestCreated, 2).await;
    let all = write(place, EventKind::RequestUpdated, 5).await;
    let first = due(&webhooks, id, 3, NOW).await;
    assert_eq!(events(&first), all[..3]);
    let told: serde_json::Value = serde_json::from_str(&first[0].body).unwrap();
    assert_eq!(
        (told["id"].as_str(), told["type"].as_str()),
        (Some(first[0].event_id.as_str()), Some("fr.voxea.request.updated"))
    );
    let second = due(&webhooks, id, 3, NOW).await;
    assert_eq!(events(&second), all[3..], "what is under way is not sent twice");
    assert!(due(&webhooks, id, 3, NOW).await.is_empty());
    // Whoever had the first died: once the lease is over they are due again, and what the dead one says late counts no more.
    let again = due(&webhooks, id, 3, NOW + 40_000).await;
    assert_eq!(events(&again), all[..3]);
    settle(&webhooks, id, first, &answered(200), NOW + 40_001).await;
    let pending = webhooks.deliveries(id, Some(DeliveryState::Pending), None, 10).await.unwrap();
    assert_eq!(pending.items.len(), 5);
    settle(&webhooks, id, again, &answered(204), NOW + 40_002).await;
    settle(&webhooks, id, second, &answered(500), NOW + 40_003).await;
    let shown = webhooks.get(id).await.unwrap();
    assert_eq!((shown.failures, shown.last_error.as_deref()), (1, Some("it answered 500")));
    assert!(
        shown.resume_at > NOW + 40_003 && due(&webhooks, id, 3, NOW + 40_004).await.is_empty(),
        "it pauses"
    );
    // One event asks whether the endpoint is back.
    let asked = due(&webhooks, id, 3, NOW + 50_000).await;
    assert_eq!(asked.len(), 1);
    settle(&webhooks, id, asked, &answered(200), NOW + 50_000).await;
    let last = due(&webhooks, id, 3, NOW + 50_001).await;
    assert_eq!(last.len(), 1);
    settle(&webhooks, id, last, &answered(200), NOW + 50_002).await;
    let delivered = webhooks.deliveries(id, Some(DeliveryState::Delivered), None, 3).await.unwrap();
    let rest = webhooks
        .deliveries(id, Some(DeliveryState::Delivered), delivered.next.as_deref(), 3)
        .await
        .unwrap();
    let ids: BTreeSet<String> = delivered.items.into_iter().chain(rest.items).map(|one| one.id).collect();
    assert!(ids.len() == 5 && rest.next.is_none());
    assert_eq!(webhooks.get(id).await.unwrap().failures, 0);
}

pub(crate) async fn a_dead_endpoint_is_given_up_after_a_day_and_its_rows_are_bounded(place: &Place) {
    let webhooks = doors(place);
    let webhook = made(&webhooks, Scheme::Hmac, &[]).await;
    let id = webhook.id.as_str();
    let all = write(place, EventKind::RequestUpdated, 1300).await;
    let refused = Outcome {
        status: None,
        error: Some("no connection: connection refused".to_owned()),
        retry_after: None,
    };
    let (mut now, mut attempts) = (NOW, 0);
    while now < NOW + 25 * HOUR {
        let due = due(&webhooks, id, 4, now).await;
        if due.is_empty() {
            now += HOUR / 4;
            continue;
        }
        attempts += due.len();
        settle(&webhooks, id, due, &refused, now).await;
        assert!(place.number("SELECT COUNT(*) FROM webhook_delivery WHERE state = 'pending'").await <= 1000);
        now += 1000;
    }
    assert!((10..400).contains(&attempts), "{attempts}");
    let failed = place.number("SELECT COUNT(*) FROM webhook_delivery WHERE state = 'failed'").await;
    assert_eq!(failed, 1000, "the first thousand were given up");
    // What came behind them was not passed over.
    let back = due(&webhooks, id, 4, now).await;
    settle(&webhooks, id, back, &answered(200), now).await;
    let mut got = BTreeSet::new();
    loop {
        let due = due(&webhooks, id, 50, now).await;
        if due.is_empty() {
            break;
        }
        got.extend(events(&due));
        settle(&webhooks, id, due, &answered(200), now).await;
    }
    assert_eq!(got.len(), 299);
    assert_eq!(got.last(), all.last());
    // Old rows go, and whoever was given up can be made due by hand before.
    let failed = webhooks.deliveries(id, Some(DeliveryState::Failed), None, 1).await.unwrap();
    assert!(failed.items[0].error.is_some());
    let retried = webhooks.retry(&agent(), id, &failed.items[0].id).await.unwrap();
    assert_eq!((retried.state.as_str(), retried.attempts), ("pending", 0));
    while webhooks.trim(now + 8 * 24 * HOUR).await.unwrap() {}
    assert_eq!(place.number("SELECT COUNT(*) FROM webhook_delivery").await, 1, "what is open stays");
}

pub(crate) async fn a_receiver_says_no_more_or_later(place: &Place) {
    let webhooks = doors(place);
    let webhook = made(&webhooks, Scheme::Ed25519, &[]).await;
    let id = webhook.id.as_str();
    let all = write(place, EventKind::RequestUpdated, 3).await;
    let first = due(&webhooks, id, 1, NOW).await;
    let busy = Outcome {
        retry_after: Some(2 * HOUR),
        ..answered(429)
    };
    settle(&webhooks, id, first, &busy, NOW).await;
    assert!(due(&webhooks, id, 1, NOW + 2 * HOUR - 1).await.is_empty(), "nothing is sent before");
    let asked = due(&webhooks, id, 1, NOW + 2 * HOUR + 1).await;
    assert_eq!(asked.len(), 1);
    assert!(
        settle(&webhooks, id, asked, &answered(410), NOW + 2 * HOUR).await,
        "410 disables it"
    );
    let shown = webhooks.get(id).await.unwrap();
    assert!(!shown.active && shown.reason.unwrap().contains("410"));
    assert!(matches!(webhooks.turn(id, 1, NOW).await.unwrap(), Turn::Gone));
    assert!(webhooks.active().await.unwrap().is_empty());
    assert!(matches!(webhooks.test(&agent(), id).await, Err(CoreError::Conflict(_))));
    let on = Patch {
        active: Some(true),
        ..Patch::default()
    };
    let stale = webhooks.patch(&agent(), id, &Expected::Versions(vec![1]), &on).await;
    assert!(matches!(stale, Err(CoreError::Stale { current: 2, .. })), "{stale:?}");
    webhooks.patch(&agent(), id, &Expected::Versions(vec![2]), &on).await.unwrap();
    // What was given up can be sent again from the feed, under the same ids.
    let rest = due(&webhooks, id, 9, NOW + 3 * HOUR).await;
    assert_eq!(rest.len(), 2);
    settle(&webhooks, id, rest.clone(), &answered(200), NOW + 3 * HOUR).await;
    webhooks.replay(&agent(), id, Begin::Position(all[0] - 1)).await.unwrap();
    let replayed = due(&webhooks, id, 9, NOW + 3 * HOUR).await;
    assert_eq!(events(&replayed), all);
    assert!(rest.iter().all(|one| replayed.iter().any(|again| again.event_id == one.event_id)));
    let ahead = webhooks.replay(&agent(), id, Begin::Position(all[2] + 1)).await;
    assert!(matches!(ahead, Err(CoreError::FeedAhead { .. })), "{ahead:?}");
    settle(&webhooks, id, replayed, &answered(200), NOW + 3 * HOUR).await;
    let test = webhooks.test(&agent(), id).await.unwrap();
    let sent = due(&webhooks, id, 9, test.created_at).await;
    assert!(sent.len() == 1 && sent[0].body.contains("fr.voxea.webhook.test") && !sent[0].body.contains("sequence"));
    // What an address answers late, when it is another by now, says nothing of the present one.
    write(place, EventKind::RequestUpdated, 1).await;
    let late = due(&webhooks, id, 1, NOW + 4 * HOUR).await;
    let version = webhooks.get(id).await.unwrap().version;
    let moved = Patch {
        url: Some("https://elsewhere.example.org/".to_owned()),
        ..Patch::default()
    };
    webhooks
        .patch(&agent(), id, &Expected::Versions(vec![version]), &moved)
        .await
        .unwrap();
    assert!(late.len() == 1 && !settle(&webhooks, id, late, &answered(410), NOW + 4 * HOUR).await);
    let shown = webhooks.get(id).await.unwrap();
    assert!(shown.active && shown.failures == 0, "{shown:?}");
    webhooks.remove(&agent(), id).await.unwrap();
    assert!(settle(&webhooks, id, sent, &answered(200), NOW).await, "it is gone");
    assert_eq!(place.number("SELECT COUNT(*) FROM webhook_delivery").await, 0);
}

pub(crate) async fn two_keys_sign_for_a_time_and_neither_is_plain(place: &Place) {
    let webhooks = doors(place);
    let webhook = made(&webhooks, Scheme::Hmac, &[]).await;
    let rotated = webhooks.rotate(&agent(), &webhook.id, Some(Scheme::Ed25519), HOUR).await.unwrap();
    assert_eq!(rotated.old_key.as_ref().map(|(key, _)| key), Some(&webhook.key));
    write(place, EventKind::RequestUpdated, 1).await;
    let now = rotated.updated_at;
    let Turn::Send(endpoint, _) = webhooks.turn(&webhook.id, 1, now).await.unwrap() else {
        panic!("something is due")
    };
    assert_eq!(endpoint.keys, [rotated.key.clone(), webhook.key.clone()]);
    assert_eq!(endpoint.url.reveal(), webhook.url);
    let Turn::Send(endpoint, _) = webhooks.turn(&webhook.id, 1, now + HOUR).await.unwrap() else {
        panic!("its lease is over")
    };
    assert_eq!(endpoint.keys, [rotated.key], "the old one is over");
    let plain = "SELECT COUNT(*) FROM webhook WHERE url LIKE '%geheim%' OR secret LIKE 'whs%' OR secret_old LIKE 'whs%'";
    assert_eq!(place.number(plain).await, i64::from(!place.vault.is_on()));
    let told = "SELECT COUNT(*) FROM audit WHERE object LIKE 'webhook/%' AND (detail LIKE '%geheim%' OR detail LIKE '%whsec%' OR detail LIKE '%whsk%')";
    assert_eq!(place.number(told).await, 0);
}

/// Eight senders of one webhook, as of several nodes: each event becomes one delivery, and each is sent by one of them.
pub(crate) async fn of_many_senders_each_event_is_one_s(place: &Place) {
    let webhooks = doors(place);
    let webhook = made(&webhooks, Scheme::Ed25519, &[]).await;
    let id = webhook.id.as_str();
    let writers = join_all((0..4).map(|_| async {
        let mut mine = Vec::new();
        for _ in 0..10 {
            mine.extend(write(place, EventKind::RequestUpdated, 3).await);
        }
        mine
    }));
    let senders = join_all((0..8).map(|_| async {
        let (mut mine, mut idle) = (Vec::new(), 0);
        while idle < 40 {
            let due = due(&webhooks, id, 4, NOW).await;
            if due.is_empty() {
                idle += 1;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                continue;
            }
            idle = 0;
            mine.extend(events(&due));
            settle(&webhooks, id, due, &answered(200), NOW).await;
        }
        mine
    }));
    let (written, sent) = tokio::join!(writers, senders);
    let (mut written, mut sent) = (written.concat(), sent.concat());
    // Whoever was idle too early has left the rest.
    loop {
        let due = due(&webhooks, id, 50, NOW).await;
        if due.is_empty() {
            break;
        }
        sent.extend(events(&due));
        settle(&webhooks, id, due, &answered(200), NOW).await;
    }
    written.sort_unstable();
    sent.sort_unstable();
    assert_eq!(sent, written);
}
