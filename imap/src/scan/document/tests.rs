//! Small documents, made here byte by byte; those of other programs are in the black-box stories.

use super::page::Page;
use super::*;

fn find(bytes: &[u8]) -> Result<Finding, Unreadable> {
    search(&Bytes::copy_from_slice(bytes), &mut || true)
}

/// Code 128, set B (ISO/IEC 15417): bar and space widths of each value, and the reference's.
fn code_128(text: &str) -> Vec<u8> {
    const WIDTHS: [&str; 107] = [
        "212222", "222122", "222221", "121223", "121322", "131222", "122213", "122312", "132212", "221213", "221312", "231212", "112232",
        "122132", "122231", "113222", "123122", "123221", "223211", "221132", "221231", "213212", "223112", "312131", "311222", "321122",
        "321221", "312212", "322112", "322211", "212123", "212321", "232121", "111323", "131123", "131321", "112313", "132113", "132311",
        "211313", "231113", "231311", "112133", "112331", "132131", "113123", "113321", "133121", "313121", "211331", "231131", "213113",
        "213311", "213131", "311123", "311321", "331121", "312113", "312311", "332111", "314111", "221411", "431111", "111224", "111422",
        "121124", "121421", "141122", "141221", "112214", "112412", "122114", "122411", "142112", "142211", "241211", "221114", "413111",
        "241112", "134111", "111242", "121142", "121241", "114212", "124112", "124211", "411212", "421112", "421211", "212141", "214121",
        "412121", "111143", "111341", "131141", "114113", "114311", "411113", "411311", "113141", "114131", "311141", "411131", "211412",
        "211214", "211232", "2331112",
    ];
    let values: Vec<usize> = std::iter::once(104)
        .chain(text.bytes().map(|byte| usize::from(byte - 32)))
        .collect();
    let sum: usize = values.iter().enumerate().map(|(place, value)| value * place.max(1)).sum();
    let mut modules = vec![255; 12];
    let all = values.into_iter().chain([sum % 103, 106]);
    for (index, width) in all.flat_map(|value| WIDTHS[value].bytes()).enumerate() {
        let shade = if index % 2 == 0 { 0 } else { 255 };
        modules.extend(std::iter::repeat_n(shade, usize::from(width - b'0')));
    }
    modules.extend([255; 12]);
    modules
}

/// A page of one bar code, each module four pixels wide.
fn page(text: &str) -> Page {
    let row: Vec<u8> = code_128(text).into_iter().flat_map(|shade| [shade; 4]).collect();
    let (width, height) = (row.len(), 120);
    let white = vec![255; width * 20];
    let mut luma = white.clone();
    for _ in 0..height {
        luma.extend(&row);
    }
    luma.extend(white);
    Page {
        width,
        height: height + 40,
        luma,
    }
}

/// An uncompressed TIFF of a page, grey, 8 bits.
fn tiff(page: &Page) -> Vec<u8> {
    let entries: [(u16, u16, usize); 9] = [
        (256, 4, page.width),
        (257, 4, page.height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8 + 2 + 9 * 12 + 4),
        (277, 3, 1),
        (278, 4, page.height),
        (279, 4, page.luma.len()),
    ];
    let mut bytes = b"II*\0\x08\0\0\0\x09\0".to_vec();
    for (tag, kind, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(u32::try_from(value).unwrap().to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend(&page.luma);
    bytes
}

/// A PDF with one uncompressed image.
fn pdf(page: &Page) -> Vec<u8> {
    let mut bytes = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /XObject << /A 4 0 R >> >> >>\nendobj\n".to_vec();
    let head = format!(
        "4 0 obj\n<< /Type /XObject /Subtype /Image /Width {} /Height {} /ColorSpace /DeviceGray /BitsPerComponent 8 /Length {} >>\nstream\n",
        page.width,
        page.height,
        page.luma.len()
    );
    bytes.extend(head.bytes());
    bytes.extend(&page.luma);
    bytes.extend(b"\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n");
    bytes
}

#[test]
fn a_bar_code_of_a_reference_is_read_from_a_tiff_and_a_pdf() {
    let reference = voxea_rules::reference::format(2026, 1).unwrap();
    let shown = page(&reference);
    for document in [tiff(&shown), pdf(&shown)] {
        let found = find(&document).unwrap();
        assert_eq!((found.references, found.pages, found.passed), (vec![reference.clone()], 1, 0));
    }
    // With a wrong digit it is no reference, and neither is anybody else's code.
    for other in ["2026-0000001-9", "1A2B3C4D"] {
        assert_eq!(find(&tiff(&page(other))).unwrap().references, [""; 0]);
    }
}

#[test]
fn what_is_no_document_says_so() {
    assert_eq!(find(b""), Err(Unreadable::Kind));
    assert_eq!(find(b"PK\x03\x04"), Err(Unreadable::Kind));
    assert_eq!(find(b"%PDF-1.4\n"), Err(Unreadable::Broken("PDF")));
    assert_eq!(find(b"II*\0"), Err(Unreadable::Broken("TIFF")));
    assert_eq!(find(b"\x89PNG\r\n\x1a\n"), Err(Unreadable::Broken("PNG")));
    assert_eq!(find(b"\xff\xd8\xff\xe0"), Err(Unreadable::Broken("JPEG")));
}

#[test]
fn without_time_nothing_is_searched() {
    let reference = voxea_rules::reference::format(2026, 1).unwrap();
    let document = Bytes::from(tiff(&page(&reference)));
    let found = search(&document, &mut || false).unwrap();
    assert_eq!((found.references.len(), found.pages, found.passed), (0, 0, 1));
}

#[test]
fn kinds_are_told_by_their_bytes() {
    assert_eq!(Kind::of(b"\n\n%PDF-1.7"), Some(Kind::Pdf));
    assert_eq!(Kind::of(b"MM\0*"), Some(Kind::Tiff));
    assert!(Kind::Pdf.is_whole(b"%PDF-1.4 x %%EOF\n") && !Kind::Pdf.is_whole(b"%PDF-1.4 x"));
    assert!(Kind::Jpeg.is_whole(b"\xff\xd8\xff\xe0x\xff\xd9\0\0") && !Kind::Png.is_whole(b"\x89PNG"));
}
