//! Deposit calls over real sockets into a real store.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod peer;

use std::time::Duration;

use peer::{Caller, House, Stream, offer, request, sound_of, tag};
use tokio::net::UdpSocket;
use voxea_core::base::actor::Actor;
use voxea_core::base::error::CoreError;
use voxea_core::base::exit::Exit;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_becomes_a_request_with_its_recording() {
    let house = House::new().await;
    let running = house.open("127.0.0.0/8", "26000-26019").await;
    let caller = Caller::new(running.udp, "one").await;
    caller.send(&caller.invite()).await;
    let ok = caller.hears("SIP/2.0 200").await;
    let [taken] = <[_; 1]>::try_from(house.calls().await).unwrap();
    assert_eq!(taken.call.as_ref().unwrap().ended_by, None, "readable when its 200 leaves");
    caller.send(&caller.request("ACK", 1, &tag(&ok), "")).await;
    caller.speak(sound_of(&ok), 100).await;
    caller.send(&caller.request("BYE", 2, &tag(&ok), "")).await;
    caller.hears("SIP/2.0 200").await;

    let call = house.settled().await;
    assert_eq!(
        (call.row.channel.as_str(), call.row.from_address.as_str()),
        ("voicemail", "+33612345678")
    );
    assert_eq!(
        (call.row.from_name.as_deref(), call.row.native_id.as_deref()),
        (Some("Zoé"), Some("one"))
    );
    let facts = call.call.unwrap();
    assert_eq!(
        (facts.dialled.as_str(), facts.diversions()),
        ("3000", vec!["+33198765432".to_owned()])
    );
    assert_eq!(facts.ended_by.as_deref(), Some("caller"));
    assert!(facts.answered_at.is_some() && facts.ended_at >= facts.answered_at);
    let recording = call.recording.unwrap();
    // 2 s from the ACK, less 0.2 s of greeting and 0.3 s of beep.
    assert!(
        recording.state == "sealed" && (1_200..1_900).contains(&recording.duration_ms()),
        "{recording:?}"
    );
    running.stop.soft.cancel();
    assert_eq!(running.task.await.unwrap(), Exit::Stopped);
}

/// An INVITE without an offer: the codec is the one of its ACK, and reports share the port of sound where that agrees.
#[tokio::test(flavor = "multi_thread")]
async fn the_codec_of_an_ack_is_the_recordings() {
    let house = House::new().await;
    let running = house.open("127.0.0.0/8", "26400-26419").await;
    let caller = Caller::new(running.udp, "open").await;
    caller.send(&caller.request("INVITE", 1, "", "")).await;
    let ok = caller.hears("SIP/2.0 200").await;
    assert!(ok.contains("RTP/AVP 8 0 9 101\r\n") && ok.contains("a=rtcp-mux\r\n"), "{ok}");
    let answer = offer(caller.sound.local_addr().unwrap()).replace("RTP/AVP 8", "RTP/AVP 9");
    let ack = caller.request("ACK", 1, &tag(&ok), &format!("{answer}a=rtcp-mux\r\n"));
    caller.send(&ack).await;
    let mut buffer = [0; 2_048];
    let mut heard = Vec::new();
    while !heard.contains(&200) {
        let length = caller.sound.recv(&mut buffer).await.unwrap();
        assert!(length > 12);
        heard.push(buffer[1] & if buffer[1] < 192 { 0x7F } else { 0xFF });
    }
    assert_eq!(heard.first(), Some(&9), "G.722 is what we send: {heard:?}");
    caller.send(&caller.request("BYE", 2, &tag(&ok), "")).await;
    let call = house.settled().await;
    let recording = call.recording.unwrap();
    assert_eq!(recording.state, "sealed", "{recording:?}");
    let row = house.core.recordings.get(&Actor::System, &recording.id).await.unwrap();
    assert_eq!(row.codec, "g722");
    running.stop.soft.cancel();
    assert_eq!(running.task.await.unwrap(), Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gives_up_during_the_commit_stays_as_a_contact() {
    let house = House::new().await;
    let running = house.open("127.0.0.0/8", "26020-26039").await;
    let caller = Caller::new(running.udp, "two").await;
    let busy = house.core.store.begin().await.unwrap();
    caller.send(&caller.invite()).await;
    caller.hears("SIP/2.0 100").await;
    caller.send(&caller.request("CANCEL", 1, "", "")).await;
    let refused = caller.hears("SIP/2.0 487").await;
    caller
        .send(&caller.request("ACK", 1, &tag(&refused), "").replace("ACK-1", "INVITE-1"))
        .await;
    busy.commit().await.unwrap();
    let call = house.settled().await;
    assert_eq!(call.call.unwrap().ended_by.as_deref(), Some("cancelled"));
    assert_eq!(call.recording.unwrap().state, "failed");
    running.stop.soft.cancel();
    assert_eq!(running.task.await.unwrap(), Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_tcp() {
    let house = House::new().await;
    let running = house.open("127.0.0.0/8", "26040-26059").await;
    let mut stream = Stream::open(running.tcp).await;
    let (from, sound) = (stream.local(), "127.0.0.1:9".parse().unwrap());
    stream.send("\r\n\r\n").await;
    assert_eq!(stream.hears("\r\n").await, "\r\n");
    stream.send(&request("INVITE", 1, "three", "", "TCP", from, &offer(sound))).await;
    stream.hears("SIP/2.0 200 OK\r\n").await;
    let ok = stream.hears("a=sendrecv\r\n").await;
    assert!(ok.contains(";transport=tcp>"));
    stream.send(&request("ACK", 1, "three", &tag(&ok), "TCP", from, "")).await;
    stream.send(&request("BYE", 2, "three", &tag(&ok), "TCP", from, "")).await;
    stream.hears("SIP/2.0 200 OK\r\n").await;
    assert_eq!(house.settled().await.call.unwrap().ended_by.as_deref(), Some("caller"));
    running.stop.hard.cancel();
    assert_eq!(running.task.await.unwrap(), Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_a_crash_left_unanswered_goes_on() {
    let house = House::new().await;
    let first = house.open("127.0.0.0/8", "26060-26079").await;
    let caller = Caller::new(first.udp, "four").await;
    let invite = caller.invite();
    caller.send(&invite).await;
    caller.hears("SIP/2.0 200").await;
    // It dies: committed, its 200 lost, no ACK.
    first.task.abort();
    let _ = first.task.await;

    let second = house.open("127.0.0.0/8", "26060-26079").await;
    caller.socket.connect(second.udp).await.unwrap();
    caller.send(&invite).await;
    let ok = caller.hears("SIP/2.0 200").await;
    caller.send(&caller.request("ACK", 1, &tag(&ok), "")).await;
    caller.speak(sound_of(&ok), 60).await;
    caller.send(&caller.request("BYE", 2, &tag(&ok), "")).await;
    let call = house.settled().await;
    assert_eq!(call.call.unwrap().ended_by.as_deref(), Some("caller"));
    assert_eq!(call.recording.unwrap().state, "sealed");
    assert_eq!(house.calls().await.len(), 1, "taken in once");
    second.stop.soft.cancel();
    second.task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_during_the_message_leaves_a_partial_recording() {
    for (state, killed) in [("partial", true), ("sealed", false)] {
        let house = House::new().await;
        let first = house.open("127.0.0.0/8", "26080-26099").await;
        let caller = Caller::new(first.udp, "five").await;
        let (_, sound) = caller.call().await;
        caller.speak(sound, 100).await;
        // The engine seals what it has as it goes; a process that is killed does not come to that.
        first.task.abort();
        let _ = first.task.await;
        let files = std::fs::read_dir(house.core.blobs.recordings_folder()).unwrap();
        let manifests = files
            .map(|file| file.unwrap().path())
            .filter(|file| file.extension().is_some_and(|ending| ending == "vman"));
        let manifests: Vec<_> = manifests.collect();
        assert_eq!(manifests.len(), 1);
        if killed {
            std::fs::remove_file(&manifests[0]).unwrap();
        }
        let second = house.open("127.0.0.0/8", "26080-26099").await;
        let call = house.settled().await;
        assert_eq!(call.call.unwrap().ended_by.as_deref(), Some("crash"));
        let recording = call.recording.unwrap();
        assert!(recording.state == state && recording.duration_ms() > 500, "{recording:?}");
        assert!(manifests[0].exists());
        second.stop.soft.cancel();
        second.task.await.unwrap();
    }
}

/// Goes red where the next start closes it like any other that a crash left.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_to_be_discarded_when_the_daemon_died_is_gone_after_it() {
    let house = House::new().await;
    let first = house.open("127.0.0.0/8", "26220-26239").await;
    let caller = Caller::new(first.udp, "nine").await;
    let (_, sound) = caller.call().await;
    caller.speak(sound, 60).await;
    let id = house.calls().await.remove(0).recording.unwrap().id;
    // An order that is lost on its way: who makes the recording never hears of it.
    let (orders, _lost) = tokio::sync::mpsc::channel(1);
    let entered = house.core.recordings.enter(&id, orders);
    let core = house.core.clone();
    let discarding = tokio::spawn(async move { core.recordings.discard(&Actor::System, &id, &core.blobs).await });
    let refused = discarding.await.unwrap();
    assert!(matches!(refused, Err(CoreError::Unanswered(_))), "{refused:?}");
    drop(entered);
    first.task.abort();
    let _ = first.task.await;
    let files = || std::fs::read_dir(house.core.blobs.recordings_folder()).unwrap().count();
    assert_eq!(files(), 2, "sound and manifest");

    let second = house.open("127.0.0.0/8", "26220-26239").await;
    let call = house.settled().await;
    assert_eq!((call.recording.unwrap().state.as_str(), files()), ("failed", 0));
    second.stop.soft.cancel();
    second.task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_hangs_up_and_keeps_what_was_said() {
    let house = House::new().await;
    let running = house.open("127.0.0.0/8", "26100-26119").await;
    let caller = Caller::new(running.udp, "six").await;
    let (_, sound) = caller.call().await;
    caller.speak(sound, 60).await;
    running.stop.soft.cancel();
    let bye = caller.hears("BYE ").await;
    let copied = bye
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with("Route") && !line.is_empty())
        .collect::<Vec<_>>()
        .join("\r\n");
    caller.send(&format!("SIP/2.0 200 OK\r\n{copied}\r\n\r\n")).await;
    let exit = tokio::time::timeout(Duration::from_secs(5), running.task)
        .await
        .expect("the stop took too long");
    assert_eq!(exit.unwrap(), Exit::Stopped);
    let call = house.settled().await;
    assert_eq!(call.call.unwrap().ended_by.as_deref(), Some("shutdown"));
    assert_eq!(call.recording.unwrap().state, "sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_the_answer_sends_the_caller_elsewhere() {
    let house = House::new().await;
    let running = house.open("127.0.0.0/8", "26200-26219").await;
    let caller = Caller::new(running.udp, "eight").await;
    let reliable = caller.invite().replacen("Content-", "Require: 100rel\r\nContent-", 1);
    caller.send(&reliable).await;
    caller.hears("SIP/2.0 183").await;
    running.stop.soft.cancel();
    // What its trunk falls back on, and not that nobody is there.
    let refused = caller.hears("SIP/2.0 503").await;
    assert!(refused.contains("\r\nRetry-After: 5\r\n"), "{refused}");
    caller
        .send(&caller.request("ACK", 1, &tag(&refused), "").replace("ACK-1", "INVITE-1"))
        .await;
    assert_eq!(running.task.await.unwrap(), Exit::Stopped);
    let call = house.settled().await;
    assert_eq!(call.call.unwrap().ended_by.as_deref(), Some("shutdown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_starts_nothing() {
    let house = House::new().await;
    let running = house.open("192.0.2.0/24", "26120-26139").await;
    let caller = Caller::new(running.udp, "seven").await;
    caller.send(&caller.invite()).await;
    caller.hears("SIP/2.0 403").await;
    assert!(house.calls().await.is_empty());
    running.stop.soft.cancel();
    assert_eq!(running.task.await.unwrap(), Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_calls_at_once_lose_nothing() {
    let house = House::new().await;
    let running = house.open("127.0.0.0/8", "26140-26199").await;
    let calls = (0..20).map(|number| {
        let to = running.udp;
        tokio::spawn(async move {
            let caller = Caller::new(to, &format!("many{number}")).await;
            let (tag, sound) = caller.call().await;
            caller.speak(sound, 50).await;
            caller.send(&caller.request("BYE", 2, &tag, "")).await;
            caller.hears("SIP/2.0 200").await;
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    running.stop.soft.cancel();
    assert_eq!(running.task.await.unwrap(), Exit::Stopped, "it waits for every recording");
    let calls = house.calls().await;
    assert_eq!(calls.len(), 20);
    for call in calls {
        assert_eq!(call.call.unwrap().ended_by.as_deref(), Some("caller"));
        assert_eq!(call.recording.unwrap().state, "sealed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_hears_a_trunk_or_says_what_is_wrong() {
    let pbx = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = pbx.local_addr().unwrap();
    let answer = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        let (length, from) = pbx.recv_from(&mut buffer).await.unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        let head = text.split_once("\r\n").unwrap().1;
        pbx.send_to(format!("SIP/2.0 200 OK\r\n{head}").as_bytes(), from).await.unwrap();
    });
    let found = voxea_sip::probe(&peer::config_of_trunk(&address.to_string())).await.unwrap();
    assert!(
        found.contains("trunk pbx") && found.ends_with("answers OPTIONS with 200"),
        "{found}"
    );
    answer.await.unwrap();
    let problem = voxea_sip::probe(&peer::config_of_trunk("nowhere.invalid")).await.unwrap_err();
    assert!(problem.contains("its name is not known"), "{problem}");
}

/// A PBX that holds and sends nothing meanwhile, for longer than either limit of a call that is not held.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_hold_ends_at_no_limit_but_its_own() {
    for (limit, forgotten, end) in [(60, false, "caller"), (2, true, "rtp_timeout")] {
        let house = House::new().await;
        let line = format!("silence_seconds = 1\nrtp_timeout_seconds = 1\nhold_seconds = {limit}");
        let running = house.open_with("127.0.0.0/8", "26200-26219", &line).await;
        let caller = Caller::new(running.udp, "held").await;
        let (tag, sound) = caller.call().await;
        // Greeting and beep, and half a second of the message.
        caller.speak(sound, 50).await;
        let held = offer(caller.sound.local_addr().unwrap()).replace("a=sendrecv", "a=inactive");
        let held = if held.contains("a=inactive") {
            held
        } else {
            format!("{held}a=inactive\r\n")
        };
        let begun = std::time::Instant::now();
        caller.send(&caller.request("INVITE", 2, &tag, &held)).await;
        caller.hears("SIP/2.0 200").await;
        caller.send(&caller.request("ACK", 2, &tag, "")).await;
        if forgotten {
            caller.hears("BYE ").await;
            assert!(begun.elapsed() >= Duration::from_millis(1_900), "{:?}", begun.elapsed());
        } else {
            let ended = tokio::time::timeout(Duration::from_millis(2_500), caller.hears("BYE ")).await;
            assert!(ended.is_err(), "the hold outlives both limits");
            caller.send(&caller.request("BYE", 3, &tag, "")).await;
            caller.hears("SIP/2.0 200").await;
        }
        let call = house.settled().await;
        assert_eq!(call.call.unwrap().ended_by.as_deref(), Some(end));
        running.stop.hard.cancel();
        running.task.await.unwrap();
    }
}
