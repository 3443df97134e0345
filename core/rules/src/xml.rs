//! XML of strangers, as a tree of a bounded size: no document type, so that there are no entities to expand, no other encoding than
//! UTF-8, one namespace.

use std::fmt;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

/// Elements may stand so deep within one another.
pub const DEPTH: usize = 16;
/// A document may have so many elements.
pub const ELEMENTS: usize = 10_000;
/// An element may have so many attributes, declarations of namespaces included.
pub const ATTRIBUTES: usize = 8;
/// The longest name, in bytes.
const NAME: usize = 100;

/// An element with what is in it. It has children or text, never both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Without a prefix.
    pub name: String,
    /// Without those that declare namespaces; names with their prefix.
    pub attributes: Vec<(String, String)>,
    /// In order.
    pub children: Vec<Element>,
    /// Of an element without children; line ends are LF.
    pub text: String,
}

impl Element {
    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Why XML was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The byte after which it was noticed.
    pub at: u64,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.detail, self.at)
    }
}

/// Reads a document whose elements are all of `namespace`. Costs time and memory in proportion to `bytes`, which the caller bounds.
///
/// # Errors
/// [`Fault`] for what is not well-formed (XML 1.0, Namespaces in XML 1.0), has a document type, or goes beyond the bounds.
pub fn read(bytes: &[u8], namespace: &str) -> Result<Element, Fault> {
    let fault = |at: u64, detail: &str| Fault {
        at,
        detail: detail.to_owned(),
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(fault(error.valid_up_to() as u64, "the document must be in UTF-8")),
    };
    if let Some(at) = text.find(|char| !is_character(char)) {
        return Err(fault(
            at as u64,
            "the document has a character that XML does not have (XML 1.0 §2.2)",
        ));
    }
    let mut reader = NsReader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_comments = true;
    let (mut open, mut root, mut count) = (Vec::<Element>::new(), None, 0_usize);
    loop {
        let event = reader
            .read_event()
            .map_err(|error| fault(reader.error_position(), &error.to_string()))?;
        let at = reader.buffer_position();
        match event {
            Event::Start(start) => {
                count += 1;
                if count > ELEMENTS || open.len() >= DEPTH {
                    return Err(fault(
                        at,
                        &format!("there may be {ELEMENTS} elements, at most {DEPTH} within one another"),
                    ));
                }
                if root.is_some() {
                    return Err(fault(at, "there must be one element that holds all others"));
                }
                let (bound, _) = reader.resolver().resolve_element(start.name());
                if !matches!(bound, ResolveResult::Bound(found) if found.as_ref() == namespace.as_bytes()) {
                    return Err(fault(at, &format!("every element must be of the namespace {namespace}")));
                }
                open.push(element(&start).map_err(|detail| fault(at, &detail))?);
            }
            Event::End(_) => {
                let Some(mut done) = open.pop() else {
                    return Err(fault(at, "an element ends that did not begin"));
                };
                if !done.children.is_empty() {
                    if !done.text.trim().is_empty() {
                        return Err(fault(at, &format!("`{}` has both text and elements", done.name)));
                    }
                    done.text.clear();
                }
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => root = Some(done),
                }
            }
            Event::Text(piece) => {
                let piece = piece.xml10_content().map_err(|error| fault(at, &error.to_string()))?;
                add(&mut open, &piece).map_err(|detail| fault(at, detail))?;
            }
            Event::CData(piece) => {
                let piece = piece.xml10_content().map_err(|error| fault(at, &error.to_string()))?;
                if open.is_empty() {
                    return Err(fault(at, OUTSIDE));
                }
                add(&mut open, &piece).map_err(|detail| fault(at, detail))?;
            }
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|error| fault(at, &error.to_string()))?;
                let mut buffer = [0; 4];
                let piece = match character(&name) {
                    Some(char) => &*char.encode_utf8(&mut buffer),
                    None => resolve_predefined_entity(&name).ok_or_else(|| {
                        fault(
                            at,
                            "there are no entities but amp, lt, gt, quot, apos and characters by their number",
                        )
                    })?,
                };
                if open.is_empty() {
                    return Err(fault(at, OUTSIDE));
                }
                add(&mut open, piece).map_err(|detail| fault(at, detail))?;
            }
            Event::DocType(_) => return Err(fault(at, "a document type (DOCTYPE) is not taken; leave it out")),
            Event::Decl(declaration) => {
                let named = declaration.encoding().transpose().map_err(|error| fault(at, &error.to_string()))?;
                if named.is_some_and(|name| !name.eq_ignore_ascii_case(b"utf-8")) {
                    return Err(fault(at, "the document must be in UTF-8, and say so or say nothing"));
                }
            }
            Event::Empty(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if open.is_empty() {
        root.ok_or_else(|| fault(0, "the document has no element"))
    } else {
        Err(fault(text.len() as u64, "the document ends within an element"))
    }
}

const OUTSIDE: &str = "text stands outside the element that holds all others";

fn add(open: &mut [Element], piece: &str) -> Result<(), &'static str> {
    match open.last_mut() {
        Some(element) => element.text.push_str(piece),
        None if piece.trim().is_empty() => {}
        None => return Err(OUTSIDE),
    }
    Ok(())
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let name = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(name) if name.len() > NAME => Err(format!("a name may have {NAME} bytes")),
        Ok(name) if name.splitn(2, ':').all(is_name) => Ok(name.to_owned()),
        _ => Err("a name has a character that names do not have (XML 1.0 §2.3), or a second colon".to_owned()),
    };
    name(start.name().as_ref())?;
    let mut element = Element {
        name: name(start.local_name().as_ref())?,
        ..Element::default()
    };
    let mut count = 0;
    // Unchecked, since the check costs the square of their number; there are few of them after this.
    for attribute in start.attributes().with_checks(false) {
        count += 1;
        if count > ATTRIBUTES {
            return Err(format!("an element may have {ATTRIBUTES} attributes"));
        }
        let attribute = attribute.map_err(|error| error.to_string())?;
        let key = name(attribute.key.as_ref())?;
        if key == "xmlns" || key.starts_with("xmlns:") {
            continue;
        }
        if element.attributes.iter().any(|(known, _)| *known == key) {
            return Err(format!("the attribute `{key}` comes twice"));
        }
        let value = attribute
            .decoded_and_normalized_value(XmlVersion::Implicit1_0, start.decoder())
            .map_err(|error| error.to_string())?;
        element.attributes.push((key, value.into_owned()));
    }
    Ok(element)
}

/// The character that `#65` or `#x41` stands for.
fn character(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(digits) if digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(digits, 16).ok()?,
        None if number.len() <= 7 && number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok()?,
        _ => return None,
    };
    char::from_u32(code).filter(|char| is_character(*char))
}

/// XML 1.0 §2.2.
#[must_use]
pub const fn is_character(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether this is a name without a colon (Namespaces in XML 1.0 §3, `NCName`; its characters are those of XML 1.0 §2.3). The parser
/// below takes whatever stands before a space or a `>` for a name.
fn is_name(text: &str) -> bool {
    let begins = |char: char| {
        matches!(char, 'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
            | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
            | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
            | '\u{10000}'..='\u{effff}')
    };
    let goes_on =
        |char: char| begins(char) || matches!(char, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}');
    text.starts_with(begins) && text.chars().all(goes_on)
}

/// Adds a text to a document, escaped. What XML does not have becomes U+FFFD, and CR a number, since a reader would make LF of it.
pub fn escape(text: &str, document: &mut String) {
    for char in text.chars() {
        match char {
            '&' => document.push_str("&amp;"),
            '<' => document.push_str("&lt;"),
            '>' => document.push_str("&gt;"),
            '"' => document.push_str("&quot;"),
            '\r' => document.push_str("&#13;"),
            char if is_character(char) => document.push(char),
            _ => document.push('\u{fffd}'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: &str = "urn:x";

    fn told(text: &str) -> String {
        match read(text.as_bytes(), NS) {
            Ok(element) => format!("{}={}", element.name, element.text),
            Err(fault) => fault.detail,
        }
    }

    #[test]
    fn a_document_becomes_a_tree() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a --><v:a xmlns:v=\"urn:x\"><v:b k=\"&lt;1\">x &amp; &#233;&#x20AC;<![CDATA[<&]]>\r\ny</v:b>\n<v:c/></v:a>\n";
        let root = read(text.as_bytes(), NS).unwrap();
        assert_eq!((root.name.as_str(), root.text.as_str(), root.children.len()), ("a", "", 2));
        let [first, second] = &root.children[..] else { panic!("two") };
        assert_eq!((first.text.as_str(), first.attribute("k")), ("x & é€<&\ny", Some("<1")));
        assert_eq!((second.name.as_str(), second.text.as_str()), ("c", ""));
        assert_eq!(told("<a xmlns='urn:x'> b </a>"), "a= b ");
        assert_eq!(told("<é-1.b xmlns='urn:x' xml:lang='fr'> b </é-1.b>"), "é-1.b= b ");
    }

    #[test]
    fn nothing_is_expanded() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"0123456789\"><!ENTITY c \"&b;&b;&b;\">]><a xmlns='urn:x'>&c;</a>";
        assert_eq!(told(bomb), "a document type (DOCTYPE) is not taken; leave it out");
        let outside = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a xmlns='urn:x'/>";
        assert!(told(outside).starts_with("a document type"));
        for name in ["c", "nbsp", "#0", "#x0", "#1", "#xD800", "#x110000", "#99999999", "#", "#x", "amp "] {
            let said = told(&format!("<a xmlns='urn:x'>&{name};</a>"));
            assert!(!said.starts_with("a="), "{name}: {said}");
        }
        assert!(read(b"<a xmlns='urn:x' k='&c;'/>", NS).is_err());
    }

    #[test]
    fn bounds_are_held() {
        let deep = |depth: usize| format!("<a xmlns='urn:x'>{}{}</a>", "<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
        assert!(read(deep(DEPTH).as_bytes(), NS).is_ok());
        assert!(read(deep(DEPTH + 1).as_bytes(), NS).is_err());
        let wide = |count: usize| format!("<a xmlns='urn:x'>{}</a>", "<a/>".repeat(count - 1));
        assert!(read(wide(ELEMENTS).as_bytes(), NS).is_ok());
        assert!(read(wide(ELEMENTS + 1).as_bytes(), NS).is_err());
        let many = |count: usize| {
            format!(
                "<a xmlns='urn:x' {}/>",
                (1..count).map(|n| format!("k{n}='v' ")).collect::<String>()
            )
        };
        assert!(read(many(ATTRIBUTES).as_bytes(), NS).is_ok());
        assert!(read(many(ATTRIBUTES + 1).as_bytes(), NS).is_err());
        assert!(read(format!("<{} xmlns='urn:x'/>", "a".repeat(NAME + 1)).as_bytes(), NS).is_err());
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in [
            "",
            "a",
            "<a>",
            "<a xmlns='urn:x'>",
            "<a xmlns='urn:x'></b>",
            "<a xmlns='urn:x'/><a xmlns='urn:x'/>",
            "<a xmlns='urn:x'/>x",
            "<a/>",
            "<a xmlns='urn:y'/>",
            "<v:a/>",
            "<a xmlns='urn:x'><b xmlns=''/></a>",
            "<a xmlns='urn:x'>x<a/></a>",
            "<a xmlns='urn:x' k='1' k='2'/>",
            "<a xmlns='urn:x'>\u{1}</a>",
            "<a xmlns='urn:x'>&</a>",
            "<?xml version='1.0' encoding='iso-8859-1'?><a xmlns='urn:x'/>",
            "{\"a\":1}",
            "<v:a:nil=\"true\" xmlns:v='urn:x'/>",
            "<v:a:b xmlns:v='urn:x'/>",
            "<a=\"b\" xmlns='urn:x'/>",
            "<1a xmlns='urn:x'/>",
            "<: xmlns='urn:x'/>",
            "<a xmlns='urn:x' k:l:m='1'/>",
            "<a xmlns='urn:x' 'k='1'/>",
        ] {
            assert!(read(text.as_bytes(), NS).is_err(), "{text}");
        }
        assert!(read(b"<a xmlns='urn:x'>\xe9</a>", NS).is_err());
        assert!(read("<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().as_slice(), NS).is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = "a & b < c > \"d\" 'e' \r\n\t é € 😀";
        let mut document = "<a xmlns='urn:x'>".to_owned();
        escape(text, &mut document);
        document.push_str("</a>");
        assert_eq!(read(document.as_bytes(), NS).unwrap().text, text);
        let mut odd = String::new();
        escape("a\0\u{1}\u{ffff}b", &mut odd);
        assert_eq!(odd, "a\u{fffd}\u{fffd}\u{fffd}b");
    }
}
