//! What happens to a mail that was taken in.

use voxea_core::base::settings::Section;

/// What happens to a mail that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// It is marked `\Seen`.
    Seen,
    /// It is moved to a folder.
    Move(String),
    /// Nothing.
    Nothing,
}

/// What was made of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A contact of a person.
    Taken,
    /// What a machine wrote, a notification of delivery included.
    Automatic,
    /// It could not be processed, and is kept raw.
    Quarantined,
    /// The server did not give it, and it is known by its place alone.
    Failed,
}

/// What happens to a mail by what was made of it. Nothing is ever deleted but where it is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Afters {
    /// To contacts of persons.
    pub taken: After,
    /// To what machines wrote.
    pub automatic: After,
    /// To what could not be processed.
    pub quarantined: After,
    /// To what the server did not give.
    pub failed: After,
}

impl Afters {
    /// The same for all, but that nothing is done to what we have not got.
    #[must_use]
    pub fn all(after: After) -> Self {
        Self {
            taken: after.clone(),
            automatic: after.clone(),
            quarantined: after,
            failed: After::Nothing,
        }
    }

    /// What happens to one.
    #[must_use]
    pub const fn of(&self, outcome: Outcome) -> &After {
        match outcome {
            Outcome::Taken => &self.taken,
            Outcome::Automatic => &self.automatic,
            Outcome::Quarantined => &self.quarantined,
            Outcome::Failed => &self.failed,
        }
    }

    /// Whether anything happens to any.
    #[must_use]
    pub fn marks(&self) -> bool {
        self.each().iter().any(|(_, after)| **after != After::Nothing)
    }

    /// Each with its key.
    #[must_use]
    pub const fn each(&self) -> [(&'static str, &After); 4] {
        [
            ("taken", &self.taken),
            ("automatic", &self.automatic),
            ("quarantined", &self.quarantined),
            ("failed", &self.failed),
        ]
    }
}

/// Reads `after`: one word for all, or a section with one for each outcome.
pub(super) fn afters(section: &Section<'_>) -> Afters {
    if section.written("after").is_some() || !section.has("after") {
        return Afters::all(after(section, "after").unwrap_or(After::Seen));
    }
    let Some(outcomes) = section.sub("after") else {
        return Afters::all(After::Seen);
    };
    let taken = after(&outcomes, "taken").unwrap_or(After::Seen);
    Afters {
        automatic: after(&outcomes, "automatic").unwrap_or_else(|| taken.clone()),
        quarantined: after(&outcomes, "quarantined").unwrap_or_else(|| taken.clone()),
        failed: after(&outcomes, "failed").unwrap_or(After::Nothing),
        taken,
    }
}

fn after(section: &Section<'_>, key: &'static str) -> Option<After> {
    let text = section.string(key)?;
    let folder = text.strip_prefix("move:");
    match text.as_str() {
        "seen" => Some(After::Seen),
        "nothing" => Some(After::Nothing),
        _ if folder.is_some_and(|folder| !folder.is_empty() && !folder.contains(['\r', '\n', '\0'])) => {
            folder.map(|folder| After::Move(canonical(folder.to_owned())))
        }
        other => {
            section.problem(
                key,
                format!("is {other:?}, but must be \"seen\", \"nothing\" or a folder as in \"move:Traités\""),
            );
            None
        }
    }
}

/// INBOX is one folder however it is written (RFC 3501 §5.1); the server says what others are.
pub(super) fn canonical(folder: String) -> String {
    if folder.eq_ignore_ascii_case("INBOX") {
        return "INBOX".to_owned();
    }
    folder
}
