//! What kind of document bytes are.

/// What kind of document bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ISO 32000.
    Pdf,
    /// ISO/IEC 15948.
    Png,
    /// ITU-T T.81.
    Jpeg,
    /// TIFF 6.0.
    Tiff,
}

impl Kind {
    /// By the first bytes; a declared type is only a claim. A PDF may have up to a kilobyte in front of it (ISO 32000-1, annex
    /// H, note 13).
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Kind); 6] = [
            (b"\x89PNG\r\n\x1a\n", Kind::Png),
            (b"\xff\xd8\xff", Kind::Jpeg),
            (b"II*\0", Kind::Tiff),
            (b"MM\0*", Kind::Tiff),
            (b"II+\0", Kind::Tiff),
            (b"MM\0+", Kind::Tiff),
        ];
        let known = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind);
        let head = bytes.get(..bytes.len().min(1_024 + 5)).unwrap_or_default();
        known.or_else(|| head.windows(5).any(|window| window == b"%PDF-").then_some(Self::Pdf))
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Tiff => "image/tiff",
        }
    }

    /// Whether the bytes end as such a document does. Of a TIFF nothing at its end says so.
    #[must_use]
    pub fn is_whole(self, bytes: &[u8]) -> bool {
        let tail = |length: usize| bytes.get(bytes.len().saturating_sub(length)..).unwrap_or_default();
        let ends = |length: usize, mark: &[u8]| tail(length).windows(mark.len()).any(|window| window == mark);
        match self {
            Self::Pdf => ends(2_048, b"%%EOF"),
            Self::Png => ends(64, b"IEND"),
            Self::Jpeg => ends(2_048, b"\xff\xd9"),
            Self::Tiff => true,
        }
    }
}
