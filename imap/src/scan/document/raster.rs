//! PNG and JPEG: one page each.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::finding::Unreadable;
use super::page::{Colour, PIXELS, Page, SIDE, Samples, fits};

/// What a PNG may hold of colour profiles and texts, and of two of its rows, in bytes.
const PNG_BYTES: usize = 16 * 1024 * 1024;

/// A PNG (ISO/IEC 15948), read row by row; an interlaced one must fit as a whole.
pub(super) fn png(bytes: &[u8]) -> Result<Page, Unreadable> {
    let broken = |_| Unreadable::Broken("PNG");
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: PNG_BYTES });
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let (width, height) = {
        let header = decoder.read_header_info().map_err(broken)?;
        (header.width, header.height)
    };
    if !fits(width, height) {
        return Err(Unreadable::TooLarge);
    }
    let mut reader = decoder.read_info().map_err(broken)?;
    let (kind, _) = reader.output_color_type();
    let (colour, extra) = match kind {
        png::ColorType::Grayscale | png::ColorType::Indexed => (Colour::Grey, 0),
        png::ColorType::GrayscaleAlpha => (Colour::Grey, 1),
        png::ColorType::Rgb => (Colour::Rgb, 0),
        png::ColorType::Rgba => (Colour::Rgb, 1),
    };
    let whole = Samples {
        width,
        height,
        bits: 8,
        colour,
        extra,
        inverted: false,
        data: &[],
    };
    if reader.info().interlaced {
        let size = reader.output_buffer_size().filter(|size| *size as u64 <= 3 * PIXELS);
        let mut data = vec![0; size.ok_or(Unreadable::TooLarge)?];
        reader.next_frame(&mut data).map_err(broken)?;
        let whole = Samples { data: &data, ..whole };
        return whole.page().ok_or(Unreadable::TooLarge);
    }
    let mut luma = Vec::with_capacity(width as usize * height as usize);
    while let Some(row) = reader.next_row().map_err(broken)? {
        let row = Samples {
            height: 1,
            data: row.data(),
            ..whole
        };
        luma.extend(row.page().ok_or(Unreadable::Broken("PNG"))?.luma);
    }
    luma.resize(width as usize * height as usize, u8::MAX);
    Ok(Page {
        width: width as usize,
        height: height as usize,
        luma,
    })
}

/// A JPEG (ITU-T T.81), decoded to grey where its colours allow it.
pub(super) fn jpeg(bytes: &[u8]) -> Result<Page, Unreadable> {
    let broken = |_| Unreadable::Broken("JPEG");
    let options = || DecoderOptions::default().set_max_width(SIDE as usize).set_max_height(SIDE as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers().map_err(broken)?;
    let (width, height) = decoder.dimensions().ok_or(Unreadable::Broken("JPEG"))?;
    let (width, height) = (u32::try_from(width).unwrap_or(u32::MAX), u32::try_from(height).unwrap_or(u32::MAX));
    if !fits(width, height) {
        return Err(Unreadable::TooLarge);
    }
    let (out, colour) = match decoder.input_colorspace() {
        Some(ColorSpace::YCbCr | ColorSpace::Luma) => (ColorSpace::Luma, Colour::Grey),
        _ => (ColorSpace::RGB, Colour::Rgb),
    };
    decoder.set_options(options().jpeg_set_out_colorspace(out));
    let data = decoder.decode().map_err(broken)?;
    let samples = Samples {
        width,
        height,
        bits: 8,
        colour,
        extra: 0,
        inverted: false,
        data: &data,
    };
    samples.page().ok_or(Unreadable::TooLarge)
}
