//! Replies that are asked for at the same moment share a transaction, and each has its own answer.

use voxea_core::base::account::Channel;
use voxea_core::base::error::CoreError;
use voxea_core::outbox::{Beside, NewReply, ReplyRow, Sending, Settlement};

use crate::outgoing::{Core, lease, open, request, state};
use crate::place::{Place, agent};

/// What is asked for at once.
const MANY: usize = 270;

fn ask(core: &Core, request: &str, text: &str) -> impl Future<Output = Result<ReplyRow, CoreError>> + Send + 'static {
    let (outbox, request) = (core.outbox.clone(), request.to_owned());
    let new = NewReply {
        channel: Some(Channel::Sms),
        text: text.to_owned(),
        subject: None,
    };
    async move { outbox.reply(&agent(), &request, &new).await }
}

/// Of many that are asked for at once, over two requests, every one is written once and in full, those of one request in one
/// order, and what cannot be is refused alone.
pub(crate) async fn replies_at_once_are_each_answered(place: &Place) {
    let core = open(place);
    let requests = [
        request(&core, Channel::Sms, "+33612345678").await,
        request(&core, Channel::Sms, "+33687654321").await,
    ];
    let asked: Vec<_> = (0..MANY)
        .map(|number| {
            let (request, text) = match number % 9 {
                7 => ("nobody".to_owned(), "Bonjour".to_owned()),
                8 => (requests[0].clone(), "a".repeat(161)),
                _ => (requests[number % 2].clone(), format!("Réponse {number}")),
            };
            tokio::spawn(ask(&core, &request, &text))
        })
        .collect();
    let mut written = Vec::new();
    for (number, asked) in asked.into_iter().enumerate() {
        match (number % 9, asked.await.unwrap()) {
            (7, Err(CoreError::NotFound { what: "request" })) | (8, Err(CoreError::TextTooLong(_))) => {}
            (0..7, Ok(row)) => {
                assert_eq!(
                    (row.request_id.as_str(), row.text.as_str()),
                    (requests[number % 2].as_str(), &*format!("Réponse {number}"))
                );
                written.push(row);
            }
            (_, other) => panic!("{number}: {other:?}"),
        }
    }
    let mut positions = Vec::new();
    for row in &written {
        let kept = core.outbox.get(&agent(), &row.id).await.unwrap();
        assert_eq!((&kept, kept.state.as_str()), (row, "queued"));
        let sql = "SELECT r.position, i.position, i.text, (SELECT COUNT(*) FROM request_interaction l WHERE l.interaction_id = i.id) \
                   FROM reply r JOIN interaction i ON i.id = r.interaction_id AND i.reply_id = r.id WHERE r.id = $1";
        let (reply, interaction, _, links): (i64, i64, String, i64) =
            on!(Store, &place.store, db => sqlx::query_as(sql).bind(&row.id).fetch_one(db).await).unwrap();
        assert_eq!((reply, links), (interaction, 1));
        positions.push(reply);
    }
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), written.len(), "each has a position of its own");
    assert_eq!(place.count("reply.queued").await, written.len());
}

/// Many are settled at once, one of them twice, and each is what was said of it.
pub(crate) async fn settled_at_once_each_is_what_was_said(place: &Place) {
    let core = open(place);
    let mut ids = Vec::new();
    for number in 0..4 {
        let request = request(&core, Channel::Sms, &format!("+3361234567{number}")).await;
        ids.push(ask(&core, &request, "Bonjour").await.unwrap().id);
    }
    assert_eq!(lease(&core).await.len(), 4);
    let submitted = |number: usize| {
        let settlement = Settlement::Submitted {
            native_id: Some(format!("{number}")),
            last_word: number == 3,
        };
        (ids[number].clone(), settlement)
    };
    let rejected = Settlement::Rejected {
        reason: "no such number".to_owned(),
    };
    core.outbox
        .settle(vec![
            submitted(0),
            submitted(1),
            (ids[1].clone(), rejected.clone()),
            (ids[2].clone(), rejected),
            submitted(3),
        ])
        .await
        .unwrap();
    let mut states = Vec::new();
    for id in &ids {
        states.push(state(&core, id).await);
    }
    assert_eq!(states, ["submitted", "rejected", "rejected", "submitted"]);
    let row = core.outbox.get(&agent(), &ids[0]).await.unwrap();
    assert_eq!((row.native_id.as_deref(), row.settled_at), (Some("0"), None));
    let row = core.outbox.get(&agent(), &ids[3]).await.unwrap();
    assert_eq!((row.native_id.as_deref(), row.settled_at), (Some("3"), row.submitted_at));
    // What is told twice changes nothing.
    let before = place.events().await.len();
    core.outbox.settle(vec![submitted(0), submitted(3)]).await.unwrap();
    assert_eq!(place.events().await.len(), before);
}

/// Of many that are asked for under one key, at once and later, one goes out; another key is another reply.
pub(crate) async fn one_origin_makes_one_reply(place: &Place) {
    let core = open(place);
    let request = request(&core, Channel::Sms, "+33612345678").await;
    let asked = async |outbox: voxea_core::outbox::Outbox, origin: &str| {
        let new = NewReply {
            channel: Some(Channel::Sms),
            text: "Bonjour".to_owned(),
            subject: None,
        };
        let beside = Beside {
            origin: Some(origin),
            ..Beside::default()
        };
        outbox.reply_beside(&agent(), &request, &new, &Sending::default(), beside).await
    };
    let at_once = (0..40).map(|number| asked(core.outbox.clone(), if number % 2 == 0 { "key:a/1" } else { "key:a/2" }));
    let mut written = std::collections::BTreeSet::new();
    for answer in futures_util::future::join_all(at_once).await {
        match answer {
            Ok(row) => {
                written.insert(row.id);
            }
            Err(CoreError::Conflict(_) | CoreError::Unavailable(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(written.len(), 2);
    assert_eq!(place.number("SELECT COUNT(*) FROM reply").await, 2);
    // Whatever became of it since.
    assert!(!lease(&core).await.is_empty());
    let again = asked(core.outbox.clone(), "key:a/1").await.unwrap();
    assert!(written.contains(&again.id));
    assert_eq!(place.count("reply.queued").await, 2);
}
