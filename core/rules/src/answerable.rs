//! Whom a text may be sent to that nobody asked for: an acknowledgement, a confirmation of a STOP.
//!
//! Two machines that answer each other never end, and each round is paid for. So an automatic answer goes to numbers of
//! people alone: never to a short code or to a name, never to a range from which machines send, never to ourselves, and
//! never to a number that costs more than a text. A person who answers from the desk is not asked any of this.

use std::fmt;

use crate::phone::Address;

/// Why a sender gets no automatic answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Silence {
    /// A short code: a service, mostly a machine.
    Short,
    /// A name, which cannot be answered at all.
    Named,
    /// Nobody knows who it is.
    Withheld,
    /// Not a number that can be dialled.
    NoNumber,
    /// One of our own numbers.
    Ourselves,
    /// A French range from which machines send: 09 37 to 09 39.
    Machine,
    /// A number of a paid service or of a satellite, for which a text costs many times as much.
    Costly,
}

impl Silence {
    /// For metrics and logs: one word, no personal data.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Named => "named",
            Self::Withheld => "withheld",
            Self::NoNumber => "no_number",
            Self::Ourselves => "ourselves",
            Self::Machine => "machine",
            Self::Costly => "costly",
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a sender may get an automatic answer. `ours` are the numbers that we text from and are texted at, spelled as
/// [`crate::phone::normalise`] spells them.
///
/// # Errors
/// [`Silence`] says why not.
pub fn may_be_answered<'a>(sender: &Address, ours: impl IntoIterator<Item = &'a str>) -> Result<(), Silence> {
    if ours.into_iter().any(|number| number == sender.as_str()) {
        return Err(Silence::Ourselves);
    }
    match sender {
        Address::Short(_) => Err(Silence::Short),
        Address::Named(_) => Err(Silence::Named),
        Address::Withheld(_) => Err(Silence::Withheld),
        Address::Other(_) => Err(Silence::NoNumber),
        Address::International(number) => dialled(number),
    }
}

fn dialled(number: &str) -> Result<(), Silence> {
    /// Of France: machines (Arcep's numbering plan), and services that cost more than a call.
    const MACHINES: [&str; 3] = ["+33937", "+33938", "+33939"];
    const SERVICES: &str = "+338";
    /// ITU-T E.164: shared-cost and premium services of the whole world, and satellites.
    const GLOBAL: [&str; 7] = ["+808", "+870", "+878", "+881", "+882", "+883", "+979"];
    /// Of a French number, with the country's code (Arcep); what is shorter is a short code that an SMSC has put a country before.
    const FRENCH: usize = "+33612345678".len();
    let begins = |known: &[&str]| known.iter().any(|code| number.starts_with(code));
    if number.starts_with("+33") && number.len() < FRENCH {
        return Err(Silence::Short);
    }
    if begins(&MACHINES) {
        Err(Silence::Machine)
    } else if begins(&[SERVICES]) || begins(&GLOBAL) {
        Err(Silence::Costly)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::{normalise, normalise_smpp, ton};
    use proptest::prelude::*;

    fn of(sender: &str) -> Result<(), Silence> {
        may_be_answered(&normalise(sender, "FR"), ["36123", "+33140205050"])
    }

    #[test]
    fn people_are_answered() {
        for sender in [
            "0612345678",
            "+33712345678",
            "0692123456",
            "0139123456",
            "0972123456",
            "+447911123456",
            "+12025550143",
            "0936123456",
        ] {
            assert_eq!(of(sender), Ok(()), "{sender}");
        }
    }

    #[test]
    fn machines_are_not() {
        use Silence::{Costly, Machine, Named, NoNumber, Ourselves, Short, Withheld};
        for (sender, why) in [
            ("36123", Ourselves),
            ("01 40 20 50 50", Ourselves),
            ("36124", Short),
            ("3000", Short),
            ("118218", Short),
            ("+3336123", Short),
            ("+3338001", Short),
            ("MAIRIE", Named),
            ("Info 2026", Named),
            ("La Poste", Named),
            ("", Withheld),
            ("anonymous", Withheld),
            ("12", NoNumber),
            ("*31#", NoNumber),
            ("0937123456", Machine),
            ("+33939123456", Machine),
            ("0899123456", Costly),
            ("+979123456789", Costly),
            ("+881612345678", Costly),
        ] {
            assert_eq!(of(sender), Err(why), "{sender}");
            assert_eq!(why.to_string(), why.as_str());
        }
        // As an SMSC tells it: digits may be a name, and a name may come as anything.
        for (sender, ton, why) in [
            ("3612345", ton::ABBREVIATED, Short),
            ("IMPOTS2026001", ton::ALPHANUMERIC, Named),
            ("MAIRIE", ton::INTERNATIONAL, Named),
        ] {
            assert_eq!(may_be_answered(&normalise_smpp(sender, ton, "FR"), []), Err(why), "{sender}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_a_number_is_answered(sender in "\\PC{0,20}|[0-9]{1,8}", ton in 0_u8..8) {
            let address = normalise_smpp(&sender, ton, "FR");
            if may_be_answered(&address, []).is_ok() {
                let digits = address.international_digits();
                prop_assert!(digits.is_some_and(|digits| digits.len() >= 7 && digits.bytes().all(|byte| byte.is_ascii_digit())));
            }
        }
    }
}
