//! Readable text out of HTML.

use super::tokens::{Token, attribute, resolved, tokens};

/// Tables inside one another whose cells are put beside each other; deeper ones are paragraphs.
const TABLES: usize = 12;
/// Longest row of cells that stays a line, in bytes.
const ROW_BYTES: usize = 300;
/// Longest address of a link that is written out, in bytes.
const LINK_BYTES: usize = 300;
/// Deepest list or quote that is indented.
const DEEP: usize = 12;

/// The text of an HTML document: paragraphs and headings apart, lists with their marks, rows of tables as lines, links with
/// their address behind them, quotes with `>` before each line, images as what their alternative says.
///
/// What the document hides, scripts and styles are left out. Takes time and room in proportion to its length.
#[must_use]
pub fn text(html: &str) -> String {
    let mut page = Page::default();
    for token in tokens(html) {
        match token {
            Token::Text(text) => page.text(&resolved(text)),
            Token::Open(name, attributes) => page.open(&name, &attributes),
            Token::Close(name) => page.close(&name),
        }
    }
    page.finish()
}

#[derive(Debug, Default)]
struct Page {
    page: Sheet,
    /// The cells that are open, the innermost last.
    cells: Vec<Sheet>,
    tables: Vec<Table>,
    lists: Vec<List>,
    quotes: usize,
    preformatted: usize,
    link: Option<Link>,
    /// What is being hidden: the element's name, and how many of that name are open.
    hidden: Option<(String, usize)>,
}

#[derive(Debug, Default)]
struct Sheet {
    out: String,
    /// Line ends that are due before the next letter.
    lines: usize,
    /// A blank is due before the next letter of the line.
    blank: bool,
    /// What the last line began with.
    prefix: String,
}

#[derive(Debug, Default)]
struct Table {
    cells: Vec<String>,
    open: bool,
    /// How many cells of others are open around its own.
    below: usize,
}

#[derive(Debug)]
struct List {
    /// The number of the next item; `None` without numbers.
    next: Option<u32>,
}

#[derive(Debug)]
struct Link {
    address: String,
    sheet: usize,
    start: usize,
}

impl Page {
    fn sheet(&mut self) -> &mut Sheet {
        self.cells.last_mut().unwrap_or(&mut self.page)
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        let prefix = self.prefix();
        let preformatted = self.preformatted > 0;
        let sheet = self.sheet();
        for c in text.chars() {
            match c {
                '\n' if preformatted => sheet.lines += 1,
                '\r' | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{feff}' => {}
                ' ' | '\t' if preformatted => sheet.letter(c, &prefix),
                ' ' | '\t' | '\n' | '\u{c}' => sheet.blank = true,
                _ => sheet.letter(c, &prefix),
            }
        }
    }

    /// What stands at the beginning of each line: quotes, then the indentation of lists.
    fn prefix(&self) -> String {
        if !self.cells.is_empty() {
            return String::new();
        }
        let quotes = "> ".repeat(self.quotes.min(DEEP));
        quotes + &"  ".repeat(self.lists.len().saturating_sub(1).min(DEEP))
    }

    fn block(&mut self, lines: usize) {
        self.sheet().block(lines);
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        if let Some((hidden, count)) = &mut self.hidden {
            *count += usize::from(hidden == name);
            return;
        }
        if hides(name, attributes) {
            self.hidden = Some((name.to_owned(), 1));
            return;
        }
        match name {
            "br" => self.sheet().lines += 1,
            "p" => self.block(paragraph(attributes)),
            "blockquote" => {
                self.block(2);
                self.quotes += 1;
            }
            "pre" | "textarea" | "listing" => {
                self.block(2);
                self.preformatted += 1;
            }
            "ul" | "ol" | "menu" | "dir" => {
                self.block(if self.lists.is_empty() { 2 } else { 1 });
                let start = attribute(attributes, "start").and_then(|start| start.trim().parse().ok());
                self.lists.push(List {
                    next: (name == "ol").then(|| start.unwrap_or(1)),
                });
            }
            "li" => self.item(),
            "hr" => {
                self.block(1);
                self.text("---");
                self.block(1);
            }
            "img" => {
                if let Some(alternative) = attribute(attributes, "alt").map(resolved).filter(|text| !text.trim().is_empty()) {
                    self.text(&format!("[{}]", alternative.trim()));
                }
            }
            "a" => self.link(attributes),
            "table" => {
                self.block(1);
                if self.tables.len() < TABLES {
                    self.tables.push(Table::default());
                }
            }
            "tr" => {
                self.end_row();
                self.block(1);
            }
            "td" | "th" => self.cell(),
            _ => self.block(space(name)),
        }
    }

    fn close(&mut self, name: &str) {
        if let Some((hidden, count)) = &mut self.hidden {
            if hidden == name {
                *count -= 1;
                if *count == 0 {
                    self.hidden = None;
                }
            }
            return;
        }
        match name {
            "br" => self.sheet().lines += 1,
            "p" => self.block(1),
            "blockquote" => {
                self.quotes = self.quotes.saturating_sub(1);
                self.block(2);
            }
            "pre" | "textarea" | "listing" => {
                self.preformatted = self.preformatted.saturating_sub(1);
                self.block(2);
            }
            "ul" | "ol" | "menu" | "dir" => {
                self.lists.pop();
                self.block(if self.lists.is_empty() { 2 } else { 1 });
            }
            "a" => self.end_link(),
            "td" | "th" => self.end_cell(),
            "tr" => self.end_row(),
            "table" => {
                self.end_row();
                self.tables.pop();
                self.block(1);
            }
            _ => self.block(space(name)),
        }
    }

    fn item(&mut self) {
        self.block(1);
        let mark = match self.lists.last_mut() {
            Some(List { next: Some(number) }) => {
                let mark = format!("{number}.");
                *number = number.saturating_add(1);
                mark
            }
            _ => "-".to_owned(),
        };
        self.text(&mark);
        self.text(" ");
    }

    fn link(&mut self, attributes: &[(&str, &str)]) {
        self.end_link();
        let address = attribute(attributes, "href").map(resolved).unwrap_or_default().trim().to_owned();
        let lower = address.get(..8.min(address.len())).unwrap_or_default().to_ascii_lowercase();
        let worth = ["http://", "https://", "mailto:", "tel:"]
            .iter()
            .any(|scheme| lower.starts_with(scheme));
        if worth && address.len() <= LINK_BYTES && !address.contains(char::is_whitespace) {
            let sheet = self.sheet();
            let start = sheet.out.len();
            let sheet = self.cells.len();
            self.link = Some(Link { address, sheet, start });
        }
    }

    /// Writes a link's address behind its words, unless they are it.
    fn end_link(&mut self) {
        let Some(link) = self.link.take().filter(|link| link.sheet == self.cells.len()) else {
            return;
        };
        let plain = ["mailto:", "tel:"].iter().find_map(|scheme| link.address.strip_prefix(scheme));
        let plain = plain.map_or(link.address.as_str(), |address| address.split('?').next().unwrap_or_default());
        let bare = |text: &str| -> String {
            let text = text.trim().to_lowercase();
            let text = text
                .trim_start_matches("https://")
                .trim_start_matches("http://")
                .trim_start_matches("www.");
            text.trim_end_matches('/').chars().filter(|c| !c.is_whitespace()).collect()
        };
        let sheet = self.sheet();
        let words = sheet.out.get(link.start..).unwrap_or_default();
        if !words.trim().is_empty() && !bare(words).contains(&bare(plain)) {
            let address = format!(" ({plain})");
            sheet.out.push_str(&address);
        }
    }

    fn cell(&mut self) {
        self.end_cell();
        match self.tables.last_mut() {
            Some(table) => {
                table.open = true;
                table.below = self.cells.len();
                self.cells.push(Sheet::default());
            }
            None => self.block(1),
        }
    }

    fn end_cell(&mut self) {
        self.end_link();
        let Some(table) = self.tables.last_mut().filter(|table| table.open) else {
            return;
        };
        table.open = false;
        for sheet in self.cells.drain(table.below.min(self.cells.len())..) {
            let text = sheet.out.trim();
            if !text.is_empty() {
                table.cells.push(text.to_owned());
            }
        }
    }

    /// Cells of one line each make a line; cells that are layout, a paragraph each.
    fn end_row(&mut self) {
        self.end_cell();
        let Some(cells) = self.tables.last_mut().map(|table| std::mem::take(&mut table.cells)) else {
            return;
        };
        if cells.is_empty() {
            return;
        }
        let length: usize = cells.iter().map(String::len).sum();
        let rows = if length <= ROW_BYTES && !cells.iter().any(|cell| cell.contains('\n')) {
            vec![cells.join(" | ")]
        } else {
            cells
        };
        let prefix = self.prefix();
        for row in rows {
            self.block(1);
            let sheet = self.sheet();
            for line in row.split('\n') {
                for c in line.chars() {
                    sheet.letter(c, &prefix);
                }
                sheet.lines += 1;
            }
        }
    }

    fn finish(mut self) -> String {
        self.end_link();
        while !self.tables.is_empty() {
            self.end_row();
            self.tables.pop();
        }
        let lines: Vec<&str> = self.page.out.lines().map(str::trim_end).collect();
        lines.join("\n").trim_matches('\n').to_owned()
    }
}

impl Sheet {
    fn block(&mut self, lines: usize) {
        self.lines = self.lines.max(lines);
        if lines > 0 {
            self.blank = false;
        }
    }

    fn letter(&mut self, c: char, prefix: &str) {
        if self.lines > 0 && !self.out.is_empty() {
            // Two empty lines at most; those inside a quote have its marks.
            let marks = if self.prefix == prefix { prefix.trim_end() } else { "" };
            for _ in 1..self.lines.min(3) {
                self.out.push('\n');
                self.out.push_str(marks);
            }
            self.out.push('\n');
            self.out.push_str(prefix);
        } else if self.out.is_empty() {
            self.out.push_str(prefix);
        } else if self.blank {
            self.out.push(' ');
        }
        if self.lines > 0 || self.out.len() == prefix.len() {
            prefix.clone_into(&mut self.prefix);
        }
        self.lines = 0;
        self.blank = false;
        self.out.push(c);
    }
}

/// Line ends before and after an element.
fn space(name: &str) -> usize {
    match name {
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dl" | "figure" => 2,
        "div" | "section" | "article" | "header" | "footer" | "main" | "nav" | "aside" | "address" | "center" | "form" | "fieldset"
        | "legend" | "caption" | "dt" | "dd" | "li" | "thead" | "tbody" | "tfoot" | "body" | "figcaption" | "option" | "details"
        | "summary" | "head" | "html" => 1,
        _ => 0,
    }
}

/// Outlook writes each line as a paragraph without margins.
fn paragraph(attributes: &[(&str, &str)]) -> usize {
    let class = attribute(attributes, "class").unwrap_or_default();
    let style: String = attribute(attributes, "style").unwrap_or_default().split_whitespace().collect();
    let tight = class.to_ascii_lowercase().starts_with("mso") || style.contains("margin:0") || style.contains("margin-bottom:0");
    if tight { 1 } else { 2 }
}

fn hides(name: &str, attributes: &[(&str, &str)]) -> bool {
    const EMPTY: [&str; 8] = ["br", "img", "hr", "meta", "link", "input", "col", "wbr"];
    let style: String = attribute(attributes, "style").unwrap_or_default().split_whitespace().collect();
    let style = style.to_ascii_lowercase();
    (style.contains("display:none") || style.contains("mso-hide:all")) && !EMPTY.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::text;
    use proptest::prelude::*;

    #[test]
    fn pages_become_text() {
        for (html, wanted) in [
            (
                "<html><head><title>x</title><style>p{}</style></head><body><p>Bonjour,</p><p>Le trou est l&agrave;.<br>Merci</p></body></html>",
                "Bonjour,\n\nLe trou est là.\nMerci",
            ),
            ("<div>un</div><div><br></div><div>deux</div>", "un\n\ndeux"),
            (
                "<p class=MsoNormal>un</p><p class=MsoNormal>&nbsp;</p><p class=MsoNormal>deux</p>",
                "un\n\ndeux",
            ),
            ("  un\n   deux  <b>trois</b> , <i>quatre</i>", "un deux trois , quatre"),
            (
                "<h1>Titre</h1>texte<h2>Sous-titre</h2><p>suite</p>",
                "Titre\n\ntexte\n\nSous-titre\n\nsuite",
            ),
            (
                "voici :<ul><li>un</li><li>deux<ol start=3><li>a<li>b</ol></li></ul>fin",
                "voici :\n\n- un\n- deux\n  3. a\n  4. b\n\nfin",
            ),
            (
                "<table><tr><th>Rue</th><th>N°</th></tr><tr><td>Hugo</td><td>12</td></tr></table>",
                "Rue | N°\nHugo | 12",
            ),
            (
                "<table><tr><td><p>un</p><p>deux</p></td><td>trois</td></tr></table>",
                "un\n\ndeux\ntrois",
            ),
            (
                "<table><tr><td>a<table><tr><td>b</td><td>c</td></tr></table></td></tr></table>d",
                "a\nb | c\nd",
            ),
            (
                "voir <a href=\"https://example.fr/a\">la page</a>.",
                "voir la page (https://example.fr/a).",
            ),
            ("<a href=\"https://www.example.fr/\">example.fr</a>", "example.fr"),
            (
                "<a href='mailto:a@b.fr?subject=x'>a@b.fr</a> <a href='mailto:a@b.fr'>nous</a>",
                "a@b.fr nous (a@b.fr)",
            ),
            ("<a href=\"javascript:x\">clic</a> <a name=x>ancre</a>", "clic ancre"),
            (
                "<img src=x alt=\"Plan &amp; photo\"><img src=y><img src=z alt=''>",
                "[Plan & photo]",
            ),
            ("<div style='DISPLAY: none'>caché<div>encore</div></div>vu", "vu"),
            (
                "<p>oui</p><blockquote type=cite>Le maire<br>dit<p>non</p></blockquote>",
                "oui\n\n> Le maire\n> dit\n>\n> non",
            ),
            ("<pre>a\n  b</pre>", "a\n  b"),
            ("a<hr>b", "a\n---\nb"),
            ("<td>a<td>b<tr>c</table>d", "a\nb\nc\nd"),
            ("1 < 2 &lt; 3", "1 < 2 < 3"),
            ("", ""),
            ("<p></p>", ""),
        ] {
            assert_eq!(text(html), wanted, "{html}");
        }
    }

    #[test]
    fn bombs_are_text_in_no_time() {
        for tag in [
            "<div>",
            "<table><tr><td>",
            "<blockquote>",
            "<ul><li>x",
            "<b>",
            "<a href='https://a.fr'>",
            "<p style='display:none'>",
        ] {
            let bomb = format!("Bonjour{}fin", tag.repeat(100_000));
            let rendered = text(&bomb);
            assert!(
                rendered.contains("Bonjour") && rendered.len() <= bomb.len() * 8,
                "{tag}: {}",
                rendered.len()
            );
        }
    }

    proptest! {
        #[test]
        fn any_html_is_text(html in "(<(p|br|table|tr|td|/td|/table|ul|li|/ul|blockquote|/blockquote|a href='http://x'|/a|pre|/pre|div style='display:none'|/div)>|[a &;\n<>]){0,60}") {
            let rendered = text(&html);
            prop_assert!(!rendered.ends_with('\n'));
        }
    }
}
