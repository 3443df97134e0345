//! Where a request stands, and the moves that are allowed.

use std::fmt;
use std::str::FromStr;

use crate::base::account::Unknown;

macro_rules! statuses {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// The state of a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Status { $(#[doc = $doc] $variant,)* }

        impl Status {
            /// Every state.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that the API and the database use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

statuses! {
    Received = "received", "It came in; nobody has looked at it.";
    ToQualify = "to_qualify", "Somebody must say what it is about.";
    Open = "open", "Qualified, waiting for its service.";
    InProgress = "in_progress", "The service works on it.";
    AwaitingCitizen = "awaiting_citizen", "The citizen was asked for something.";
    AwaitingThirdParty = "awaiting_third_party", "Somebody else was asked for something.";
    AwaitingValidation = "awaiting_validation", "An answer waits for approval.";
    Transmitted = "transmitted", "Another authority has it (CRPA L114-2).";
    Answered = "answered", "The citizen has an answer.";
    Closed = "closed", "Nothing more is to be done.";
    Reopened = "reopened", "The citizen came back to it.";
    Merged = "merged", "It goes on in another request.";
    Spam = "spam", "It was no request.";
    Abusive = "abusive", "An abusive sending (CRPA L112-11).";
    Archived = "archived", "Kept for the record only.";
    Eliminated = "eliminated", "Destroyed with the archives' visa.";
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        Self::ALL
            .iter()
            .copied()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| Unknown(text.to_owned()))
    }
}

use Status::{
    Abusive, Answered, Archived, AwaitingCitizen, AwaitingThirdParty, AwaitingValidation, Closed, Eliminated, InProgress, Merged, Open,
    Received, Reopened, Spam, ToQualify, Transmitted,
};

/// Where a request that is being worked on may go.
const WORKING: &[Status] = &[
    ToQualify,
    Open,
    InProgress,
    AwaitingCitizen,
    AwaitingThirdParty,
    AwaitingValidation,
    Transmitted,
    Answered,
    Closed,
    Merged,
    Spam,
    Abusive,
];

/// The one table of moves: from, and where to. What is not here is refused.
const MOVES: &[(Status, &[Status])] = &[
    (Received, WORKING),
    (ToQualify, WORKING),
    (Open, WORKING),
    (InProgress, WORKING),
    (AwaitingCitizen, WORKING),
    (AwaitingThirdParty, WORKING),
    (AwaitingValidation, WORKING),
    (Reopened, WORKING),
    (Transmitted, &[InProgress, Answered, Closed, Reopened]),
    (Answered, &[InProgress, AwaitingCitizen, Closed, Reopened, Merged]),
    (Closed, &[Reopened, Archived]),
    (Spam, &[Received, ToQualify, Closed, Archived]),
    (Abusive, &[Received, ToQualify, Closed, Archived]),
    (Merged, &[Reopened, Archived]),
    (Archived, &[Eliminated]),
    (Eliminated, &[]),
];

impl Status {
    /// Where a request in this state may go.
    #[must_use]
    pub fn moves(self) -> &'static [Self] {
        MOVES.iter().find(|(from, _)| *from == self).map_or(&[], |(_, to)| to)
    }

    /// Whether a request in this state may go there. Staying is always allowed.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self == next || self.moves().contains(&next)
    }

    /// Whether a new contact of the same citizen may still join it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Closed | Merged | Spam | Abusive | Archived | Eliminated | Transmitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_row_and_reads_back() {
        assert_eq!(MOVES.len(), Status::ALL.len());
        for status in Status::ALL {
            assert!(MOVES.iter().any(|(from, _)| from == status), "{status} has no row");
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
    }

    #[test]
    fn what_is_over_does_not_go_back_to_work_unseen() {
        assert!(Received.may_become(Answered));
        assert!(!Closed.may_become(InProgress));
        assert!(Closed.may_become(Reopened));
        assert!(!Eliminated.may_become(Received));
        assert!(!Open.may_become(Received));
    }
}
