//! A walk along the fields of a PDU's body (SMPP 3.4 §3.1).

/// What is left to be read. Every step is `None` when the body ends before the field does.
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// From the beginning of a body.
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// Octets that are left.
    pub(crate) const fn left(&self) -> usize {
        self.0.len()
    }

    /// So many octets.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// An integer of one octet.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// An integer of two octets.
    pub(crate) fn word(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// A C-octet string, without its end.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }
}
