//! Names of channel accounts: they stand in the database, in metrics and in answers, so they are short and unique.

use std::collections::BTreeSet;
use std::sync::Arc;

use voxea_core::base::settings::Section;

/// The longest name, in bytes.
const LONGEST: usize = 64;

/// Reads each section of a list with its owner's reader, and its `name`.
pub(crate) fn each<'a, T>(sections: Vec<Section<'a>>, read: impl Fn(&mut Section<'a>) -> T) -> Vec<(String, Arc<T>)> {
    let mut taken = BTreeSet::new();
    let mut accounts = Vec::with_capacity(sections.len());
    for mut section in sections {
        let config = read(&mut section);
        // A missing or mistyped name is the owner's to report.
        let name = if section.has("name") {
            section.string("name").unwrap_or_default()
        } else {
            String::new()
        };
        if !name.is_empty() && !is_name(&name) {
            section.problem(
                "name",
                format!("is {name:?}, but may have letters without accents, digits, '-', '_' and '.' only, {LONGEST} at most"),
            );
        }
        if !name.is_empty() && !taken.insert(name.clone()) {
            section.problem("name", format!("{name:?} is taken by another one above; names must differ"));
        }
        accounts.push((name, Arc::new(config)));
    }
    accounts
}

fn is_name(text: &str) -> bool {
    text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
