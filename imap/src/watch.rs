//! Who is told how a folder does.

use voxea_core::channel::{FolderMeter, Reporter};

use crate::take::Desk;

/// Who is told how a folder does.
#[derive(Debug, Clone)]
pub(crate) struct Watch<'a> {
    pub(crate) reporter: &'a Reporter,
    pub(crate) meter: FolderMeter,
    /// Its state is the mailbox's.
    pub(crate) leads: bool,
}

impl<'a> Watch<'a> {
    /// Of a folder; `leads` when its state is the mailbox's.
    pub(crate) fn of(desk: &Desk<'_>, reporter: &'a Reporter, leads: bool) -> Self {
        let patience = desk.config.alarm_seconds.saturating_mul(1_000);
        Self {
            reporter,
            meter: reporter.folder(desk.folder, i64::try_from(patience).unwrap_or(i64::MAX)),
            leads,
        }
    }

    /// Something is wrong, though it goes on.
    pub(crate) fn trouble(&self, words: &str) {
        self.meter.trouble(Some(words));
        self.reporter.trouble(words);
    }
}
