//! XML of strangers: read within its bounds, and what was read is written and read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_rules::xml::{ATTRIBUTES, DEPTH, ELEMENTS, Element, escape, read};

const NAMESPACE: &str = "urn:voxea:1";

fn measure(element: &Element, depth: usize) -> usize {
    assert!(depth <= DEPTH && element.attributes.len() <= ATTRIBUTES);
    assert!(element.children.is_empty() || element.text.is_empty());
    1 + element.children.iter().map(|child| measure(child, depth + 1)).sum::<usize>()
}

fn write(element: &Element, out: &mut String) {
    out.push_str(&format!("<{} xmlns='{NAMESPACE}'>", element.name));
    escape(&element.text, out);
    element.children.iter().for_each(|child| write(child, out));
    out.push_str(&format!("</{}>", element.name));
}

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let Ok(root) = read(bytes, NAMESPACE) else { return };
    assert!(measure(&root, 1) <= ELEMENTS);
    let mut document = String::new();
    write(&root, &mut document);
    let again = read(document.as_bytes(), NAMESPACE).expect("what was written can be read");
    let mut rewritten = String::new();
    write(&again, &mut rewritten);
    assert_eq!(document, rewritten);
}));
