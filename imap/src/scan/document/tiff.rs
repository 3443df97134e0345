//! TIFF 6.0, page by page: what fax gateways send (TIFF-F, RFC 2306) and what copiers write.

use std::io::Cursor;

use hayro_ccitt::{DecodeSettings, DecoderContext, EncodingMode};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::finding::{PAGES, Search, Unreadable};
use super::page::{Colour, Page, Samples, fits, grey};

/// What a page's samples may have, and its tags, in bytes: 40 million pixels of three samples.
const PAGE_BYTES: usize = 120_000_000;
const TAG_BYTES: usize = 1024 * 1024;
/// The tag `T4Options` (TIFF 6.0 §11); its lowest bit says that rows refer to those above.
const T4_OPTIONS: u16 = 292;

type File<'a> = Decoder<Cursor<&'a [u8]>>;

/// Hands over each page. The first one must be readable as a directory.
pub(super) fn pages(bytes: &[u8], search: &mut Search<'_>) -> Result<(), Unreadable> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = PAGE_BYTES;
    limits.intermediate_buffer_size = PAGE_BYTES;
    limits.ifd_value_size = TAG_BYTES;
    let decoder = Decoder::new(Cursor::new(bytes)).map_err(|_| Unreadable::Broken("TIFF"))?;
    let mut decoder = decoder.with_limits(limits);
    for _ in 0..PAGES {
        if search.one(|| read(&mut decoder, bytes)).is_break() || !decoder.more_images() {
            break;
        }
        // A directory that cannot be read hides those behind it.
        if decoder.next_image().is_err() {
            search.pass();
            break;
        }
    }
    Ok(())
}

fn read(decoder: &mut File<'_>, bytes: &[u8]) -> Result<Page, Unreadable> {
    let broken = |_| Unreadable::Broken("TIFF");
    let (width, height) = decoder.dimensions().map_err(broken)?;
    if !fits(width, height) {
        return Err(Unreadable::TooLarge);
    }
    let packed = number(decoder, Tag::Compression)?.unwrap_or(1);
    let page = match packed {
        2..=4 => faxed(decoder, bytes, packed, width, height)?,
        _ => coloured(decoder, width, height)?,
    };
    Ok(page.stretched(rows_per_column(decoder)))
}

fn number(decoder: &mut File<'_>, tag: Tag) -> Result<Option<u32>, Unreadable> {
    decoder.find_tag_unsigned(tag).map_err(|_| Unreadable::Broken("TIFF"))
}

/// How often a row must stand so that squares are square; 1 without resolutions.
fn rows_per_column(decoder: &mut File<'_>) -> usize {
    let mut resolution = |tag| match decoder.find_tag(tag) {
        Ok(Some(tiff::decoder::ifd::Value::Rational(above, below))) if below > 0 => Some(f64::from(above) / f64::from(below)),
        _ => None,
    };
    match (resolution(Tag::XResolution), resolution(Tag::YResolution)) {
        // 204 × 98 dpi is a fax in standard resolution.
        (Some(across), Some(down)) if down > 0.0 && (1.5..3.0).contains(&(across / down)) => 2,
        _ => 1,
    }
}

/// What the crate decodes itself: none, LZW, Deflate, PackBits, JPEG.
fn coloured(decoder: &mut File<'_>, width: u32, height: u32) -> Result<Page, Unreadable> {
    let kind = decoder.colortype().map_err(|_| Unreadable::Packed)?;
    let palette = match kind {
        ColorType::Palette(_) => palette(decoder)?,
        _ => Vec::new(),
    };
    let (bits, colour, extra) = match kind {
        ColorType::Gray(bits) => (bits, Colour::Grey, 0),
        ColorType::GrayA(bits) => (bits, Colour::Grey, 1),
        ColorType::Palette(bits) => (bits, Colour::Palette(&palette), 0),
        // Of YCbCr the first sample is the grey.
        ColorType::YCbCr(bits) => (bits, Colour::Grey, 2),
        ColorType::RGB(bits) => (bits, Colour::Rgb, 0),
        ColorType::RGBA(bits) => (bits, Colour::Rgb, 1),
        ColorType::CMYK(bits) => (bits, Colour::Cmyk, 0),
        ColorType::CMYKA(bits) => (bits, Colour::Cmyk, 1),
        _ => return Err(Unreadable::Packed),
    };
    let data = match decoder.read_image().map_err(|_| Unreadable::Broken("TIFF"))? {
        DecodingResult::U8(data) => data,
        DecodingResult::U16(data) => data.into_iter().flat_map(u16::to_be_bytes).collect(),
        _ => return Err(Unreadable::Packed),
    };
    let samples = Samples {
        width,
        height,
        bits,
        colour,
        extra,
        // The crate turns WhiteIsZero round itself.
        inverted: false,
        data: &data,
    };
    samples.page().ok_or(Unreadable::TooLarge)
}

/// The grey of each index: all reds, then all greens, then all blues, 16 bits each (TIFF 6.0 §5).
fn palette(decoder: &mut File<'_>) -> Result<Vec<u8>, Unreadable> {
    let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(|_| Unreadable::Packed)?;
    let third = map.len() / 3;
    let high = |at: usize| map.get(at).map_or(0, |value| value.to_be_bytes()[0]);
    Ok((0..third)
        .map(|at| grey(high(at), high(at + third), high(at + 2 * third)))
        .collect())
}

/// CCITT: modified Huffman (2), Group 3 (3), Group 4 (4), in strips that are each for themselves (TIFF 6.0 §10, §11).
fn faxed(decoder: &mut File<'_>, bytes: &[u8], packed: u32, width: u32, height: u32) -> Result<Page, Unreadable> {
    let options = number(decoder, Tag::Unknown(T4_OPTIONS))?.unwrap_or(0);
    let low_first = number(decoder, Tag::FillOrder)? == Some(2);
    let white_is_zero = number(decoder, Tag::PhotometricInterpretation)?.unwrap_or(0) == 0;
    let rows = number(decoder, Tag::RowsPerStrip)?.unwrap_or(height).clamp(1, height);
    let list = |decoder: &mut File<'_>, tag| {
        let values: Option<Vec<u64>> = decoder.find_tag_unsigned_vec(tag).map_err(|_| Unreadable::Broken("TIFF"))?;
        values.ok_or(Unreadable::Packed)
    };
    let (offsets, lengths) = (list(decoder, Tag::StripOffsets)?, list(decoder, Tag::StripByteCounts)?);
    let mut settings = DecodeSettings {
        columns: width,
        rows,
        end_of_block: true,
        end_of_line: packed == 3,
        // Without end-of-line marks each row begins at a byte (TIFF 6.0 §10).
        rows_are_byte_aligned: packed == 2,
        encoding: match packed {
            4 => EncodingMode::Group4,
            3 if options & 1 != 0 => EncodingMode::Group3_2D,
            _ => EncodingMode::Group3_1D,
        },
        strict: false,
    };
    let mut image = Rows {
        width: width as usize,
        luma: Vec::with_capacity(width as usize * height as usize),
        most: 0,
    };
    for (strip, (offset, length)) in (0_u32..).zip(offsets.iter().zip(&lengths)) {
        let left = height.saturating_sub(strip.saturating_mul(rows)).min(rows);
        if left == 0 {
            break;
        }
        let begin = usize::try_from(*offset).unwrap_or(usize::MAX);
        let end = begin
            .saturating_add(usize::try_from(*length).unwrap_or(usize::MAX))
            .min(bytes.len());
        let data = bytes.get(begin..end).ok_or(Unreadable::Broken("TIFF"))?;
        let turned: Vec<u8>;
        let data = if low_first {
            turned = data.iter().map(|byte| byte.reverse_bits()).collect();
            &turned
        } else {
            data
        };
        settings.rows = left;
        image.most = image.luma.len() + width as usize * left as usize;
        // What was decoded before an error is there all the same, as on a fax machine.
        let _ = hayro_ccitt::decode(data, &mut image, &mut DecoderContext::new(settings));
        let most = image.most;
        image.luma.resize(most, u8::MAX);
    }
    let mut luma = image.luma;
    luma.resize(width as usize * height as usize, u8::MAX);
    if !white_is_zero {
        luma.iter_mut().for_each(|value| *value = u8::MAX - *value);
    }
    Ok(Page {
        width: width as usize,
        height: height as usize,
        luma,
    })
}

/// The rows of a strip, as places where the colour changes.
struct Rows {
    width: usize,
    luma: Vec<u8>,
    /// Of the strips so far.
    most: usize,
}

impl hayro_ccitt::Decoder for Rows {
    fn push_row(&mut self, changes: &[u32]) {
        if self.luma.len() + self.width > self.most {
            return;
        }
        let begin = self.luma.len();
        self.luma.resize(begin + self.width, u8::MAX);
        for span in changes.chunks(2) {
            let place = |at: usize| span.get(at).map_or(self.width, |change| (*change as usize).min(self.width));
            let (from, to) = (place(0), place(1));
            if let Some(black) = self.luma.get_mut(begin + from..begin + to.max(from)) {
                black.fill(0);
            }
        }
    }
}
