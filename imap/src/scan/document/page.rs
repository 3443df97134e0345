//! One page as grey pixels, whatever it was before.

/// The longest side of an image that is decoded, in pixels: a little beyond A0 at 400 dpi.
pub(super) const SIDE: u32 = 20_000;
/// Most pixels of an image that is decoded: A4 at 600 dpi has 35 million.
pub(super) const PIXELS: u64 = 40_000_000;

/// Grey pixels, row by row, 0 black and 255 white.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) luma: Vec<u8>,
}

/// What the samples of an image mean.
#[derive(Debug, Clone, Copy)]
pub(super) enum Colour<'a> {
    Grey,
    Rgb,
    Cmyk,
    /// The grey of each index.
    Palette(&'a [u8]),
}

impl Colour<'_> {
    const fn channels(self) -> usize {
        match self {
            Self::Grey | Self::Palette(_) => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// An image as a decoder gives it: rows that begin at a byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Samples<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Of a sample: 1, 2, 4, 8, or 16 with the high byte first.
    pub(super) bits: u8,
    pub(super) colour: Colour<'a>,
    /// Samples of a pixel beyond its colour, which are left out.
    pub(super) extra: usize,
    /// 0 is white.
    pub(super) inverted: bool,
    pub(super) data: &'a [u8],
}

/// Whether an image of this size is decoded at all.
pub(super) fn fits(width: u32, height: u32) -> bool {
    width > 0 && height > 0 && width <= SIDE && height <= SIDE && u64::from(width) * u64::from(height) <= PIXELS
}

/// The grey of a colour (ITU-R BT.601).
pub(super) fn grey(red: u8, green: u8, blue: u8) -> u8 {
    let sum = 77 * u32::from(red) + 150 * u32::from(green) + 29 * u32::from(blue);
    u8::try_from(sum >> 8).unwrap_or(u8::MAX)
}

impl Samples<'_> {
    /// The page; `None` beyond the bounds. Rows that are missing are white.
    pub(super) fn page(self) -> Option<Page> {
        if !fits(self.width, self.height) || !matches!(self.bits, 1 | 2 | 4 | 8 | 16) {
            return None;
        }
        let (width, height) = (self.width as usize, self.height as usize);
        let per_pixel = self.colour.channels() + self.extra;
        let stride = (width * per_pixel * usize::from(self.bits)).div_ceil(8);
        let mut luma = vec![u8::MAX; width * height];
        for (row, line) in self.data.chunks(stride).zip(luma.chunks_mut(width)) {
            for (at, pixel) in line.iter_mut().enumerate() {
                if let Some(value) = self.value(row, at * per_pixel) {
                    *pixel = if self.inverted { u8::MAX - value } else { value };
                }
            }
        }
        Some(Page { width, height, luma })
    }

    /// The grey of the pixel whose first sample this is.
    #[inline]
    fn value(&self, row: &[u8], first: usize) -> Option<u8> {
        Some(match self.colour {
            Colour::Grey => self.scaled(self.sample(row, first)?),
            Colour::Palette(greys) => greys.get(usize::from(self.sample(row, first)?)).copied().unwrap_or(u8::MAX),
            Colour::Rgb => grey(
                self.scaled(self.sample(row, first)?),
                self.scaled(self.sample(row, first + 1)?),
                self.scaled(self.sample(row, first + 2)?),
            ),
            Colour::Cmyk => {
                let ink = |at| self.sample(row, first + at).map(|value| self.scaled(value));
                let dark = u16::from(grey(ink(0)?, ink(1)?, ink(2)?)) + u16::from(ink(3)?);
                u8::MAX - u8::try_from(dark).unwrap_or(u8::MAX)
            }
        })
    }

    /// A sample as it stands; of 16 bits the high byte.
    fn sample(&self, row: &[u8], at: usize) -> Option<u8> {
        match self.bits {
            8 => row.get(at).copied(),
            16 => row.get(at * 2).copied(),
            bits => {
                let bit = at * usize::from(bits);
                let byte = row.get(bit / 8)?;
                let shift = 8 - usize::from(bits) - bit % 8;
                Some((byte >> shift) & ((1_u8 << bits) - 1))
            }
        }
    }

    const fn scaled(&self, sample: u8) -> u8 {
        match self.bits {
            1 => sample * 255,
            2 => sample * 85,
            4 => sample * 17,
            _ => sample,
        }
    }
}

impl Page {
    /// The same with as many of its pixels made one, both ways, as bring it below `pixels`; `None` when it is already.
    pub(super) fn shrunk(&self, pixels: usize) -> Option<Self> {
        let by = (1..=64).find(|by| (self.width / by) * (self.height / by) <= pixels)?;
        let (width, height) = (self.width / by, self.height / by);
        if by == 1 || width == 0 || height == 0 {
            return None;
        }
        let mut luma = Vec::with_capacity(width * height);
        let count = u32::try_from(by * by).unwrap_or(u32::MAX);
        for rows in self.luma.chunks_exact(self.width * by).take(height) {
            for column in 0..width {
                let cells = rows.chunks_exact(self.width).flat_map(|row| row.iter().skip(column * by).take(by));
                let sum: u32 = cells.map(|value| u32::from(*value)).sum();
                luma.push(u8::try_from(sum / count).unwrap_or(u8::MAX));
            }
        }
        Some(Self { width, height, luma })
    }

    /// Each row `times` times: a fax in standard resolution has half as many rows as columns an inch (ITU-T T.4 §2.2).
    pub(super) fn stretched(self, times: usize) -> Self {
        let fits = self.luma.len().saturating_mul(times) as u64 <= PIXELS;
        if times < 2 || !fits {
            return self;
        }
        let rows = self.luma.chunks(self.width).flat_map(|row| std::iter::repeat_n(row, times));
        Self {
            width: self.width,
            height: self.height * times,
            luma: rows.flatten().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(bits: u8, colour: Colour<'_>, data: &[u8]) -> Option<Vec<u8>> {
        let samples = Samples {
            width: 2,
            height: 1,
            bits,
            colour,
            extra: 0,
            inverted: false,
            data,
        };
        samples.page().map(|page| page.luma)
    }

    #[test]
    fn every_depth_becomes_grey() {
        assert_eq!(samples(1, Colour::Grey, &[0b0100_0000]), Some(vec![0, 255]));
        assert_eq!(samples(2, Colour::Grey, &[0b0110_0000]), Some(vec![85, 170]));
        assert_eq!(samples(4, Colour::Grey, &[0xf0]), Some(vec![255, 0]));
        assert_eq!(samples(8, Colour::Grey, &[7, 9]), Some(vec![7, 9]));
        assert_eq!(samples(16, Colour::Grey, &[7, 0, 9, 0]), Some(vec![7, 9]));
        assert_eq!(samples(8, Colour::Rgb, &[255, 255, 255, 0, 0, 0]), Some(vec![255, 0]));
        assert_eq!(samples(8, Colour::Cmyk, &[0, 0, 0, 0, 0, 0, 0, 255]), Some(vec![255, 0]));
        assert_eq!(samples(1, Colour::Palette(&[9, 3]), &[0b0100_0000]), Some(vec![9, 3]));
        assert_eq!(samples(3, Colour::Grey, &[0]), None);
        assert_eq!(samples(8, Colour::Grey, &[7]), Some(vec![7, 255]), "what is missing is white");
    }

    #[test]
    fn what_is_too_large_is_not_decoded() {
        assert!(fits(4_961, 7_016), "A4 at 600 dpi");
        assert!(!fits(50_000, 50_000) && !fits(0, 10) && !fits(SIDE + 1, 1) && !fits(SIDE, SIDE));
    }

    #[test]
    fn a_page_is_shrunk_and_stretched() {
        let page = Page {
            width: 4,
            height: 2,
            luma: vec![0, 0, 255, 255, 0, 0, 255, 255],
        };
        assert_eq!(page.shrunk(8), None);
        assert_eq!(page.shrunk(2).map(|small| (small.width, small.luma)), Some((2, vec![0, 255])));
        let tall = page.stretched(2);
        assert_eq!((tall.height, tall.luma.len()), (4, 16));
    }
}
