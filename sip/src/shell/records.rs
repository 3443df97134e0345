//! What the core is told of a call: before it is answered, and when it is over.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use voxea_core::Core;
use voxea_core::artefact::{Ending, RecordingOutcome};
use voxea_core::base::account::{Account, Channel};
use voxea_core::base::time::{self, Millis};
use voxea_core::base::{failpoint, id};
use voxea_core::contact::{Accepted, Contact, Dedup, Flag, IntakeError, NewCall, NewRecording, Raw};
use voxea_core::vault::DataKey;
use voxea_recorder::codec::Codec;
use voxea_rules::phone;

use crate::call::{IncomingCall, Verification};
use crate::{sdp, srtp};

/// By whose dialling plan national numbers are read.
const COUNTRY: &str = "FR";

/// Below the blob folder, where [`voxea_recorder::writer::path_of`] puts a recording.
const FOLDER: &str = "recordings";

impl From<sdp::Codec> for Codec {
    fn from(codec: sdp::Codec) -> Self {
        match codec {
            sdp::Codec::Pcma => Self::Pcma,
            sdp::Codec::Pcmu => Self::Pcmu,
            sdp::Codec::G722 => Self::G722,
        }
    }
}

/// What a call becomes in the core.
pub(super) fn contact(
    call: &IncomingCall,
    account: Account,
    epoch: i64,
    recording: &str,
    data_key: Option<DataKey>,
    keep_days: u32,
) -> Contact {
    let caller = phone::normalise(&call.caller, COUNTRY);
    let withheld = caller.is_withheld();
    let from = if withheld { String::new() } else { caller.into_string() };
    let to = phone::normalise(&call.dialled, COUNTRY).into_string();
    let key = Dedup::Key(call.identity.clone());
    let mut contact = Contact::new(account, epoch, Channel::Voicemail, key, from, to, time::now());
    contact.native_id = Some(call.call_id.clone());
    contact.from_name = call.caller_name.clone().filter(|_| !withheld);
    if withheld {
        contact.flags.push(Flag::Withheld);
    }
    contact.raw = Some(Raw::Inline {
        media_type: "message/sip",
        bytes: srtp::hidden(&call.invite),
    });
    let diverted_from = call
        .facts
        .diverted_from(&call.dialled)
        .iter()
        .map(|number| phone::normalise(number, COUNTRY).into_string())
        .collect();
    contact.call = Some(NewCall {
        dialled: call.dialled.clone(),
        diverted_from,
        signalling: signalling(call),
    });
    let codec = codec(call);
    contact.recording = Some(NewRecording {
        id: recording.to_owned(),
        path: format!("{FOLDER}/{recording}.{}", voxea_recorder::writer::EXTENSION),
        codec: codec.as_str().to_owned(),
        rate: voxea_recorder::RATE,
        key: data_key,
        keep_days,
    });
    contact
}

/// In what a call will be recorded. Without an offer the codec is the caller's to choose, in its ACK; until then it is the one
/// that most choose.
pub(super) fn codec(call: &IncomingCall) -> Codec {
    call.codec.map_or(Codec::Pcma, Codec::from)
}

/// What the header fields said of the call, as the API shows it. Who wants to stay unknown is named by none of them.
fn signalling(call: &IncomingCall) -> Option<Value> {
    let facts = &call.facts;
    if facts.is_empty() {
        return None;
    }
    let parties = facts
        .remote_parties
        .iter()
        .filter(|_| !call.withheld)
        .map(|found| json!({"number": found.number, "party": found.party, "privacy": found.privacy, "screened": found.screened}));
    let diversions = facts
        .diversions
        .iter()
        .map(|found| json!({"number": found.number, "reason": found.reason}));
    let history = facts
        .history
        .iter()
        .map(|found| json!({"index": found.index, "number": found.number, "cause": found.cause}));
    Some(json!({
        "trusted": facts.trusted,
        "asserted": if call.withheld { &[] } else { facts.asserted.as_slice() },
        "remote_party": parties.collect::<Vec<_>>(),
        "privacy": facts.privacy,
        "diversions": diversions.collect::<Vec<_>>(),
        "history": history.collect::<Vec<_>>(),
        "verification": facts.verification.map(Verification::as_str),
        // The signature names who calls.
        "identity": if call.withheld { &[] } else { facts.identity.as_slice() },
        "session_id": facts.session_id,
    }))
}

/// Commits the call.
///
/// # Errors
/// The intake's; nothing was stored then.
pub(super) async fn commit(core: &Core, contact: Contact) -> Result<Accepted, IntakeError> {
    let accepted = core.intake.accept(contact).await;
    failpoint::hit("sip.after_commit");
    accepted
}

/// The same call under a key of its own: a peer that used its Call-ID for another call before.
pub(super) fn apart(mut contact: Contact) -> Contact {
    if let Dedup::Key(key) = &contact.dedup {
        contact.dedup = Dedup::Key(format!("{key}|{}", id::new()));
    }
    contact
}

/// Notes the end of a call, and does not give up while there is hope: what is lost here is found at the next start. Says
/// whether it was noted.
pub(super) async fn ended(
    core: &Core,
    interaction: String,
    ending: Ending,
    started_at: Option<Millis>,
    outcome: RecordingOutcome,
    stop: CancellationToken,
) -> bool {
    let mut wait = Duration::from_millis(250);
    while let Err(error) = core.recordings.ended(&interaction, &ending, started_at, &outcome).await {
        tracing::warn!(%error, interaction, "the end of a call could not be stored; trying again");
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(10)),
            () = stop.cancelled() => return false,
        }
    }
    true
}

/// The civil time of a moment that is over.
pub(super) fn civil(at: Instant) -> Millis {
    time::now() - i64::try_from(at.elapsed().as_millis()).unwrap_or(0)
}
