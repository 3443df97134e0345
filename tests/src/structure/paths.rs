//! From tokens to who imports whom: modules, paths, and the files that paths lead to.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::tokens::{Token, Tokens};

/// A module's path from the crate's root, which is empty.
pub type Module = Vec<String>;

/// A package's files as modules.
pub(super) struct Crate {
    files: BTreeMap<String, Tokens>,
    modules: BTreeMap<Module, String>,
    /// What `pub use` of a module hands on: the name, and where it leads.
    handed: BTreeMap<Module, BTreeMap<String, Module>>,
    /// Modules behind `#[cfg(feature = "shell")]`.
    shell: BTreeSet<Module>,
}

/// A path as it stands in a file, and whether `pub use` only hands it on.
struct Named {
    path: Vec<String>,
    handed_on: bool,
}

impl Crate {
    pub(super) fn parse(sources: &BTreeMap<String, String>) -> Result<Self> {
        let mut found = Self {
            files: BTreeMap::new(),
            modules: BTreeMap::new(),
            handed: BTreeMap::new(),
            shell: BTreeSet::new(),
        };
        for (file, text) in sources {
            // Files that `#[cfg(test)] mod …;` brings in.
            if file
                .split('/')
                .any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
            {
                continue;
            }
            found.files.insert(file.clone(), Tokens::read(file, text)?);
            found.modules.insert(module_of(file), file.clone());
        }
        for (file, tokens) in &found.files {
            let here = module_of(file);
            let mut handed = BTreeMap::new();
            for named in paths(tokens.as_slice()).into_iter().filter(|named| named.handed_on) {
                if let Some((name, to)) = named
                    .path
                    .split_last()
                    .and_then(|(name, _)| Some((name, found.lead(&here, &named.path)?)))
                {
                    handed.insert(name.clone(), to);
                }
            }
            found
                .shell
                .extend(gated(tokens.as_slice()).into_iter().map(|child| child_of(&here, &child)));
            found.handed.insert(here, handed);
        }
        Ok(found)
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.modules.keys()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Tokens)> {
        self.files.iter().map(|(file, tokens)| (file.as_str(), tokens))
    }

    /// Whether the feature `shell` is needed to compile a file.
    pub(super) fn behind_shell(&self, file: &str) -> bool {
        let module = module_of(file);
        (1..=module.len()).any(|length| self.shell.contains(&module[..length]))
    }

    /// Every import from one file into another.
    pub(super) fn imports(&self) -> BTreeSet<(Module, Module)> {
        let mut imports = BTreeSet::new();
        for (file, tokens) in &self.files {
            let here = module_of(file);
            for named in paths(tokens.as_slice()) {
                // What a module hands on is imported by those who ask for it, not by the module.
                if named.handed_on {
                    continue;
                }
                if let Some(to) = self.lead(&here, &named.path).map(|to| self.owner(to, &named.path))
                    && to != here
                {
                    imports.insert((here.clone(), to));
                }
            }
        }
        imports
    }

    /// The module of ours that a path leads to, the longest that has a file.
    fn lead(&self, here: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module::new(),
            "self" => here.clone(),
            "super" => here.split_last()?.1.to_vec(),
            name => {
                let child = child_of(here, name);
                self.modules.contains_key(&child).then_some(child)?
            }
        };
        for segment in rest {
            let next = match segment.as_str() {
                "super" => at.split_last()?.1.to_vec(),
                name => child_of(&at, name),
            };
            if !self.modules.contains_key(&next) {
                break;
            }
            at = next;
        }
        Some(at)
    }

    /// Where the last name of a path comes from, when the module it leads to only hands it on.
    fn owner(&self, mut module: Module, path: &[String]) -> Module {
        // A name may be handed on more than once; not more often than modules are deep.
        for _ in 0..8 {
            let handed = self.handed.get(&module);
            let next = path.iter().rev().find_map(|name| handed.and_then(|handed| handed.get(name)));
            match next {
                Some(next) if *next != module => module = next.clone(),
                _ => break,
            }
        }
        module
    }
}

fn child_of(parent: &[String], name: &str) -> Module {
    parent.iter().cloned().chain([name.to_owned()]).collect()
}

fn module_of(file: &str) -> Module {
    let mut parts: Module = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts
        .last()
        .is_some_and(|last| last == "mod" || (parts.len() == 1 && (last == "lib" || last == "main")))
    {
        parts.pop();
    }
    parts
}

/// Modules declared behind `#[cfg(feature = "shell")]`.
fn gated(tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    let mut behind = false;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Text(text) if text == "\"shell\"" => behind = true,
            Token::Word(word) if word == "mod" && behind => {
                if let Some(Token::Word(name)) = tokens.get(index + 1) {
                    found.push(name.clone());
                }
            }
            Token::Sign(';') | Token::Open('{') => behind = false,
            _ => {}
        }
    }
    found
}

/// Every path of a file: those of `use`, with their trees spread out, and those that stand in code.
fn paths(tokens: &[Token]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Word(word) if word == "use" => {
                let handed_on = is_public(&tokens[..at]);
                at = tree(tokens, at + 1, &[], handed_on, &mut found);
            }
            // `pub(in crate::http)` says who may see, and imports nothing.
            Token::Word(word) if word == "pub" && matches!(tokens.get(at + 1), Some(Token::Open('('))) => {
                at += tokens[at..].iter().position(|token| *token == Token::Close).unwrap_or(0) + 1;
            }
            Token::Word(word) => {
                let mut path = vec![word.clone()];
                at += 1;
                while let [Token::Sign(':'), Token::Sign(':'), Token::Word(next), ..] = &tokens[at..] {
                    path.push(next.clone());
                    at += 3;
                }
                if path.len() > 1 {
                    found.push(Named { path, handed_on: false });
                }
            }
            _ => at += 1,
        }
    }
    found
}

/// Whether what follows is `pub`, or `pub(…)`.
fn is_public(before: &[Token]) -> bool {
    let before = match before {
        [rest @ .., Token::Close] => rest
            .iter()
            .rposition(|token| *token == Token::Open('('))
            .map_or(before, |open| &before[..open]),
        _ => before,
    };
    matches!(before.last(), Some(Token::Word(word)) if word == "pub")
}

/// Reads a use tree from `at`; where it ends.
fn tree(tokens: &[Token], mut at: usize, before: &[String], handed_on: bool, found: &mut Vec<Named>) -> usize {
    let mut path = before.to_vec();
    let mut spread = false;
    while let Some(token) = tokens.get(at) {
        match token {
            // The name after `as` is the file's own.
            Token::Word(word) if word == "as" => at += 1,
            Token::Word(word) => path.push(word.clone()),
            Token::Open('{') => {
                spread = true;
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != Token::Close) {
                    at = tree(tokens, at, &path, handed_on, found);
                    if tokens.get(at) == Some(&Token::Sign(',')) {
                        at += 1;
                    }
                }
            }
            Token::Sign(',' | ';') | Token::Close => break,
            _ => {}
        }
        at += 1;
    }
    if !spread && path.len() > before.len() {
        // `{self, Thing}` names the module itself.
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        found.push(Named { path, handed_on });
    }
    at
}
