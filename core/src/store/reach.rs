//! Which requests somebody reaches, as a condition of SQL and as a question of Rust.

use std::fmt::Write as _;

use crate::base::account::Channel;

/// The requests that somebody may do something to: those of any of its ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    ways: Vec<Way>,
}

/// Requests of some themes that came by some channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// `None` for all.
    pub channels: Option<Vec<Channel>>,
    /// Of which themes.
    pub themes: Themes,
}

/// Of which themes a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Themes {
    /// Any but these, or none at all.
    AllBut(Vec<String>),
    /// One of these.
    Only {
        /// Their codes.
        codes: Vec<String>,
        /// Or none at all.
        unthemed: bool,
    },
}

/// A condition on the columns `channel` and `theme` of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Without a leading AND; placeholders are numbered from the one that was asked for.
    pub sql: String,
    /// What is bound to them.
    pub texts: Vec<String>,
}

impl Way {
    fn is_everything(&self) -> bool {
        self.channels.is_none() && matches!(&self.themes, Themes::AllBut(none) if none.is_empty())
    }

    fn covers(&self, channel: &str, theme: Option<&str>) -> bool {
        let by_channel = self
            .channels
            .as_ref()
            .is_none_or(|channels| channels.iter().any(|one| one.as_str() == channel));
        let by_theme = match (&self.themes, theme) {
            (Themes::AllBut(_), None) => true,
            (Themes::AllBut(codes), Some(theme)) => !codes.iter().any(|code| code == theme),
            (Themes::Only { unthemed, .. }, None) => *unthemed,
            (Themes::Only { codes, .. }, Some(theme)) => codes.iter().any(|code| code == theme),
        };
        by_channel && by_theme
    }
}

impl Reach {
    /// Every request.
    #[must_use]
    pub fn everything() -> Self {
        Self::new(vec![Way {
            channels: None,
            themes: Themes::AllBut(Vec::new()),
        }])
    }

    /// The requests of any of these.
    #[must_use]
    pub const fn new(ways: Vec<Way>) -> Self {
        Self { ways }
    }

    /// Whether no request lies outside.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.ways.iter().any(Way::is_everything)
    }

    /// Whether a request of this channel and theme lies within.
    #[must_use]
    pub fn covers(&self, channel: &str, theme: Option<&str>) -> bool {
        self.ways.iter().any(|way| way.covers(channel, theme))
    }

    /// The condition that a row of `request` lies within. `alias` names the row, `first` is the number of the first free
    /// placeholder.
    #[must_use]
    pub fn condition(&self, alias: &str, first: usize) -> Condition {
        self.condition_on(&format!("{alias}.channel"), &format!("{alias}.theme"), first)
    }

    /// The same of a channel and a theme that stand elsewhere: two expressions.
    #[must_use]
    pub fn condition_on(&self, channel: &str, theme: &str, first: usize) -> Condition {
        if self.is_everything() {
            return Condition {
                sql: "true".to_owned(),
                texts: Vec::new(),
            };
        }
        let mut writer = Writer { texts: Vec::new(), first };
        let ways: Vec<String> = self.ways.iter().map(|way| writer.way(channel, theme, way)).collect();
        Condition {
            sql: if ways.is_empty() {
                "false".to_owned()
            } else {
                format!("({})", ways.join(" OR "))
            },
            texts: writer.texts,
        }
    }
}

struct Writer {
    texts: Vec<String>,
    first: usize,
}

impl Writer {
    fn way(&mut self, channel: &str, column: &str, way: &Way) -> String {
        let mut terms = Vec::new();
        if let Some(channels) = &way.channels {
            terms.push(self.among(channel, channels.iter().map(|channel| channel.as_str())));
        }
        match &way.themes {
            Themes::AllBut(codes) if codes.is_empty() => (),
            Themes::AllBut(codes) => {
                let among = self.among(column, codes.iter().map(String::as_str));
                terms.push(format!("({column} IS NULL OR NOT {among})"));
            }
            Themes::Only { codes, unthemed: false } => terms.push(self.among(column, codes.iter().map(String::as_str))),
            Themes::Only { codes, unthemed: true } => {
                let among = self.among(column, codes.iter().map(String::as_str));
                terms.push(format!("({column} IS NULL OR {among})"));
            }
        }
        if terms.is_empty() {
            "true".to_owned()
        } else {
            format!("({})", terms.join(" AND "))
        }
    }

    fn among<'a>(&mut self, column: &str, texts: impl Iterator<Item = &'a str>) -> String {
        let mut list = String::new();
        for text in texts {
            let comma = if list.is_empty() { "" } else { ", " };
            let _ = write!(list, "{comma}${}", self.first + self.texts.len());
            self.texts.push(text.to_owned());
        }
        if list.is_empty() {
            "false".to_owned()
        } else {
            format!("{column} IN ({list})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(codes: &[&str], unthemed: bool) -> Themes {
        Themes::Only {
            codes: codes.iter().map(|&code| code.to_owned()).collect(),
            unthemed,
        }
    }

    #[test]
    fn a_condition_says_what_covers_says() {
        let by_text = Way {
            channels: Some(vec![Channel::Sms]),
            themes: only(&["voirie"], true),
        };
        let but = Way {
            channels: None,
            themes: Themes::AllBut(vec!["aide".to_owned(), "enfance".to_owned()]),
        };
        let reach = Reach::new(vec![by_text.clone(), but]);
        let condition = reach.condition("r", 3);
        assert_eq!(
            condition.sql,
            "((r.channel IN ($3) AND (r.theme IS NULL OR r.theme IN ($4))) OR ((r.theme IS NULL OR NOT r.theme IN ($5, $6))))"
        );
        assert_eq!(condition.texts, ["sms", "voirie", "aide", "enfance"]);
        assert!(reach.covers("email", None) && !reach.covers("sms", Some("aide")));
        let reach = Reach::new(vec![by_text]);
        assert!(reach.covers("sms", None) && reach.covers("sms", Some("voirie")));
        assert!(!reach.covers("email", Some("voirie")) && !reach.covers("sms", Some("aide")));
    }

    #[test]
    fn the_whole_and_nothing() {
        assert_eq!(Reach::everything().condition("r", 1).sql, "true");
        assert!(Reach::everything().covers("sms", Some("aide")));
        let nothing = Reach::new(Vec::new());
        assert_eq!(nothing.condition("r", 1).sql, "false");
        assert!(!nothing.covers("sms", None) && !nothing.is_everything());
        let but = Reach::new(vec![Way {
            channels: None,
            themes: Themes::AllBut(vec!["aide".to_owned()]),
        }]);
        assert!(!but.is_everything() && Reach::everything().is_everything());
        let no_theme = Reach::new(vec![Way {
            channels: None,
            themes: only(&[], false),
        }]);
        assert_eq!(no_theme.condition("r", 1).sql, "((false))");
        assert!(!no_theme.covers("sms", None));
    }
}
