//! Texts of several segments, with a life, an hour and a way back; receipts with an id that nobody knows.

use voxea_core::base::account::Channel;
use voxea_core::base::error::CoreError;
use voxea_core::base::time::{self, Millis};
use voxea_core::outbox::{Ask, Joined, NewReply, PartEnd, ReceiptIn, ReceiptState, ReplyRow, Sending, Settlement, Texting};

use crate::outgoing::{Core, lease, open, request, short_number, state};
use crate::place::{CITIZEN, HOUR, Place, agent};

const SPLIT: Sending = Sending {
    split: true,
    life: None,
    send_at: None,
    priority: 0,
};

async fn send(core: &Core, request: &str, text: &str, sending: Sending) -> Result<ReplyRow, CoreError> {
    let new = NewReply {
        channel: Some(Channel::Sms),
        text: text.to_owned(),
        subject: None,
    };
    core.outbox.reply_with(&agent(), request, &new, &sending).await
}

/// A queued reply of so many segments.
async fn long(core: &Core, segments: usize) -> String {
    let request = request(core, Channel::Sms, CITIZEN).await;
    let row = send(core, &request, &"a".repeat(153 * segments), SPLIT).await.unwrap();
    assert_eq!(row.segments, i64::try_from(segments).unwrap());
    row.id
}

async fn settle(core: &Core, id: &str, settlement: Settlement) {
    core.outbox.settle(vec![(id.to_owned(), settlement)]).await.unwrap();
}

fn taken(number: u8, native: &str) -> Settlement {
    let native_id = Some(native.to_owned());
    Settlement::Part {
        number,
        end: PartEnd::Submitted { native_id },
    }
}

async fn receipt(core: &Core, id: &str, state: ReceiptState, from: Option<&str>) {
    let receipt = ReceiptIn {
        from: from.map(str::to_owned),
        ids: vec![id.to_owned()],
        state,
        reason: (state == ReceiptState::Rejected).then(|| "UNDELIV".to_owned()),
        at: time::now(),
    };
    core.outbox.receipt(&short_number(), &receipt).await.unwrap();
}

async fn parts(core: &Core, id: &str) -> Vec<String> {
    let row = core.outbox.get(&agent(), id).await.unwrap();
    core.outbox.parts(&row).await.unwrap().into_iter().map(|part| part.state).collect()
}

pub(crate) async fn a_split_text_is_what_its_segments_are(place: &Place) {
    let core = open(place);
    let refused = request(&core, Channel::Sms, CITIZEN).await;
    let too_long = send(&core, &refused, &"a".repeat(153 * 6), SPLIT).await;
    assert!(matches!(too_long, Err(CoreError::TextTooLong(preview)) if preview.segments == 6));
    let id = long(&core, 3).await;
    let leased = lease(&core).await.remove(0);
    let split = leased.split.unwrap();
    assert_eq!((split.joined, split.total, split.left), (Joined::Udh8, 3, vec![1, 2, 3]));
    settle(&core, &id, taken(2, "2")).await;
    // Before its response.
    receipt(&core, "3", ReceiptState::Delivered, None).await;
    settle(&core, &id, taken(3, "3")).await;
    assert_eq!(state(&core, &id).await, "queued", "one of three has not been sent");
    settle(&core, &id, taken(1, "1")).await;
    assert_eq!(state(&core, &id).await, "submitted");
    receipt(&core, "1", ReceiptState::Delivered, None).await;
    assert_eq!(state(&core, &id).await, "submitted", "two receipts of three");
    receipt(&core, "1", ReceiptState::Delivered, None).await;
    assert_eq!(state(&core, &id).await, "submitted", "a receipt that comes twice is one");
    receipt(&core, "2", ReceiptState::Delivered, None).await;
    assert_eq!(state(&core, &id).await, "delivered");

    let id = long(&core, 2).await;
    lease(&core).await;
    settle(&core, &id, taken(1, "11")).await;
    settle(&core, &id, taken(2, "12")).await;
    receipt(&core, "11", ReceiptState::Delivered, None).await;
    receipt(&core, "12", ReceiptState::Rejected, None).await;
    let row = core.outbox.get(&agent(), &id).await.unwrap();
    assert_eq!((row.state.as_str(), row.reason.as_deref()), ("rejected", Some("UNDELIV")));
}

pub(crate) async fn a_throttled_segment_alone_is_sent_again(place: &Place) {
    let core = open(place);
    let id = long(&core, 3).await;
    lease(&core).await;
    settle(&core, &id, taken(1, "1")).await;
    let retry = Settlement::Retry {
        at: time::now(),
        reason: "ESME_RTHROTTLED".to_owned(),
    };
    settle(&core, &id, retry).await;
    let again = lease(&core).await.remove(0);
    assert_eq!(again.split.unwrap().left, [2, 3]);
    settle(&core, &id, Settlement::Rejected { reason: "no".to_owned() }).await;
    assert_eq!(state(&core, &id).await, "rejected");
    assert_eq!(parts(&core, &id).await, ["submitted", "rejected", "rejected"]);
    assert!(lease(&core).await.is_empty());
}

pub(crate) async fn a_death_between_segments_sends_none_twice(place: &Place) {
    let core = open(place);
    let id = long(&core, 3).await;
    lease(&core).await;
    settle(&core, &id, taken(1, "1")).await;
    core.outbox.take_over(&short_number()).await.unwrap();
    assert_eq!(state(&core, &id).await, "unknown");
    assert_eq!(parts(&core, &id).await, ["submitted", "unknown", "unknown"]);
    assert!(lease(&core).await.is_empty(), "nothing of it is sent again");
    receipt(&core, "1", ReceiptState::Delivered, None).await;
    assert_eq!(state(&core, &id).await, "unknown");
    settle(&core, &id, taken(2, "2")).await;
    settle(&core, &id, taken(3, "3")).await;
    assert_eq!(state(&core, &id).await, "submitted", "late responses");
    receipt(&core, "2", ReceiptState::Delivered, None).await;
    receipt(&core, "3", ReceiptState::Delivered, None).await;
    assert_eq!(state(&core, &id).await, "delivered");
}

pub(crate) async fn one_receipt_may_count_for_all(place: &Place) {
    let core = open(place);
    let texting = Texting {
        one_receipt: true,
        ..Texting::default()
    };
    core.outbox.set_texting(&short_number(), texting);
    // It is the last one's with some SMSCs, and the first one's with others.
    for (which, first) in [("2", "1"), ("21", "21")] {
        let id = long(&core, 2).await;
        lease(&core).await;
        settle(&core, &id, taken(1, first)).await;
        settle(&core, &id, taken(2, if first == "1" { "2" } else { "22" })).await;
        receipt(&core, which, ReceiptState::Delivered, None).await;
        assert_eq!(state(&core, &id).await, "delivered");
    }
}

pub(crate) async fn a_silent_segment_makes_it_unknown(place: &Place) {
    let core = open(place);
    let id = long(&core, 2).await;
    lease(&core).await;
    settle(&core, &id, taken(1, "1")).await;
    settle(&core, &id, taken(2, "2")).await;
    receipt(&core, "2", ReceiptState::Delivered, None).await;
    let day: Millis = 24 * HOUR;
    assert_eq!(
        core.outbox.expire_receipts(time::now() + 2 * day).await.unwrap(),
        0,
        "it may still come"
    );
    assert_eq!(core.outbox.expire_receipts(time::now() + 2 * day + 2 * HOUR).await.unwrap(), 1);
    assert_eq!(state(&core, &id).await, "unknown");
    assert_eq!(parts(&core, &id).await, ["unknown", "delivered"]);
    assert_eq!(core.outbox.expire_receipts(time::now() + 3 * day).await.unwrap(), 0);
    receipt(&core, "1", ReceiptState::Delivered, None).await;
    assert_eq!(state(&core, &id).await, "delivered", "a late receipt counts all the same");
}

pub(crate) async fn a_text_lives_no_longer_than_it_may(place: &Place) {
    let core = open(place);
    let request = request(&core, Channel::Sms, CITIZEN).await;
    let minute = Sending {
        life: Some(60_000),
        ..Sending::default()
    };
    let id = send(&core, &request, "Oui", minute).await.unwrap().id;
    let behind = send(&core, &request, "Non", Sending::default()).await.unwrap().id;
    let retry = Settlement::Retry {
        at: time::now() + HOUR,
        reason: "ESME_RSYSERR".to_owned(),
    };
    lease(&core).await;
    core.outbox
        .settle(vec![(id.clone(), retry), (behind.clone(), Settlement::Return)])
        .await
        .unwrap();
    assert_eq!(core.outbox.expire_queued(time::now()).await.unwrap(), 0);
    assert_eq!(core.outbox.expire_queued(time::now() + 61_000).await.unwrap(), 1);
    let row = core.outbox.get(&agent(), &id).await.unwrap();
    assert_eq!(row.state, "rejected");
    assert_eq!(row.reason.as_deref(), Some("its validity ended before it could be sent"));
    assert_eq!(lease(&core).await.remove(0).reply_id, behind, "it holds up none");
    // What is leased is in its channel's hands, and not rejected under it.
    assert_eq!(core.outbox.expire_queued(time::now() + 100 * HOUR).await.unwrap(), 0);
    // Nor is anything leased whose life is over.
    core.outbox.settle(vec![(behind.clone(), Settlement::Return)]).await.unwrap();
    let sql = "UPDATE reply SET expires_at = 1 WHERE state = 'queued'";
    let mut tx = place.store.begin().await.unwrap();
    on!(Tx, &mut tx, db => sqlx::query(sql).execute(db).await.map(|_| ())).unwrap();
    tx.commit().await.unwrap();
    assert!(lease(&core).await.is_empty());
    assert_eq!(state(&core, &behind).await, "rejected");
}

pub(crate) async fn a_scheduled_text_waits_and_holds_up_none(place: &Place) {
    let core = open(place);
    let request = request(&core, Channel::Sms, CITIZEN).await;
    let later = Sending {
        send_at: Some(time::now() + 20 * 24 * HOUR),
        ..Sending::default()
    };
    let row = send(&core, &request, "Demain", later).await.unwrap();
    assert!(row.expires_at > later.send_at, "its life begins then");
    let now = send(&core, &request, "Maintenant", Sending::default()).await.unwrap().id;
    let leased = lease(&core).await;
    assert_eq!((leased.len(), &leased[0].reply_id), (1, &now));
    assert_eq!(core.outbox.expire_queued(time::now() + 10 * 24 * HOUR).await.unwrap(), 0);
}

pub(crate) async fn a_reply_is_taken_back_in_time(place: &Place) {
    let core = open(place);
    let request = request(&core, Channel::Sms, CITIZEN).await;
    let first = send(&core, &request, "Un", Sending::default()).await.unwrap().id;
    let second = send(&core, &request, "Deux", Sending::default()).await.unwrap().id;
    assert_eq!(core.outbox.cancel(&agent(), &first).await.unwrap().state, "cancelled");
    assert_eq!(
        core.outbox.cancel(&agent(), &first).await.unwrap().state,
        "cancelled",
        "twice is once"
    );
    let leased = lease(&core).await;
    assert_eq!((leased.len(), &leased[0].reply_id), (1, &second));
    assert!(matches!(core.outbox.cancel(&agent(), &second).await, Err(CoreError::Conflict(_))));
    settle(&core, &first, Settlement::Rejected { reason: "late".to_owned() }).await;
    assert_eq!(state(&core, &first).await, "cancelled");
    assert!(matches!(
        core.outbox.cancel(&agent(), "nobody").await,
        Err(CoreError::NotFound { .. })
    ));

    // Of which a segment is out, is not taken back.
    settle(&core, &second, Settlement::Rejected { reason: "done".to_owned() }).await;
    let id = long(&core, 2).await;
    lease(&core).await;
    settle(&core, &id, taken(1, "1")).await;
    settle(&core, &id, Settlement::Return).await;
    assert!(matches!(core.outbox.cancel(&agent(), &id).await, Err(CoreError::Conflict(_))));
}

pub(crate) async fn a_peer_is_asked_to_forget_what_it_has(place: &Place) {
    let core = open(place);
    let texting = Texting {
        cancel: true,
        ..Texting::default()
    };
    core.outbox.set_texting(&short_number(), texting);
    let submitted = async |native: &str| {
        let ask = request(&core, Channel::Sms, CITIZEN).await;
        let id = send(&core, &ask, "Oui", Sending::default()).await.unwrap().id;
        lease(&core).await;
        let taken = Settlement::Submitted {
            native_id: Some(native.to_owned()),
            last_word: false,
        };
        settle(&core, &id, taken).await;
        id
    };
    let first = submitted("7").await;
    let row = core.outbox.cancel(&agent(), &first).await.unwrap();
    assert!(row.state == "submitted" && row.cancel_at.is_some());
    let leased = lease(&core).await;
    assert_eq!(
        (leased.len(), &leased[0].ask, &leased[0].to[..]),
        (1, &Ask::Forget(vec!["7".to_owned()]), CITIZEN)
    );
    assert!(lease(&core).await.is_empty(), "it is asked once, until nobody answers");
    settle(&core, &first, Settlement::Cancelled).await;
    assert_eq!(state(&core, &first).await, "cancelled");
    receipt(&core, "7", ReceiptState::Rejected, None).await;
    assert_eq!(
        state(&core, &first).await,
        "cancelled",
        "the receipt of what was deleted says so too"
    );

    let second = submitted("8").await;
    core.outbox.cancel(&agent(), &second).await.unwrap();
    lease(&core).await;
    let kept = Settlement::NotCancelled {
        reason: "ESME_RCANCELFAIL".to_owned(),
    };
    settle(&core, &second, kept).await;
    let row = core.outbox.get(&agent(), &second).await.unwrap();
    assert_eq!(
        (row.state.as_str(), row.cancel_at, row.reason.as_deref()),
        ("submitted", None, Some("ESME_RCANCELFAIL"))
    );
}

pub(crate) async fn an_unknown_id_counts_where_it_can_only_be_one(place: &Place) {
    let core = open(place);
    let ask = request(&core, Channel::Sms, CITIZEN).await;
    let lost = Settlement::Unknown {
        reason: "the SMSC did not answer".to_owned(),
    };
    let first = send(&core, &ask, "Un", Sending::default()).await.unwrap().id;
    lease(&core).await;
    settle(&core, &first, lost.clone()).await;
    // Another number's receipt is not its own, nor is one that tells no number.
    receipt(&core, "71", ReceiptState::Delivered, Some("+33699999999")).await;
    receipt(&core, "72", ReceiptState::Delivered, None).await;
    assert_eq!(state(&core, &first).await, "unknown");
    // While another text to the number is in flight it may be that one's: its response is to come.
    let second = send(&core, &ask, "Deux", Sending::default()).await.unwrap().id;
    lease(&core).await;
    receipt(&core, "73", ReceiptState::Delivered, Some(CITIZEN)).await;
    assert_eq!(state(&core, &first).await, "unknown");
    let submitted = Settlement::Submitted {
        native_id: Some("73".to_owned()),
        last_word: false,
    };
    settle(&core, &second, submitted).await;
    assert_eq!(state(&core, &second).await, "delivered");
    // Two of unknown fate cannot be told apart.
    let third = send(&core, &ask, "Trois", Sending::default()).await.unwrap().id;
    lease(&core).await;
    settle(&core, &third, lost).await;
    receipt(&core, "74", ReceiptState::Delivered, Some(CITIZEN)).await;
    assert_eq!(
        (state(&core, &first).await, state(&core, &third).await),
        ("unknown".into(), "unknown".into())
    );
    // One alone can, and is known by its id from then on.
    let late = Settlement::Submitted {
        native_id: Some("75".to_owned()),
        last_word: false,
    };
    settle(&core, &third, late).await;
    receipt(&core, "75", ReceiptState::Delivered, Some(CITIZEN)).await;
    receipt(&core, "76", ReceiptState::Rejected, Some(CITIZEN)).await;
    let row = core.outbox.get(&agent(), &first).await.unwrap();
    assert_eq!((row.state.as_str(), row.native_id.as_deref()), ("rejected", Some("76")));

    // A segment is no other.
    let id = long(&core, 2).await;
    lease(&core).await;
    settle(&core, &id, taken(1, "81")).await;
    core.outbox.take_over(&short_number()).await.unwrap();
    receipt(&core, "82", ReceiptState::Delivered, Some(CITIZEN)).await;
    assert_eq!(state(&core, &id).await, "unknown", "the first segment's own receipt has not come");
    receipt(&core, "81", ReceiptState::Delivered, Some(CITIZEN)).await;
    receipt(&core, "83", ReceiptState::Delivered, Some(CITIZEN)).await;
    assert_eq!(state(&core, &id).await, "delivered");
}

/// Red without a second look at what waits (`heard_before` taken out), where a receipt counts that came before the text was
/// there, where one of two that differ does, and where a repetition of it stays behind for the next text.
pub(crate) async fn a_receipt_on_another_bind_may_come_before_its_text_is_unknown(place: &Place) {
    let core = open(place);
    let ask = request(&core, Channel::Sms, CITIZEN).await;
    let lost = Settlement::Unknown {
        reason: "the SMSC did not answer".to_owned(),
    };
    // Somebody's, of before; and those of another number and of none.
    receipt(&core, "90", ReceiptState::Rejected, Some(CITIZEN)).await;
    place.change("UPDATE receipt_parked SET at = at - 60000").await;
    let first = send(&core, &ask, "Un", Sending::default()).await.unwrap().id;
    lease(&core).await;
    receipt(&core, "91", ReceiptState::Rejected, Some("+33699999999")).await;
    receipt(&core, "92", ReceiptState::Rejected, None).await;
    for _ in 0..2 {
        receipt(&core, "0093", ReceiptState::Delivered, Some(CITIZEN)).await;
    }
    assert_eq!(
        state(&core, &first).await,
        "queued",
        "it is in flight, and its response may tell another id"
    );
    settle(&core, &first, lost.clone()).await;
    let row = core.outbox.get(&agent(), &first).await.unwrap();
    assert_eq!((row.state.as_str(), row.native_id.as_deref()), ("delivered", Some("0093")));
    assert_eq!(
        place.number("SELECT COUNT(*) FROM receipt_parked").await,
        3,
        "its own, both times, is gone"
    );

    // Two that differ: one is somebody else's, and nobody can say which.
    let second = send(&core, &ask, "Deux", Sending::default()).await.unwrap().id;
    lease(&core).await;
    receipt(&core, "94", ReceiptState::Delivered, Some(CITIZEN)).await;
    receipt(&core, "95", ReceiptState::Rejected, Some(CITIZEN)).await;
    settle(&core, &second, lost.clone()).await;
    assert_eq!(state(&core, &second).await, "unknown");

    // While another text is open, it may be that one's; once that has its own, the job tells.
    let other = "+33612345600";
    let ask = request(&core, Channel::Sms, other).await;
    let third = send(&core, &ask, "Trois", Sending::default()).await.unwrap().id;
    lease(&core).await;
    let fourth = send(&core, &ask, "Quatre", Sending::default()).await.unwrap().id;
    receipt(&core, "96", ReceiptState::Rejected, Some(other)).await;
    place
        .change("UPDATE reply SET lease_until = 9000000000000 WHERE state = 'queued'")
        .await;
    settle(&core, &third, lost).await;
    assert_eq!(state(&core, &third).await, "unknown");
    let submitted = Settlement::Submitted {
        native_id: Some("97".to_owned()),
        last_word: false,
    };
    settle(&core, &fourth, submitted).await;
    receipt(&core, "97", ReceiptState::Delivered, Some(other)).await;
    assert_eq!(state(&core, &third).await, "unknown", "nothing has become unknown");
    core.outbox.expire_receipts(time::now()).await.unwrap();
    assert_eq!(
        (state(&core, &third).await, state(&core, &fourth).await),
        ("rejected".into(), "delivered".into())
    );

    // A segment is no other.
    let ask = request(&core, Channel::Sms, "+33612345601").await;
    let row = send(&core, &ask, &"a".repeat(306), SPLIT).await.unwrap();
    lease(&core).await;
    settle(&core, &row.id, taken(1, "98")).await;
    receipt(&core, "98", ReceiptState::Delivered, Some("+33612345601")).await;
    receipt(&core, "99", ReceiptState::Delivered, Some("+33612345601")).await;
    assert_eq!(state(&core, &row.id).await, "queued");
    core.outbox.take_over(&short_number()).await.unwrap();
    assert_eq!(state(&core, &row.id).await, "delivered");
}

/// Some SMSCs begin again with their ids. Red where `MEMORY_MS` is taken out of the look-up.
pub(crate) async fn an_id_of_long_ago_is_another_text_s(place: &Place) {
    let core = open(place);
    let ask = request(&core, Channel::Sms, CITIZEN).await;
    let old = send(&core, &ask, "Un", Sending::default()).await.unwrap().id;
    lease(&core).await;
    let submitted = Settlement::Submitted {
        native_id: Some("7".to_owned()),
        last_word: false,
    };
    settle(&core, &old, submitted).await;
    place.change("UPDATE reply SET submitted_at = submitted_at - 16 * 86400000").await;
    receipt(&core, "7", ReceiptState::Delivered, Some(CITIZEN)).await;
    assert_eq!(state(&core, &old).await, "submitted");
    place.change("UPDATE reply SET submitted_at = submitted_at + 2 * 86400000").await;
    receipt(&core, "7", ReceiptState::Delivered, Some(CITIZEN)).await;
    assert_eq!(state(&core, &old).await, "delivered", "two weeks are a long weekend of a telephone");
}

/// An SMSC that counts anew, or for each number, gives one id to two texts: a receipt is the one's whose number it comes from, and
/// where it comes from none of them, the last one's.
pub(crate) async fn an_id_of_two_texts_is_the_one_s_whose_number_says_so(place: &Place) {
    let core = open(place);
    let mut replies = Vec::new();
    for number in ["+33612345678", "+33687654321"] {
        let ask = request(&core, Channel::Sms, number).await;
        let reply = send(&core, &ask, "Un", Sending::default()).await.unwrap().id;
        lease(&core).await;
        let submitted = Settlement::Submitted {
            native_id: Some("7".to_owned()),
            last_word: false,
        };
        settle(&core, &reply, submitted).await;
        replies.push(reply);
    }
    receipt(&core, "7", ReceiptState::Delivered, Some("+33612345678")).await;
    assert_eq!(
        [state(&core, &replies[0]).await, state(&core, &replies[1]).await],
        ["delivered", "submitted"]
    );
    receipt(&core, "7", ReceiptState::Rejected, Some("33687654321")).await;
    assert_eq!(
        [state(&core, &replies[0]).await, state(&core, &replies[1]).await],
        ["delivered", "rejected"]
    );
}
