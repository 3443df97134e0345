//! Codes in the pixels of a page, and the references in them.

use std::collections::HashSet;

use rxing::common::HybridBinarizer;
use rxing::multi::qrcode::QRCodeMultiReader;
use rxing::multi::{GenericMultipleBarcodeReader, MultipleBarcodeReader};
use rxing::{BarcodeFormat, BinaryBitmap, DecodeHints, Luma8Source, MultiFormatReader, RXingResult, Reader as _};
use voxea_rules::reference;

use super::page::Page;

/// Pixels of the page that is searched for squares; A4 at 200 dpi has 3.9 million. A QR code of 15 mm has four pixels a module
/// then, and what a finer scan has beyond that is noise.
const SQUARES: usize = 4_000_000;

/// Pixels of the page that is searched for bars, and for squares once more: A4 at 300 dpi has 8.7 million.
const BARS: usize = 9_000_000;

/// References that a page names, at most.
const MOST: usize = 8;

/// The references that a page's codes hold, each once: QR codes first, then Data Matrix and bars (Code 128, Code 39), then QR
/// codes at full size.
pub(super) fn references(page: Page) -> Vec<String> {
    let page = page.shrunk(BARS).unwrap_or(page);
    let small = page.shrunk(SQUARES);
    let first = small.as_ref().unwrap_or(&page);
    let found = named(&squares(first));
    if !found.is_empty() {
        return found;
    }
    // Most pages have no such code, or one; a second reading for several is dear.
    let one = other(&page);
    let found = match named(&one) {
        found if found.is_empty() && !one.is_empty() => named(&others(&page)),
        found => found,
    };
    if !found.is_empty() || small.is_none() {
        return found;
    }
    named(&squares(&page))
}

fn squares(page: &Page) -> Vec<RXingResult> {
    let hints = hints(&[BarcodeFormat::QR_CODE]);
    let mut reader = QRCodeMultiReader::default();
    read(page, |bitmap| reader.decode_multiple_with_hints(bitmap, &hints))
}

const OTHERS: [BarcodeFormat; 3] = [BarcodeFormat::DATA_MATRIX, BarcodeFormat::CODE_128, BarcodeFormat::CODE_39];

fn other(page: &Page) -> Vec<RXingResult> {
    let hints = hints(&OTHERS);
    let mut reader = MultiFormatReader::default();
    read(page, |bitmap| reader.decode_with_hints(bitmap, &hints).map(|one| vec![one]))
}

fn others(page: &Page) -> Vec<RXingResult> {
    let hints = hints(&OTHERS);
    let mut reader = GenericMultipleBarcodeReader::new(MultiFormatReader::default());
    read(page, |bitmap| reader.decode_multiple_with_hints(bitmap, &hints))
}

fn hints(formats: &[BarcodeFormat]) -> DecodeHints {
    DecodeHints {
        PossibleFormats: Some(formats.iter().copied().collect::<HashSet<_>>()),
        TryHarder: Some(true),
        ..DecodeHints::default()
    }
}

fn read<'a>(
    page: &'a Page,
    with: impl FnOnce(&mut BinaryBitmap<HybridBinarizer<Luma8Source<'a>>>) -> rxing::common::Result<Vec<RXingResult>>,
) -> Vec<RXingResult> {
    let (Ok(width), Ok(height)) = (u32::try_from(page.width), u32::try_from(page.height)) else {
        return Vec::new();
    };
    let Ok(source) = Luma8Source::new_with_slice(&page.luma, width, height) else {
        return Vec::new();
    };
    with(&mut BinaryBitmap::new(HybridBinarizer::new(source))).unwrap_or_default()
}

/// The references in what was read. A code may hold more than the reference, such as an address to look it up.
fn named(read: &[RXingResult]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for result in read {
        let Some(reference) = reference::find(result.getText()) else {
            continue;
        };
        let reference = reference.to_string();
        if !found.contains(&reference) && found.len() < MOST {
            found.push(reference);
        }
    }
    found
}
