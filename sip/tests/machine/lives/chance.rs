//! Chance that plays the same again from the same seed, and the lives that it draws.

use std::time::Duration;

/// SplitMix64: small, and no two of the worlds' streams meet.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub(crate) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len() as u64) as usize]
    }

    /// Up to so many milliseconds.
    pub(crate) fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }
}

/// What a caller does inside the dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Hold,
    Resume,
    Offerless,
    /// An offer with nothing for us: 488.
    Useless,
    /// A re-INVITE that moves the Contact.
    Move,
    /// Two re-INVITEs at once: the second is 491, or waits.
    Glare,
    Update,
    UpdateWithOffer,
    Info,
    Options,
    /// OPTIONS outside of the dialog.
    Outside,
    /// A CSeq that was used up: 500.
    Old,
    /// 405.
    Refer,
    /// 501.
    Unknown,
    /// A BYE with a tag of nobody: 481.
    Stray,
    /// A CANCEL of what has its final answer.
    LateCancel,
}

/// What the user of the endpoint does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Reject(u16),
    HangUp,
    /// A reliable 183 first, and then no answer.
    Announce,
    /// The store never answers.
    Never,
}

/// One life, drawn before it begins.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) begin: Duration,
    pub(crate) tcp: bool,
    pub(crate) dialled: &'static str,
    /// The body of the INVITE and of the ACK.
    pub(crate) offer: Offer,
    /// Header lines of the INVITE, session timers for instance.
    pub(crate) extra: String,
    pub(crate) verdict: Verdict,
    pub(crate) thinks: Duration,
    pub(crate) cancel: Option<Duration>,
    /// A copy of the INVITE on another branch.
    pub(crate) merged: Option<Duration>,
    /// After our 200.
    pub(crate) deeds: Vec<(Duration, Deed)>,
    /// After our 200; whoever is first ends the call.
    pub(crate) bye: Option<Duration>,
    pub(crate) hang_up: Option<Duration>,
    /// It falls silent for good.
    pub(crate) vanish: Option<Duration>,
    /// It never confirms a 200.
    pub(crate) no_ack: bool,
    /// It repeats itself five times as often as it may.
    pub(crate) impatient: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    InInvite,
    InAck,
    /// Neither has one.
    Nowhere,
    /// A codec that we have not: 488.
    Useless,
    /// A body of another type: 415.
    Text,
}

impl Plan {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        const DEEDS: [Deed; 16] = [
            Deed::Hold,
            Deed::Resume,
            Deed::Offerless,
            Deed::Useless,
            Deed::Move,
            Deed::Glare,
            Deed::Update,
            Deed::UpdateWithOffer,
            Deed::Info,
            Deed::Options,
            Deed::Outside,
            Deed::Old,
            Deed::Refer,
            Deed::Unknown,
            Deed::Stray,
            Deed::LateCancel,
        ];
        let talk = chance.pick(&[0, 50, 2_000, 30_000, 150_000, 600_000]);
        let mut extra = String::new();
        if chance.percent(60) {
            extra += "Allow: INVITE, ACK, BYE, UPDATE\r\n";
        }
        if chance.percent(50) {
            let seconds = chance.pick(&[30, 90, 120, 300, 1_800]);
            let who = chance.pick(&["", ";refresher=uac", ";refresher=uas"]);
            extra += &format!("Supported: timer\r\nSession-Expires: {seconds}{who}\r\n");
        }
        if chance.percent(5) {
            extra += "Require: nothing-known\r\n";
        }
        if chance.percent(20) {
            extra += chance.pick(&["Require: 100rel\r\n", "Supported: 100rel\r\n"]);
        }
        if chance.percent(10) {
            extra += "Record-Route: <sip:192.0.2.7;lr>\r\n";
        }
        let verdict = match chance.below(20) {
            0 => Verdict::Reject(486),
            1 => Verdict::Reject(603),
            2 => Verdict::HangUp,
            3 => Verdict::Never,
            4 => Verdict::Announce,
            _ => Verdict::Accept,
        };
        let many = if chance.percent(60) { chance.below(6) } else { 0 };
        let some = |chance: &mut Chance, share, most| chance.percent(share).then(|| chance.millis(most));
        Self {
            begin: chance.millis(120_000),
            tcp: chance.percent(25),
            dialled: if chance.percent(4) { "4000" } else { "3000" },
            offer: match chance.below(20) {
                0..=13 => Offer::InInvite,
                14..=16 => Offer::InAck,
                17 => Offer::Nowhere,
                18 => Offer::Useless,
                _ => Offer::Text,
            },
            extra,
            verdict,
            thinks: chance.pick(&[0, 30, 190, 600, 4_000]) * Duration::from_millis(1) + chance.millis(50),
            cancel: some(chance, 20, 4_000),
            merged: some(chance, 8, 3_000),
            deeds: (0..many).map(|_| (chance.millis(talk.min(200_000)), chance.pick(&DEEDS))).collect(),
            bye: some(chance, 70, talk),
            // Sound that stays away ends any call; so nobody stays for ever.
            hang_up: if chance.percent(40) {
                Some(chance.millis(talk))
            } else {
                Some(Duration::from_secs(3_600))
            },
            vanish: some(chance, 10, talk + 5_000),
            no_ack: chance.percent(5),
            impatient: chance.percent(10),
        }
    }
}
