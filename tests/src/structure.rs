//! What design.md promises of the code's shape, held against the sources: who imports whom, the core's floors, pure
//! machines, handlers without SQL, and no import in a circle.
//!
//! It reads tokens, so comments and texts cannot fool it; what stands under `#[cfg(test)]`, and files that only tests
//! compile, may do as they like.

mod held;
mod paths;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};

pub use held::unheld;
use paths::Crate;
pub use paths::Module;

/// The source of one package: file paths below its `src`, and their texts.
#[derive(Debug, Clone, Default)]
pub struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Reads every `.rs` file below a folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut sources = Self::default();
        sources.walk(folder, folder)?;
        Ok(sources)
    }

    /// Adds or replaces a file, as a test plants a violation.
    pub fn plant(&mut self, path: &str, text: &str) {
        self.0.insert(path.to_owned(), text.to_owned());
    }

    /// Each file and how many lines it has.
    pub fn lengths(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.lines().count()))
    }

    fn walk(&mut self, root: &Path, folder: &Path) -> Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                self.walk(root, &path)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
                self.0.insert(name, std::fs::read_to_string(&path)?);
            }
        }
        Ok(())
    }
}

/// Who may import whom among our packages (design.md, "The picture"); what a test needs is not asked here.
pub const IMPORTS: [(&str, &[&str]); 8] = [
    (
        "voxea-gateway",
        &[
            "voxea-sip",
            "voxea-smpp",
            "voxea-imap",
            "voxea-recorder",
            "voxea-core",
            "voxea-rules",
        ],
    ),
    ("voxea-sip", &["voxea-recorder", "voxea-core", "voxea-rules"]),
    ("voxea-smpp", &["voxea-core", "voxea-rules"]),
    ("voxea-imap", &["voxea-core", "voxea-rules"]),
    ("voxea-core", &["voxea-rules"]),
    ("voxea-recorder", &[]),
    ("voxea-rules", &[]),
    ("voxea-tests", &[]),
];

/// Imports between packages that [`IMPORTS`] does not have. `found` is a package and what it depends on.
#[must_use]
pub fn package_directions(found: &[(String, Vec<String>)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (package, imported) in found {
        let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| name == package) else {
            wrong.push(format!("{package} is a package that design.md does not know"));
            continue;
        };
        let ours = imported.iter().filter(|name| name.starts_with("voxea-"));
        wrong.extend(
            ours.filter(|name| !allowed.contains(&name.as_str()))
                .map(|name| format!("{package} imports {name}")),
        );
    }
    wrong
}

/// The core's floors from the top; the modules of one floor stand side by side.
pub const FLOORS: [&[&str]; 9] = [
    &["jobs"],
    &["contact", "outbox"],
    &["request"],
    &["citizen"],
    &["catalogue", "consumer", "webhook"],
    &["artefact", "feed", "access", "channel"],
    &["audit", "vault"],
    &["store"],
    &["base"],
];

/// Imports of the core that do not lead to a lower floor, and modules that stand on none. `doors`, which opens all of
/// them, stands above.
///
/// # Errors
/// When a file cannot be read as Rust.
pub fn floors(core: &Sources) -> Result<Vec<String>> {
    let floor = |module: &Module| {
        let name = module.first().map(String::as_str).unwrap_or_default();
        match name {
            "" | "doors" => Some(usize::MAX),
            _ => FLOORS.iter().rev().position(|floor| floor.contains(&name)),
        }
    };
    let mut wrong = Vec::new();
    let code = Crate::parse(&core.0)?;
    for (from, to) in code.imports() {
        match (floor(&from), floor(&to)) {
            (Some(above), Some(below)) if above > below || from.first() == to.first() => {}
            (Some(usize::MAX), _) => {}
            _ => wrong.push(format!("{} imports {}", from.join("::"), to.join("::"))),
        }
    }
    for module in code.modules() {
        if floor(module).is_none() {
            wrong.push(format!("{} stands on no floor", module.join("::")));
        }
    }
    Ok(wrong)
}

/// Imports between the files of a package that run in a circle, each as the files it runs through.
///
/// # Errors
/// When a file cannot be read as Rust.
pub fn circles(sources: &Sources) -> Result<Vec<String>> {
    let mut edges: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, to) in Crate::parse(&sources.0)?.imports() {
        edges.entry(from).or_default().insert(to);
    }
    let reach = |from: &Module| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&Module> = edges.get(from).into_iter().flatten().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next.clone()) {
                open.extend(edges.get(next).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = edges.keys().map(|from| (from, reach(from))).collect();
    let mut found = BTreeSet::new();
    for (from, to) in &reached {
        // Who reaches itself stands in a circle; the circle is everybody who reaches it and whom it reaches.
        if to.contains(*from) {
            let circle = to
                .iter()
                .filter(|other| reached.get(other).is_some_and(|back| back.contains(*from)));
            let names: Vec<String> = circle.map(|module| module.join("::")).collect();
            found.insert(names.join(" · "));
        }
    }
    Ok(found.into_iter().collect())
}

/// What no file of a machine may name, as paths: a prefix of path segments, or two neighbouring ones anywhere.
const IMPURE: [&[&str]; 6] = [
    &["tokio"],
    &["sqlx"],
    &["voxea_core"],
    &["SystemTime"],
    &["Instant", "now"],
    &["std", "net", "TcpStream"],
];

/// Files of a channel that do not stand behind the feature `shell` and name a runtime, a database or a clock.
///
/// # Errors
/// When a file cannot be read as Rust.
pub fn impurities(channel: &Sources) -> Result<Vec<String>> {
    let code = Crate::parse(&channel.0)?;
    let mut wrong = Vec::new();
    for (file, tokens) in code.files() {
        if code.behind_shell(file) {
            continue;
        }
        for forbidden in IMPURE {
            if tokens.names(forbidden) {
                wrong.push(format!("{file} names {}", forbidden.join("::")));
            }
        }
    }
    Ok(wrong)
}

/// Files below a folder of a package that hold SQL or name sqlx.
///
/// # Errors
/// When a file cannot be read as Rust.
pub fn sql_below(sources: &Sources, folder: &str) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (file, tokens) in Crate::parse(&sources.0)?.files() {
        if file.starts_with(folder) && (tokens.names(&["sqlx"]) || tokens.texts().any(is_sql)) {
            wrong.push(format!("{file} holds SQL"));
        }
    }
    Ok(wrong)
}

fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split(|letter: char| !letter.is_ascii_uppercase()).collect();
    let has = |word: &str| words.contains(&word);
    (has("SELECT") && has("FROM")) || (has("INSERT") && has("INTO")) || (has("UPDATE") && has("SET")) || (has("DELETE") && has("FROM"))
}
