//! A file as a flat list of tokens, without what only tests compile.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One token; spans and spacing are of no interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Sign(char),
    Text(String),
    Open(char),
    Close,
}

/// A file's tokens.
#[derive(Debug, Clone)]
pub(super) struct Tokens(Vec<Token>);

impl Tokens {
    pub(super) fn read(file: &str, text: &str) -> Result<Self> {
        let stream: TokenStream = text.parse().map_err(|error| anyhow!("{file}: {error}"))?;
        let mut flat = Vec::new();
        flatten(stream, &mut flat);
        Ok(Self(flat))
    }

    pub(super) fn as_slice(&self) -> &[Token] {
        &self.0
    }

    /// Whether a path with these neighbouring segments occurs.
    pub(super) fn names(&self, segments: &[&str]) -> bool {
        let words: Vec<Token> = segments
            .iter()
            .enumerate()
            .flat_map(|(index, segment)| {
                let colons = [Token::Sign(':'), Token::Sign(':')]
                    .into_iter()
                    .take(if index == 0 { 0 } else { 2 });
                colons.chain([Token::Word((*segment).to_owned())])
            })
            .collect();
        self.0.windows(words.len()).any(|window| window == words)
    }

    /// The string literals, quotes included.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|token| match token {
            Token::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Whether an attribute is `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn for_tests(attribute: &TokenTree) -> bool {
    let TokenTree::Group(group) = attribute else { return false };
    let mut tokens = group.stream().into_iter();
    let cfg = matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == "cfg");
    let Some(TokenTree::Group(condition)) = tokens.next() else {
        return false;
    };
    let words: Vec<String> = condition
        .stream()
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(word) => vec![word.to_string()],
            TokenTree::Group(inner) => inner.stream().into_iter().map(|token| token.to_string()).collect(),
            _ => Vec::new(),
        })
        .collect();
    cfg && words.iter().any(|word| word == "test") && !words.iter().any(|word| word == "not" || word == "any")
}

fn flatten(stream: TokenStream, flat: &mut Vec<Token>) {
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(sign) if sign.as_char() == '#' && tokens.peek().is_some_and(for_tests) => {
                tokens.next();
                // The item ends with its block, or with a semicolon where it has none.
                for token in tokens.by_ref() {
                    match token {
                        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                        TokenTree::Punct(sign) if sign.as_char() == ';' => break,
                        _ => {}
                    }
                }
            }
            TokenTree::Punct(sign) => flat.push(Token::Sign(sign.as_char())),
            TokenTree::Ident(word) => flat.push(Token::Word(word.to_string().trim_start_matches("r#").to_owned())),
            TokenTree::Literal(literal) => flat.push(Token::Text(literal.to_string())),
            TokenTree::Group(group) => {
                flat.push(Token::Open(match group.delimiter() {
                    Delimiter::Brace => '{',
                    Delimiter::Bracket => '[',
                    Delimiter::Parenthesis | Delimiter::None => '(',
                }));
                flatten(group.stream(), flat);
                flat.push(Token::Close);
            }
        }
    }
}
