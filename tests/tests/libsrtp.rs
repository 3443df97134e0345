//! Encrypted sound with libsrtp at the other end, both suites: what it seals is recorded, what we seal it opens, reports as
//! well; what somebody else seals, or plays again, is neither heard nor answered.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::{sleep_until, timeout};
use voxea_tests::libsrtp::Libsrtp;
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::sip::{Answer, Call, Invite, rtp};
use voxea_tests::voicemail::{self, heard, interaction, speech};

const FRAME: usize = 160;
/// Packets that are said: three seconds.
const FRAMES: usize = 150;
/// The first number: it turns while the caller speaks.
const FIRST: usize = 65_536 - 40;

/// Octets in base64, as keys are written (RFC 4648 §4), and back.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(octets: &[u8]) -> String {
    let mut text = String::new();
    for chunk in octets.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, octet| word << 8 | u32::from(*octet)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}

fn octets(base64: &str) -> Result<Vec<u8>> {
    let (mut word, mut bits, mut octets) = (0_u32, 0, Vec::new());
    for digit in base64.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit).context("no base64")?;
        word = word << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            octets.push((word >> bits) as u8);
        }
    }
    Ok(octets)
}

/// A receiver report of the source 0x5EED about nobody, with a name (RFC 3550 §6.4.2, §6.5).
fn report() -> Vec<u8> {
    let mut octets = vec![0x80, 201, 0, 1, 0, 0, 0x5E, 0xED];
    octets.extend([0x81, 202, 0, 2, 0, 0, 0x5E, 0xED, 1, 1, b'x', 0]);
    octets
}

async fn story(suite: &str, length: usize, ports: &str) -> Result<()> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{}",
        voicemail::line("silence_seconds = 60")
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let mut libsrtp = Libsrtp::start()?;
    let key: Vec<u8> = (0..length).map(|at| (at * 7 + 3) as u8).collect();
    let mut invite = Invite::new("+33612000001", "3000");
    invite.listen = false;
    invite.media = vec![format!("a=crypto:1 {suite} inline:{}|2^31", base64(&key)), "a=rtcp-mux".to_owned()];
    let Answer::Up(call) = Call::place(running.sip().await?, &invite).await? else {
        bail!("{suite} was refused")
    };
    let theirs = call
        .description
        .lines()
        .find_map(|line| line.strip_prefix(&format!("a=crypto:1 {suite} inline:")));
    let theirs = octets(theirs.with_context(|| format!("no key in the answer:\n{}", call.description))?)?;
    ensure!(theirs.len() == length, "a key of {} octets", theirs.len());
    libsrtp.open("ours", suite, "out", &key).await?;
    libsrtp.open("theirs", suite, "in", &theirs).await?;
    let stranger: Vec<u8> = key.iter().map(|octet| octet ^ 1).collect();
    libsrtp.open("stranger", suite, "out", &stranger).await?;

    let said = &speech()?[..FRAMES * FRAME];
    let (socket, to) = call.rtp();
    let (mut sealed, mut wrong) = (Vec::new(), Vec::new());
    for (number, frame) in said.chunks(FRAME).enumerate() {
        sealed.push(libsrtp.packet("ours", "protect", &rtp(8, FIRST + number, 0x5EED, frame)).await?);
        let foreign = rtp(8, FIRST + number, 0x5EED, &[0xEE; FRAME]);
        wrong.push(libsrtp.packet("stranger", "protect", &foreign).await?);
    }
    let reported = libsrtp.packet("ours", "protect_rtcp", &report()).await?;

    // Greeting and beep are 0.5 s; what is said before their end is not recorded.
    let begun = Instant::now() + Duration::from_millis(1_000);
    let (mut came, mut buffer) = (Vec::new(), [0; 2_048]);
    for (number, packet) in sealed.iter().enumerate() {
        let due = begun + Duration::from_millis(20) * number as u32;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(due.into()) => break,
                length = socket.recv(&mut buffer) => came.push(buffer[..length?].to_vec()),
            }
        }
        socket.send_to(&wrong[number], to).await?;
        socket.send_to(packet, to).await?;
        socket.send_to(packet, to).await?;
        if number % 50 == 0 {
            // The same report again is none.
            socket.send_to(&reported, to).await?;
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    call.hang_up().await?;
    // Up to its last report, which says goodbye.
    while let Ok(length) = timeout(Duration::from_millis(500), socket.recv(&mut buffer)).await {
        came.push(buffer[..length?].to_vec());
    }
    let (mut sound, mut kinds) = (Vec::new(), Vec::new());
    for packet in &came {
        if (192..224).contains(&packet[1]) {
            let opened = libsrtp.packet("theirs", "unprotect_rtcp", packet).await?;
            kinds.push((opened[1], opened.windows(2).any(|pair| pair == [0x81, 203])));
        } else {
            let opened = libsrtp.packet("theirs", "unprotect", packet).await?;
            sound.extend_from_slice(&opened[12..]);
        }
    }
    ensure!(sound.len() / FRAME > 180, "{} packets came", sound.len() / FRAME);
    ensure!(sound.iter().any(|octet| *octet != 0xD5), "greeting and beep are in it");
    ensure!(
        kinds.len() >= 2 && kinds.last() == Some(&(200, true)),
        "sender reports and a goodbye: {kinds:?}"
    );

    let shown = interaction(&running, &voicemail::only(&running).await?).await?;
    ensure!(shown["recording"]["state"] == "sealed", "{shown}");
    let (left, _) = heard(&running, &shown).await?;
    ensure!(
        left.windows(said.len()).any(|found| found == said),
        "every octet that libsrtp sealed is in it, once"
    );
    ensure!(
        !left.windows(FRAME).any(|found| found == [0xEE; FRAME]),
        "and nothing that somebody else sealed"
    );
    let quality = &shown["call"]["quality"];
    ensure!(
        quality["received"] == FRAMES && quality["lost"] == 0 && quality["duplicated"] == 0,
        "{quality}"
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libsrtp_in_counter_mode() -> Result<()> {
    story("AES_CM_128_HMAC_SHA1_80", 30, "28320-28339").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libsrtp_in_galois_counter_mode() -> Result<()> {
    story("AEAD_AES_128_GCM", 28, "28340-28359").await
}
