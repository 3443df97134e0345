//! Whether a page that says which test holds what names tests that there are.

use std::collections::BTreeSet;
use std::path::Path;

/// What is wrong with a page: rows of its tables without a test, tests that are named and not there, and what of `wanted` has
/// no row. A row begins with what it is about; its tests stand as `file::test`, by the file's path from the root, and a fuzz
/// target as its file alone.
#[must_use]
pub fn unheld(root: &Path, page: &str, wanted: &[&str]) -> Vec<String> {
    let read = |file: &str| std::fs::read_to_string(root.join(file)).ok();
    unheld_in(page, wanted, &read)
}

fn unheld_in(page: &str, wanted: &[&str], read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let (mut wrong, mut about) = (Vec::new(), BTreeSet::new());
    for row in rows(page) {
        let Some((subject, rest)) = row.split_once('|') else { continue };
        about.insert(subject.trim());
        let tests: Vec<&str> = quoted(rest).filter(|name| is_test(name)).collect();
        if tests.is_empty() {
            wrong.push(format!("{}: no test is named", subject.trim()));
        }
        for test in tests {
            let held = match test.split_once("::") {
                Some((file, name)) => read(file).is_some_and(|text| has_test(&text, name) || has_story(&text, file, name, read)),
                None => read(test).is_some_and(|text| text.contains("fuzz_target!(")),
            };
            if !held {
                wrong.push(format!("{}: there is no {test}", subject.trim()));
            }
        }
    }
    let missing = wanted.iter().filter(|wanted| !about.contains(**wanted));
    wrong.extend(missing.map(|wanted| format!("{wanted}: no row")));
    wrong
}

/// The rows of all tables but their heads, without the first bar.
fn rows(page: &str) -> Vec<&str> {
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let is_rule = |line: &str| line.starts_with("|-") || line.starts_with("| -");
    let is_head = |at: usize| lines.get(at + 1).is_some_and(|next| is_rule(next));
    let mut rows = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some(row) = line.strip_prefix('|')
            && !is_rule(line)
            && !is_head(at)
        {
            rows.push(row);
        }
    }
    rows
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_test(name: &str) -> bool {
    name.contains(".rs::") || name.starts_with("fuzz/fuzz_targets/")
}

/// Whether a file has a test of this name that runs when all are.
fn has_test(text: &str, name: &str) -> bool {
    let (mut test, mut ignored) = (false, false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            (test, ignored) = (true, false);
        } else if line.starts_with("#[ignore") {
            ignored = true;
        } else if let Some(found) = function(line) {
            if found == name {
                return test && !ignored;
            }
            test = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") && !line.is_empty() {
            test = false;
        }
    }
    false
}

/// Whether a file has a story of this name, and the program beside it tells it.
fn has_story(text: &str, file: &str, name: &str, read: &dyn Fn(&str) -> Option<String>) -> bool {
    let told = || {
        let (folder, file) = file.rsplit_once('/')?;
        let program = read(&format!("{folder}/main.rs"))?;
        let (_, stories) = program.split_once("\nstories! {")?;
        let module = file.strip_suffix(".rs")?;
        let (_, of_module) = stories.split_once(&format!(" {module} {{"))?;
        let (of_module, _) = of_module.split_once('}')?;
        Some(of_module.split([',', '\n', ' ']).any(|story| story == name))
    };
    text.lines()
        .any(|line| line.starts_with("pub(crate) ") && function(line) == Some(name))
        && told() == Some(true)
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let line = line
        .strip_prefix("pub(crate) ")
        .or_else(|| line.strip_prefix("pub "))
        .unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    line.split(|char: char| !char.is_alphanumeric() && char != '_').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\n| must | is held by |\n|---|---|\n| 1 | `a.rs::one` and `a.rs::two` |\n| 2 | `stories/s.rs::three`, `fuzz/fuzz_targets/f.rs` |\n\nWords.\n\n\
                        | complaint | is held by |\n|---|---|\n| x 7 | the key `k` of `a.rs::one` |\n";

    fn read(file: &str) -> Option<String> {
        let text = match file {
            "a.rs" => {
                "#[test]\n// Why.\nfn one() {}\n\nfn helper() {}\n\n    /// What.\n    #[tokio::test(flavor = \"multi_thread\")]\n    #[expect(x)]\n    async fn two() {}\n\n\
                 #[test]\n#[ignore]\nfn slow() {}\n"
            }
            "stories/s.rs" => "pub(crate) async fn three(place: &Place) {\n}\npub(crate) async fn four(place: &Place) {}\n",
            "stories/main.rs" => {
                "macro_rules! stories { s { four, } }\nstories! {\n    r { four, }\n    s {\n        two_three, three,\n    }\n}\n"
            }
            "fuzz/fuzz_targets/f.rs" => "fuzz_target!(|data: &[u8]| {});",
            _ => return None,
        };
        Some(text.to_owned())
    }

    #[test]
    fn what_is_named_must_be_there_and_run() {
        let wrong = |page: &str, wanted: &[&str]| unheld_in(page, wanted, &read);
        assert_eq!(wrong(PAGE, &["1", "2", "x 7"]), [""; 0]);
        for (from, to, said) in [
            ("a.rs::two", "a.rs::twos", "1: there is no a.rs::twos"),
            ("a.rs::two", "a.rs::helper", "1: there is no a.rs::helper"),
            ("a.rs::two", "a.rs::slow", "1: there is no a.rs::slow"),
            ("a.rs::two", "b.rs::two", "1: there is no b.rs::two"),
            ("s.rs::three", "s.rs::four", "2: there is no stories/s.rs::four"),
            ("targets/f.rs", "targets/g.rs", "2: there is no fuzz/fuzz_targets/g.rs"),
            ("`a.rs::one` |\n", "a.rs |\n", "x 7: no test is named"),
            ("| 2 |", "| 3 |", "2: no row"),
        ] {
            let page = PAGE.replace(from, to);
            assert_ne!(page, PAGE, "{from}");
            assert!(
                wrong(&page, &["1", "2", "x 7"]).contains(&said.to_owned()),
                "{said}: {:?}",
                wrong(&page, &["1", "2", "x 7"])
            );
        }
    }
}
