//! Nonces that no table holds, and the table of those that were used.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ring::hmac;

use super::hex;

/// How long a nonce may be used.
pub(super) const LIFE: Duration = Duration::from_secs(300);
/// Used nonces that are remembered, some 3 MB at most. Beyond, the oldest ones count as stale, which costs their users
/// one more round trip.
const USED: usize = 65_536;
/// Octets of the HMAC that a nonce carries.
const MAC: usize = 16;

/// When a nonce was made, in milliseconds since the first one, and its number.
type Place = (u64, u32);

/// What a nonce is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is ours, it is fresh, and its count has risen.
    Fresh,
    /// It is too old, not of this process or trunk, or its count has been used.
    Stale,
}

/// Makes nonces and takes them back.
pub(super) struct Nonces {
    key: hmac::Key,
    begun: Option<Instant>,
    serial: u32,
    /// The highest count of each nonce that was used.
    used: BTreeMap<Place, u32>,
    /// Nonces up to this one count as stale: their entries made room.
    floor: Place,
}

impl Nonces {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        // The same secret makes tags: what is signed here must never be one.
        let own = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"nonces");
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, own.as_ref()),
            begun: None,
            serial: 0,
            used: BTreeMap::new(),
            floor: (0, 0),
        }
    }

    fn clock(&mut self, now: Instant) -> u64 {
        let begun = *self.begun.get_or_insert(now);
        u64::try_from(now.saturating_duration_since(begun).as_millis()).unwrap_or(u64::MAX)
    }

    fn mac(&self, place: Place, trunk: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&place.0.to_be_bytes());
        context.update(&place.1.to_be_bytes());
        context.update(trunk.as_bytes());
        hex(context.sign().as_ref().get(..MAC).unwrap_or_default())
    }

    /// A new one for a trunk.
    pub(super) fn make(&mut self, trunk: &str, now: Instant) -> String {
        // Number 0 is below every nonce, so that the first floor is.
        self.serial = self.serial.wrapping_add(1).max(1);
        let place = (self.clock(now), self.serial);
        let mut text = format!("{:012x}{:08x}", place.0, place.1);
        let _ = write!(text, "{}", self.mac(place, trunk));
        text
    }

    /// Uses a nonce with a count. To be asked only about right credentials: a stranger must not fill the table.
    pub(super) fn spend(&mut self, nonce: &str, trunk: &str, count: u32, now: Instant) -> Use {
        let Some(place) = self.read(nonce, trunk) else { return Use::Stale };
        let clock = self.clock(now);
        let oldest = clock.saturating_sub(u64::try_from(LIFE.as_millis()).unwrap_or(u64::MAX));
        // What is too old needs no entry any more.
        while self.used.first_key_value().is_some_and(|(first, _)| first.0 < oldest) {
            self.used.pop_first();
        }
        if place.0 < oldest || place <= self.floor {
            return Use::Stale;
        }
        if count == 0 || self.used.get(&place).is_some_and(|highest| count <= *highest) {
            return Use::Stale;
        }
        self.used.insert(place, count);
        if self.used.len() > USED
            && let Some((first, _)) = self.used.pop_first()
        {
            self.floor = first;
        }
        Use::Fresh
    }

    /// Reads a nonce of ours; `None` when we have not made it for this trunk.
    fn read(&self, nonce: &str, trunk: &str) -> Option<Place> {
        let digits = |range| nonce.get(range).filter(|text: &&str| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let place = (
            u64::from_str_radix(digits(0..12)?, 16).ok()?,
            u32::from_str_radix(digits(12..20)?, 16).ok()?,
        );
        let given = nonce.get(20..)?;
        same(&self.key, &self.mac(place, trunk), given).then_some(place)
    }

    /// Whether two texts are equal, in a time that tells nothing about where they differ.
    pub(super) fn same(&self, one: &str, other: &str) -> bool {
        same(&self.key, one, other)
    }
}

/// HMACs are compared in constant time by ring, and those of two texts tell nothing about the texts.
fn same(key: &hmac::Key, one: &str, other: &str) -> bool {
    hmac::verify(key, other.as_bytes(), hmac::sign(key, one.as_bytes()).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces() -> (Nonces, Instant) {
        (Nonces::new(&[7; 32]), Instant::now())
    }

    #[test]
    fn a_nonce_lives_five_minutes_and_its_count_rises() {
        let (mut nonces, start) = nonces();
        let nonce = nonces.make("pbx", start);
        for (count, expected) in [
            (0, Use::Stale),
            (1, Use::Fresh),
            (1, Use::Stale),
            (5, Use::Fresh),
            (4, Use::Stale),
            (u32::MAX, Use::Fresh),
        ] {
            assert_eq!(nonces.spend(&nonce, "pbx", count, start + LIFE), expected, "{count}");
        }
        let nonce = nonces.make("pbx", start);
        assert_eq!(nonces.spend(&nonce, "pbx", 1, start + LIFE + Duration::from_millis(1)), Use::Stale);
    }

    #[test]
    fn a_nonce_is_of_one_trunk_and_one_process_and_cannot_be_made_up() {
        let (mut nonces, start) = nonces();
        let nonce = nonces.make("pbx", start);
        assert_eq!(nonces.spend(&nonce, "other", 1, start), Use::Stale);
        assert_eq!(Nonces::new(&[8; 32]).spend(&nonce, "pbx", 1, start), Use::Stale);
        let mut changed = nonce.clone();
        changed.replace_range(11..12, if nonce.as_bytes()[11] == b'0' { "1" } else { "0" });
        for text in [
            "",
            "0",
            &changed,
            &nonce[..40],
            &format!("{nonce}0"),
            "+00000000001",
            "é",
            &"f".repeat(52),
        ] {
            assert_eq!(nonces.spend(text, "pbx", 1, start), Use::Stale, "{text}");
        }
        assert_eq!(nonces.spend(&nonce, "pbx", 1, start), Use::Fresh);
    }

    #[test]
    fn a_full_table_makes_the_oldest_stale_and_never_forgets_a_count() {
        let (mut nonces, start) = nonces();
        let all: Vec<String> = (0..USED + 10).map(|_| nonces.make("pbx", start)).collect();
        for nonce in &all {
            assert_eq!(nonces.spend(nonce, "pbx", 1, start), Use::Fresh);
        }
        assert_eq!(nonces.used.len(), USED);
        for nonce in &all {
            assert_eq!(nonces.spend(nonce, "pbx", 1, start), Use::Stale);
        }
        assert_eq!(nonces.spend(&all[0], "pbx", 2, start), Use::Stale, "its entry made room");
        assert_eq!(nonces.spend(&all[USED], "pbx", 2, start), Use::Fresh);
        let late = start + LIFE * 2;
        let fresh = nonces.make("pbx", late);
        assert_eq!(nonces.spend(&fresh, "pbx", 1, late), Use::Fresh);
        assert_eq!(nonces.used.len(), 1, "what is too old is gone");
    }
}
