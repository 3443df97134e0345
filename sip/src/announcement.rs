//! What a caller hears before the message, and what the keys do meanwhile.
//!
//! ```text
//! emergency -> menu -> pause -> greeting -> (the choice is stored) -> beep -> recording
//!               ^  |             closed and no messages: -> tail -> hang up
//!               '--' once, after a key that chooses nothing
//! 9, at any time before the recording: -> refusal -> tail -> hang up
//! ```
//!
//! A machine without clock: whoever plays the clips asks for the next one when one is over, and tells of keys.

use crate::dtmf::{Digit, Keys};

/// How often the beep waits for a choice that is not stored yet; with [`Clip::Wait`] of 100 ms that is 5 s.
const WAITS: u32 = 50;

/// What is said on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Whether a sentence for emergencies comes first.
    pub emergency: bool,
    /// The keys that choose something; without any there is no menu.
    pub menu: Keys,
    /// Whether a message is taken.
    pub records: bool,
    /// Whether a beep stands before it.
    pub beep: bool,
}

/// A piece of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clip {
    /// Whom to call in an emergency.
    Emergency,
    /// Which key chooses what.
    Menu,
    /// Silence in which a key is waited for.
    Pause,
    /// The greeting, or what is said outside the opening hours.
    Greeting,
    /// Silence of 100 ms in which the choice is being stored.
    Wait,
    /// The beep.
    Beep,
    /// Two low tones: nothing is recorded.
    Refusal,
    /// A little silence, so that hanging up cuts off no word.
    Tail,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Play this, then ask again.
    Play(Clip),
    /// The message begins.
    Record,
    /// The call is to be hung up.
    HangUp,
}

/// What a key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reaction {
    /// It chose something.
    pub chosen: Option<Digit>,
    /// It refused the recording.
    pub refused: bool,
    /// What is playing ends here: ask for the next step.
    pub cut: bool,
}

/// The announcement of one call.
#[derive(Debug)]
pub struct Announcement {
    plan: Plan,
    at: At,
    chosen: bool,
    /// The choice is not stored yet.
    pending: bool,
    waits: u32,
    replayed: bool,
}

/// Where it is: what was asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Emergency,
    Menu,
    Pause,
    Greeting,
    Wait,
    Beep,
    Recording,
    /// The recording was refused; the tones come next.
    Refused,
    Refusal,
    Tail,
    Over,
}

impl Announcement {
    /// One of which nothing was played yet.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            at: At::Start,
            chosen: false,
            pending: false,
            waits: 0,
            replayed: false,
        }
    }

    /// What comes after what was asked for last.
    pub fn step(&mut self) -> Step {
        let play = |at, clip| (at, Step::Play(clip));
        let (at, step) = match self.at {
            At::Start if self.plan.emergency => play(At::Emergency, Clip::Emergency),
            At::Start | At::Emergency if !self.plan.menu.is_empty() && !self.chosen => play(At::Menu, Clip::Menu),
            At::Menu => play(At::Pause, Clip::Pause),
            At::Start | At::Emergency | At::Pause => play(At::Greeting, Clip::Greeting),
            At::Greeting if !self.plan.records => play(At::Tail, Clip::Tail),
            At::Greeting | At::Wait if self.pending && self.waits < WAITS => {
                self.waits += 1;
                play(At::Wait, Clip::Wait)
            }
            At::Greeting | At::Wait if self.plan.beep => play(At::Beep, Clip::Beep),
            At::Greeting | At::Wait | At::Beep | At::Recording => (At::Recording, Step::Record),
            At::Refused => play(At::Refusal, Clip::Refusal),
            At::Refusal => play(At::Tail, Clip::Tail),
            At::Tail | At::Over => (At::Over, Step::HangUp),
        };
        self.at = at;
        step
    }

    /// A key was pressed before the recording began. Whoever reads keys late may tell of it when the recording has begun.
    pub const fn press(&mut self, digit: Digit) -> Reaction {
        let mut reaction = Reaction {
            chosen: None,
            refused: false,
            cut: false,
        };
        if matches!(self.at, At::Refused | At::Refusal | At::Tail | At::Over) {
            return reaction;
        }
        let in_menu = matches!(self.at, At::Menu | At::Pause);
        if digit.code() == Digit::NINE.code() {
            self.at = At::Refused;
            reaction.refused = true;
            reaction.cut = true;
        } else if self.chosen {
            // The first choice stands: what it chose is being stored.
        } else if self.plan.menu.contains(digit) {
            self.chosen = true;
            self.pending = true;
            reaction.chosen = Some(digit);
            reaction.cut = in_menu;
            if in_menu {
                self.at = At::Pause;
            }
        } else if in_menu {
            // From before the menu once more, or on from its end.
            self.at = if self.replayed { At::Pause } else { At::Emergency };
            self.replayed = true;
            reaction.cut = true;
        }
        reaction
    }

    /// The choice is stored: the beep need not wait.
    pub const fn stored(&mut self) {
        self.pending = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(sign: char) -> Digit {
        Digit::of_char(sign).unwrap()
    }

    fn plan() -> Plan {
        Plan {
            emergency: true,
            menu: [key('1'), key('2')].into_iter().collect(),
            records: true,
            beep: true,
        }
    }

    /// Everything that is played; before the step of each number the keys are pressed.
    fn heard(plan: Plan, keys: &[(usize, char)], stores: bool) -> (Vec<Clip>, Step, Vec<Digit>) {
        let mut announcement = Announcement::new(plan);
        let (mut clips, mut chosen) = (Vec::new(), Vec::new());
        for number in 0..200 {
            for (_, sign) in keys.iter().filter(|(at, _)| *at == number) {
                let reaction = announcement.press(key(*sign));
                chosen.extend(reaction.chosen);
                if stores {
                    announcement.stored();
                }
            }
            match announcement.step() {
                Step::Play(clip) => clips.push(clip),
                end => return (clips, end, chosen),
            }
        }
        panic!("it never ends: {clips:?}")
    }

    #[test]
    fn a_plain_line_greets_and_beeps() {
        use Clip::{Beep, Greeting};
        let plain = Plan {
            emergency: false,
            menu: Keys::default(),
            ..plan()
        };
        assert_eq!(heard(plain, &[], true), (vec![Greeting, Beep], Step::Record, vec![]));
        let silent = Plan { beep: false, ..plain };
        assert_eq!(heard(silent, &[], true), (vec![Greeting], Step::Record, vec![]));
        // Keys that are no menu's change nothing.
        assert_eq!(
            heard(plain, &[(1, '1'), (2, '#')], true),
            (vec![Greeting, Beep], Step::Record, vec![])
        );
    }

    #[test]
    fn a_key_chooses_once_and_ends_the_menu() {
        use Clip::{Beep, Emergency, Greeting, Menu, Pause};
        let all = vec![Emergency, Menu, Pause, Greeting, Beep];
        assert_eq!(heard(plan(), &[], true), (all.clone(), Step::Record, vec![]));
        let during_menu = heard(plan(), &[(2, '2'), (3, '1')], true);
        assert_eq!(
            during_menu,
            (vec![Emergency, Menu, Greeting, Beep], Step::Record, vec![key('2')]),
            "the first choice stands"
        );
        let early = heard(plan(), &[(1, '1')], true);
        assert_eq!(early, (vec![Emergency, Greeting, Beep], Step::Record, vec![key('1')]));
        let late = heard(plan(), &[(4, '1')], true);
        assert_eq!(late, (all.clone(), Step::Record, vec![key('1')]));
        let later = heard(plan(), &[(5, '1')], true);
        assert_eq!(later, (all, Step::Record, vec![key('1')]));
    }

    #[test]
    fn an_unknown_key_replays_the_menu_once() {
        use Clip::{Beep, Emergency, Greeting, Menu, Pause};
        let once = heard(plan(), &[(2, '7')], true);
        assert_eq!(once.0, [Emergency, Menu, Menu, Pause, Greeting, Beep]);
        let in_the_pause = heard(plan(), &[(3, '*'), (4, '1')], true);
        assert_eq!(in_the_pause.0, [Emergency, Menu, Pause, Menu, Greeting, Beep]);
        assert_eq!(in_the_pause.2, [key('1')]);
        let twice = heard(plan(), &[(2, '7'), (3, '7')], true);
        assert_eq!((twice.0, twice.2), (vec![Emergency, Menu, Menu, Greeting, Beep], vec![]));
        // Whoever did not hear the menu yet is not told again.
        assert_eq!(heard(plan(), &[(1, '7')], true).0, [Emergency, Menu, Pause, Greeting, Beep]);
    }

    #[test]
    fn nine_refuses_at_any_time_before_the_message() {
        use Clip::{Refusal, Tail};
        for at in 0..=5 {
            let (clips, end, chosen) = heard(plan(), &[(at, '9'), (at + 1, '1')], true);
            assert_eq!(clips[at..], [Refusal, Tail], "after {at} clips");
            assert_eq!((end, chosen), (Step::HangUp, vec![]));
        }
        // Read late: by the player's clock the recording has begun.
        let mut announcement = Announcement::new(Plan {
            emergency: false,
            menu: Keys::default(),
            ..plan()
        });
        while announcement.step() != Step::Record {}
        assert!(announcement.press(Digit::NINE).refused);
        assert_eq!(announcement.step(), Step::Play(Refusal));
        assert!(!announcement.press(Digit::NINE).refused, "once");
    }

    #[test]
    fn a_line_without_messages_hangs_up_after_its_greeting() {
        use Clip::{Emergency, Greeting, Menu, Pause, Tail};
        let closed = Plan { records: false, ..plan() };
        let (clips, end, _) = heard(closed, &[], true);
        assert_eq!((clips, end), (vec![Emergency, Menu, Pause, Greeting, Tail], Step::HangUp));
    }

    #[test]
    fn the_beep_waits_for_the_choice_and_not_for_ever() {
        let waits = |stores| {
            let (clips, end, _) = heard(plan(), &[(1, '1')], stores);
            assert_eq!((clips.last(), end), (Some(&Clip::Beep), Step::Record));
            clips.iter().filter(|clip| **clip == Clip::Wait).count()
        };
        assert_eq!((waits(true), waits(false)), (0, 50));
    }

    proptest! {
        #[test]
        fn whatever_is_pressed_it_ends(keys in prop::collection::vec((0_usize..60, 0_u8..16), 0..40), emergency: bool, records: bool, beep: bool, stores: bool) {
            let plan = Plan { emergency, records, beep, ..plan() };
            let keys: Vec<(usize, char)> = keys.into_iter().map(|(at, code)| (at, b"0123456789*#ABCD"[usize::from(code)] as char)).collect();
            let (clips, end, chosen) = heard(plan, &keys, stores);
            prop_assert!(clips.len() <= 60 && chosen.len() <= 1);
            prop_assert!(clips.iter().filter(|clip| **clip == Clip::Menu).count() <= 2);
            prop_assert_eq!(end == Step::Record, clips.last() != Some(&Clip::Tail));
            prop_assert_eq!(emergency, clips.first() == Some(&Clip::Emergency) || keys.iter().any(|(at, sign)| *at == 0 && *sign == '9') && emergency);
        }
    }
}
