//! What came of the deaths.

/// Events that readers never had, by the way they read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missing {
    /// Of those with a cursor.
    pub cursor: usize,
    /// Of streams.
    pub stream: usize,
    /// Of named consumers.
    pub named: usize,
    /// Of webhooks.
    pub webhook: usize,
}

impl Missing {
    /// All of them.
    #[must_use]
    pub const fn sum(&self) -> usize {
        self.cursor + self.stream + self.named + self.webhook
    }

    /// The sum of two.
    #[must_use]
    pub const fn and(self, other: &Self) -> Self {
        Self {
            cursor: self.cursor + other.cursor,
            stream: self.stream + other.stream,
            named: self.named + other.named,
            webhook: self.webhook + other.webhook,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Deaths of the daemon.
    pub daemon: usize,
    /// Of the database, which is the daemon's own in SQLite.
    pub database: usize,
    /// Of readers.
    pub readers: usize,
    /// Events that were committed.
    pub events: usize,
    /// Contacts that were acknowledged.
    pub contacts: usize,
    /// Of these, how many have not exactly one `request.created`.
    pub contacts_wrong: usize,
    /// Events that a reader never had, over all readers.
    pub missing: Missing,
    /// Events that a reader had and nobody committed, or whose effect it had twice.
    pub surplus: usize,
    /// Readers that had events in another order; webhooks promise none.
    pub disordered: usize,
    /// Events that came more than once; their effect did not.
    pub repeated: usize,
}

impl Outcome {
    /// Whether every promise was kept.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.contacts_wrong == 0 && self.missing.sum() == 0 && self.surplus == 0 && self.disordered == 0
    }

    /// The sum of two.
    #[must_use]
    pub const fn and(self, other: &Self) -> Self {
        Self {
            daemon: self.daemon + other.daemon,
            database: self.database + other.database,
            readers: self.readers + other.readers,
            events: self.events + other.events,
            contacts: self.contacts + other.contacts,
            contacts_wrong: self.contacts_wrong + other.contacts_wrong,
            missing: self.missing.and(&other.missing),
            surplus: self.surplus + other.surplus,
            disordered: self.disordered + other.disordered,
            repeated: self.repeated + other.repeated,
        }
    }

    /// As numbers, in the order of the members.
    #[must_use]
    pub const fn numbers(&self) -> [usize; 13] {
        [
            self.daemon,
            self.database,
            self.readers,
            self.events,
            self.contacts,
            self.contacts_wrong,
            self.missing.cursor,
            self.missing.stream,
            self.missing.named,
            self.missing.webhook,
            self.surplus,
            self.disordered,
            self.repeated,
        ]
    }

    /// From these.
    #[must_use]
    pub const fn of(numbers: [usize; 13]) -> Self {
        let [
            daemon,
            database,
            readers,
            events,
            contacts,
            contacts_wrong,
            cursor,
            stream,
            named,
            webhook,
            surplus,
            disordered,
            repeated,
        ] = numbers;
        Self {
            daemon,
            database,
            readers,
            events,
            contacts,
            contacts_wrong,
            missing: Missing {
                cursor,
                stream,
                named,
                webhook,
            },
            surplus,
            disordered,
            repeated,
        }
    }
}
