//! Which packets were there already (RFC 3711 §3.3.2).

/// The last 128 indices.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    /// The highest index, and bit n for that less n; `None` before the first packet.
    highest: Option<u64>,
    seen: u128,
}

impl Window {
    /// The highest index that was authentic.
    pub(super) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether a packet of this index may be the first of it.
    pub(super) fn is_new(&self, index: u64) -> bool {
        let Some(highest) = self.highest else { return true };
        match highest.checked_sub(index) {
            None => true,
            Some(back) => back < u128::BITS.into() && self.seen >> back & 1 == 0,
        }
    }

    /// An authentic packet of this index came.
    pub(super) fn note(&mut self, index: u64) {
        let highest = self.highest.unwrap_or(index);
        if index >= highest {
            let ahead = u32::try_from(index - highest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = Some(index);
        } else {
            let back = u32::try_from(highest - index).unwrap_or(u32::MAX);
            self.seen |= 1u128.checked_shl(back).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_once_and_none_that_is_too_old() {
        let mut window = Window::default();
        for index in [1_000, 1_002, 1_001, 1_200] {
            assert!(window.is_new(index), "{index}");
            window.note(index);
            assert!(!window.is_new(index), "{index} again");
        }
        assert!(!window.is_new(1_072) && window.is_new(1_073) && window.is_new(1_201));
        assert!(!window.is_new(0));
    }
}
