//! The images of a PDF's pages. A scanned page is one image that fills it; nothing is drawn, so that a code made of lines, as a
//! word processor writes it, is not seen.

use std::sync::Arc;

use bytes::Bytes;
use hayro_syntax::object::stream::{ImageColorSpace, ImageDecodeParams};
use hayro_syntax::object::{Array, Dict, Name, Object, Stream, String as PdfString};
use hayro_syntax::page::Page as PdfPage;
use hayro_syntax::{LoadPdfError, Pdf};

use super::finding::{PAGES, Search, Unreadable};
use super::page::{Colour, Page, Samples, fits, grey};
use super::raster;

/// Images of a page that are searched, the largest first.
const IMAGES: usize = 6;
/// Forms within forms.
const DEPTH: usize = 3;
/// Entries of a page that are looked at.
const ENTRIES: usize = 500;
/// Shorter ones hold no code.
const SHORTEST: u32 = 40;

/// Hands over the images of each page.
pub(super) fn pages(bytes: &Bytes, search: &mut Search<'_>) -> Result<(), Unreadable> {
    let pdf = Pdf::new(Arc::new(bytes.clone())).map_err(|error| match error {
        LoadPdfError::Decryption(_) => Unreadable::Locked,
        LoadPdfError::Invalid => Unreadable::Broken("PDF"),
    })?;
    let pages = pdf.pages();
    for page in pages.iter().take(PAGES) {
        let mut images = Vec::new();
        let mut entries = ENTRIES;
        collect(&page.resources().x_objects, DEPTH, &mut entries, &mut images);
        images.sort_by_key(|(_, width, height)| std::cmp::Reverse(u64::from(*width) * u64::from(*height)));
        for (image, width, height) in images.iter().take(IMAGES) {
            let times = rows_per_column(page, *width, *height);
            if search
                .one(|| decode(image, *width, *height).map(|page| page.stretched(times)))
                .is_break()
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The images among these objects, and in the forms among them.
fn collect<'a>(objects: &Dict<'a>, depth: usize, entries: &mut usize, images: &mut Vec<(Stream<'a>, u32, u32)>) {
    let mut names: Vec<Name<'a>> = objects.keys().take(*entries).collect();
    names.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
    for name in names {
        let Some(left) = entries.checked_sub(1) else { return };
        *entries = left;
        let Some(stream) = objects.get::<Stream<'a>>(name.as_ref()) else {
            continue;
        };
        match stream.dict().get::<Name<'_>>("Subtype").as_deref() {
            Some(b"Image") => {
                let side = |long: &str, short: &str| {
                    let dict = stream.dict();
                    dict.get::<u32>(long).or_else(|| dict.get::<u32>(short)).unwrap_or(0)
                };
                let (width, height) = (side("Width", "W"), side("Height", "H"));
                if width.min(height) >= SHORTEST {
                    images.push((stream, width, height));
                }
            }
            Some(b"Form") if depth > 0 => {
                let inner = stream
                    .dict()
                    .get::<Dict<'a>>("Resources")
                    .and_then(|found| found.get::<Dict<'a>>("XObject"));
                if let Some(inner) = inner {
                    collect(&inner, depth - 1, entries, images);
                }
            }
            _ => (),
        }
    }
}

/// How often a row must stand so that squares are square: a fax in standard resolution fills a page with half as many rows.
fn rows_per_column(page: &PdfPage<'_>, width: u32, height: u32) -> usize {
    let shape = page.media_box();
    let (across, down) = (shape.x1 - shape.x0, shape.y1 - shape.y0);
    if across <= 0.0 || width < 1_000 {
        return 1;
    }
    let ratio = (down / across) / (f64::from(height) / f64::from(width));
    if (1.6..2.6).contains(&ratio) { 2 } else { 1 }
}

fn decode(stream: &Stream<'_>, width: u32, height: u32) -> Result<Page, Unreadable> {
    if !fits(width, height) {
        return Err(Unreadable::TooLarge);
    }
    let dict = stream.dict();
    let inverted = dict
        .get::<Array<'_>>("Decode")
        .and_then(|array| array.iter::<f32>().next())
        .is_some_and(|first| first >= 1.0);
    if is_jpeg(dict) {
        let page = raster::jpeg(&stream.raw_data())?;
        return Ok(if inverted { negative(page) } else { page });
    }
    let mask = dict.get::<bool>("ImageMask").unwrap_or(false);
    let bits = if mask {
        1
    } else {
        dict.get::<u8>("BitsPerComponent").or_else(|| dict.get::<u8>("BPC")).unwrap_or(8)
    };
    let palette = if mask { None } else { palette(dict) };
    let wanted = ImageDecodeParams {
        is_indexed: palette.is_some(),
        bpc: Some(bits),
        num_components: None,
        target_dimension: None,
        width,
        height,
    };
    let decoded = stream.decoded_image(&wanted).map_err(|_| Unreadable::Packed)?;
    let (mut width, mut height, mut bits, mut channels) = (width, height, bits, None);
    if let Some(image) = &decoded.image_data {
        (width, height, bits) = (image.width, image.height, image.bits_per_component);
        channels = image.color_space.map(|space| match space {
            ImageColorSpace::Gray => 1,
            ImageColorSpace::Rgb => 3,
            ImageColorSpace::Cmyk => 4,
            ImageColorSpace::Unknown(count) => usize::from(count),
        });
    }
    if !fits(width, height) {
        return Err(Unreadable::TooLarge);
    }
    // A colour space says how many samples a pixel has; so do the bytes that there are, whatever it is called.
    let pixels = width as usize * height as usize;
    let channels = channels.unwrap_or_else(|| (decoded.data.len() * 8 / usize::from(bits.max(1)) / pixels.max(1)).clamp(1, 4));
    let (colour, extra) = match (&palette, channels) {
        (Some(greys), _) => (Colour::Palette(greys), 0),
        (None, 3) => (Colour::Rgb, 0),
        (None, 4) => (Colour::Cmyk, 0),
        (None, count) => (Colour::Grey, count.saturating_sub(1)),
    };
    let samples = Samples {
        width,
        height,
        bits,
        colour,
        extra,
        inverted: inverted && palette.is_none(),
        data: &decoded.data,
    };
    samples.page().ok_or(Unreadable::TooLarge)
}

/// Whether JPEG is all that the stream is packed with: then it is decoded to grey at once.
fn is_jpeg(dict: &Dict<'_>) -> bool {
    let jpeg = |name: &Name<'_>| matches!(name.as_ref(), b"DCTDecode" | b"DCT");
    let (one, all) = (dict.get::<Name<'_>>("Filter"), dict.get::<Array<'_>>("Filter"));
    one.is_some_and(|name| jpeg(&name))
        || all.is_some_and(|all| all.raw_iter().count() == 1 && all.iter::<Name<'_>>().all(|name| jpeg(&name)))
}

/// The grey of each index of an `/Indexed` colour space (ISO 32000-1 §8.6.6.3).
fn palette(dict: &Dict<'_>) -> Option<Vec<u8>> {
    let space = dict.get::<Array<'_>>("ColorSpace").or_else(|| dict.get::<Array<'_>>("CS"))?;
    let mut parts = space.iter::<Object<'_>>();
    match parts.next()? {
        Object::Name(name) if matches!(name.as_ref(), b"Indexed" | b"I") => (),
        _ => return None,
    }
    let _base = parts.next()?;
    let highest = match parts.next()? {
        Object::Number(number) => usize::try_from(number.as_i64()).ok()?.min(255),
        _ => return None,
    };
    let table: Vec<u8> = match parts.next()? {
        Object::String(text) => PdfString::as_bytes(&text).to_vec(),
        Object::Stream(stream) => stream.decoded_data().ok()?.into_owned(),
        _ => return None,
    };
    // The colour space below may be anything; how many bytes an index has tells enough of it.
    let size = (table.len() / (highest + 1)).max(1);
    let greys = table.chunks(size).map(|colour| match *colour {
        [red, green, blue] => grey(red, green, blue),
        [cyan, magenta, yellow, black] => {
            let dark = u16::from(grey(cyan, magenta, yellow)) + u16::from(black);
            u8::MAX - u8::try_from(dark).unwrap_or(u8::MAX)
        }
        [first, ..] => first,
        [] => u8::MAX,
    });
    Some(greys.collect())
}

fn negative(mut page: Page) -> Page {
    page.luma.iter_mut().for_each(|value| *value = u8::MAX - *value);
    page
}
