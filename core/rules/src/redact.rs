//! Personal data as it may stand in a log: enough to follow one contact with its owner on the
//! telephone, too little to know who it was.
//!
//! `Display` and `Debug` print the same, so neither `%` nor `?` of a log line tells more. What
//! is shown has a fixed number of bullets: the length of a number is not told.

use std::fmt;

const HIDDEN: &str = "•••••";

/// A telephone number or another address of a call or text: `+336•••••78`.
///
/// Fewer than nine characters (short codes, extensions, names) show the first one only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Number<'a>(pub &'a str);

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chars: Vec<char> = self.0.chars().take(64).collect();
        let shown = match chars.as_slice() {
            [] => return f.write_str("(none)"),
            ['+', ..] if chars.len() >= 10 => 4,
            [first, ..] if chars.len() >= 9 && first.is_ascii_digit() => 2,
            _ => 1,
        };
        f.write_str(&chars[..shown].iter().collect::<String>())?;
        f.write_str(HIDDEN)?;
        if shown > 1 {
            f.write_str(&chars[chars.len() - 2..].iter().collect::<String>())?;
        }
        Ok(())
    }
}

/// A mail address: `j•••••@•••••.fr`. The domain is hidden too, for it is often a family name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mail<'a>(pub &'a str);

impl fmt::Display for Mail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((local, domain)) = self.0.rsplit_once('@') else {
            return f.write_str(HIDDEN);
        };
        let first = local.chars().next().filter(char::is_ascii_alphanumeric);
        let top = domain
            .rsplit_once('.')
            .map(|(_, top)| top)
            .filter(|top| (2..=8).contains(&top.len()) && top.bytes().all(|byte| byte.is_ascii_alphabetic()));
        if let Some(first) = first {
            write!(f, "{first}")?;
        }
        write!(f, "{HIDDEN}@{HIDDEN}")?;
        match top {
            Some(top) => write!(f, ".{top}"),
            None => Ok(()),
        }
    }
}

/// A citizen's words: only how many characters there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} characters)", self.0.chars().count())
    }
}

/// An address of which the kind is not known: with `@` as [`Mail`], else as [`Number`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Who<'a>(pub &'a str);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains('@') {
            Mail(self.0).fmt(f)
        } else {
            Number(self.0).fmt(f)
        }
    }
}

macro_rules! debug_as_display {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

debug_as_display!(Number, Mail, Text, Who);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn little_is_shown() {
        for (number, shown) in [
            ("+33612345678", "+336•••••78"),
            ("0612345678", "06•••••78"),
            ("36123", "3•••••"),
            ("MAIRIE", "M•••••"),
            ("Jean Dupont-Durand", "J•••••"),
            ("", "(none)"),
        ] {
            assert_eq!(Number(number).to_string(), shown);
            assert_eq!(format!("{:?}", Number(number)), shown);
        }
        for (mail, shown) in [
            ("jean.dupont@famille-dupont.fr", "j•••••@•••••.fr"),
            ("jean", "•••••"),
            ("é@localhost", "•••••@•••••"),
            ("Jean <jean@a.b@dupont.example>", "J•••••@•••••"),
        ] {
            assert_eq!(Mail(mail).to_string(), shown);
        }
        assert_eq!(format!("{:?}", Text("déjà reçu")), "(9 characters)");
        assert_eq!(Who("jean@dupont.fr").to_string(), "j•••••@•••••.fr");
        assert_eq!(Who("+33612345678").to_string(), "+336•••••78");
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd(text in "\\PC{0,80}") {
            for shown in [Number(&text).to_string(), Mail(&text).to_string(), Who(&text).to_string()] {
                prop_assert!(shown.chars().count() <= 21);
            }
        }

        #[test]
        fn no_number_is_shown_whole(number in "\\+?[0-9]{7,15}") {
            prop_assert!(!Number(&number).to_string().contains(&number));
        }
    }
}
