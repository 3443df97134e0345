//! HTML that may be shown to an agent: it runs nothing, fetches nothing and covers nothing.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use super::render::text;
use super::tokens::{Token, attribute, resolved, tokens};

/// Largest HTML that is shown as such, in bytes.
const BYTES: usize = 1024 * 1024;
/// Deepest HTML that is shown as such; the tree builder is quadratic in depth.
const DEPTH: usize = 512;

/// What may be shown of a mail's HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Safe {
    /// A fragment of HTML without scripts, forms, frames and anything that is fetched from elsewhere. An image that came with
    /// the mail is named by its `Content-ID`, as `cid:…`.
    pub html: String,
    /// How many images were to be fetched from elsewhere, and are not there.
    pub blocked: usize,
}

/// Elements that are kept, each with the attributes that are kept beside [`EVERYWHERE`].
const KEPT: [(&str, &[&str]); 53] = [
    ("a", &["href"]),
    ("abbr", &[]),
    ("b", &[]),
    ("bdi", &[]),
    ("bdo", &[]),
    ("big", &[]),
    ("blockquote", &[]),
    ("br", &[]),
    ("caption", &[]),
    ("center", &[]),
    ("cite", &[]),
    ("code", &[]),
    ("col", &["span", "width"]),
    ("colgroup", &["span", "width"]),
    ("dd", &[]),
    ("del", &[]),
    ("div", &["align"]),
    ("dl", &[]),
    ("dt", &[]),
    ("em", &[]),
    ("font", &["color", "size"]),
    ("h1", &["align"]),
    ("h2", &["align"]),
    ("h3", &["align"]),
    ("h4", &["align"]),
    ("h5", &["align"]),
    ("h6", &["align"]),
    ("hr", &[]),
    ("i", &[]),
    ("img", &["src", "alt", "width", "height"]),
    ("ins", &[]),
    ("li", &["value"]),
    ("mark", &[]),
    ("ol", &["start", "type"]),
    ("p", &["align"]),
    ("pre", &[]),
    ("q", &[]),
    ("s", &[]),
    ("small", &[]),
    ("span", &[]),
    ("strike", &[]),
    ("strong", &[]),
    ("sub", &[]),
    ("sup", &[]),
    ("table", &["width", "border", "cellpadding", "cellspacing", "align", "bgcolor"]),
    ("tbody", &[]),
    ("td", &["colspan", "rowspan", "align", "valign", "width", "bgcolor"]),
    ("tfoot", &[]),
    ("th", &["colspan", "rowspan", "align", "valign", "width", "bgcolor"]),
    ("thead", &[]),
    ("tr", &["align", "valign", "bgcolor"]),
    ("u", &[]),
    ("ul", &[]),
];

const EVERYWHERE: [&str; 3] = ["style", "dir", "lang"];

/// Properties of styles that are kept: none of them takes an address, moves anything out of its place or hides it.
const STYLES: [&str; 13] = [
    "color",
    "background-color",
    "font-weight",
    "font-style",
    "font-size",
    "font-family",
    "text-align",
    "text-decoration",
    "vertical-align",
    "white-space",
    "list-style-type",
    "border-collapse",
    "text-transform",
];

static RULES: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut rules = Builder::empty();
    let attributes: HashMap<_, HashSet<_>> = KEPT.iter().map(|(tag, names)| (*tag, names.iter().copied().collect())).collect();
    rules
        .tags(KEPT.iter().map(|(tag, _)| *tag).collect())
        .clean_content_tags(["script", "style", "title", "template", "iframe", "noframes"].into())
        .tag_attributes(attributes)
        .generic_attributes(EVERYWHERE.into())
        .filter_style_properties(STYLES.into())
        .url_schemes(["http", "https", "mailto", "tel", "cid", "data"].into())
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .attribute_filter(|element, name, value| match (element, name) {
            ("img", "src") => image(value).then_some(Cow::Borrowed(value)),
            ("a", "href") => (!scheme(value, &["cid:", "data:"])).then_some(Cow::Borrowed(value)),
            (_, "style") => harmless(value).then_some(Cow::Borrowed(value)),
            _ => Some(Cow::Borrowed(value)),
        });
    rules
});

/// What may be shown of a page. One that is too large or too deep to be looked at gives its text instead.
#[must_use]
pub fn safe(html: &str) -> Safe {
    match normal(html) {
        Some((page, blocked)) => Safe {
            html: RULES.clean(&page).to_string(),
            blocked,
        },
        None => Safe {
            html: format!("<pre>{}</pre>", ammonia::clean_text(&text(html))),
            blocked: 0,
        },
    }
}

/// The same page with nothing in it but elements and attributes that are kept, so that what a tree is built of is bounded;
/// `None` beyond the bounds. And how many images were left out.
fn normal(html: &str) -> Option<(String, usize)> {
    if html.len() > BYTES {
        return None;
    }
    let mut out = String::with_capacity(html.len());
    let mut open: Vec<String> = Vec::new();
    let mut blocked = 0;
    for token in tokens(html) {
        match token {
            Token::Text(text) => out.push_str(&text.replace('<', "&lt;")),
            Token::Close(name) => {
                // An end of nothing would still cost the tree builder a walk.
                if let Some(at) = open.iter().rposition(|known| *known == name) {
                    open.truncate(at);
                    out.push_str("</");
                    out.push_str(&name);
                    out.push('>');
                }
            }
            Token::Open(name, attributes) => {
                blocked += fetched(&attributes);
                let Some((tag, kept)) = KEPT.iter().find(|(tag, _)| *tag == name) else {
                    continue;
                };
                out.push('<');
                out.push_str(tag);
                for name in kept.iter().chain(&EVERYWHERE) {
                    let Some(value) = attribute(&attributes, name) else { continue };
                    let value = resolved(value);
                    if (*tag, *name) == ("img", "src") && !image(&value) {
                        continue;
                    }
                    // No value needs these, and what reads the page next may be careless.
                    let value = value.replace(['<', '>'], "").replace('&', "&amp;").replace('"', "&quot;");
                    out.push(' ');
                    out.push_str(name);
                    out.push_str("=\"");
                    out.push_str(&value);
                    out.push('"');
                }
                out.push('>');
                if !matches!(*tag, "br" | "hr" | "img" | "col") {
                    open.push(name);
                    if open.len() > DEPTH {
                        return None;
                    }
                }
            }
        }
    }
    Some((out, blocked))
}

/// Whether a tag would have something fetched to be shown.
fn fetched(attributes: &[(&str, &str)]) -> usize {
    let remote = ["src", "background", "srcset", "poster"]
        .iter()
        .filter_map(|name| attribute(attributes, name))
        .any(|value| scheme(&resolved(value), &["http:", "https:", "//"]));
    let style = attribute(attributes, "style")
        .map(resolved)
        .unwrap_or_default()
        .to_ascii_lowercase();
    usize::from(remote || style.contains("url("))
}

/// An image that is part of the mail, by its id or in place. Images of a kind that has scripts (SVG) are none.
fn image(address: &str) -> bool {
    const KINDS: [&str; 5] = [
        "data:image/png",
        "data:image/jpeg",
        "data:image/jpg",
        "data:image/gif",
        "data:image/webp",
    ];
    scheme(address, &["cid:"]) || scheme(address, &KINDS)
}

fn scheme(address: &str, wanted: &[&str]) -> bool {
    let plain: String = address
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .take(32)
        .collect::<String>()
        .to_ascii_lowercase();
    wanted.iter().any(|scheme| plain.starts_with(scheme))
}

/// A style that names no address and no escape by which it could.
fn harmless(style: &str) -> bool {
    let lower = style.to_ascii_lowercase();
    style.len() <= 4096
        && !["url", "image", "expression", "@", "\\", "javascript", "var(", "attr("]
            .iter()
            .any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(html: &str) -> String {
        safe(html).html
    }

    #[test]
    fn what_is_shown_runs_and_fetches_nothing() {
        for html in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<img src=\"https://traceur.example/p.gif\">",
            "<img src=\" ht\ntps://traceur.example/p.gif\">",
            "<img src=//traceur.example/p.gif>",
            "<img srcset='https://traceur.example/p.gif 2x'>",
            "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
            "<a href='javascript:alert(1)'>x</a>",
            "<a href='java&#10;script:alert(1)'>x</a>",
            "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
            "<p style='background:url(https://traceur.example)'>x</p>",
            "<p style='background-color:red;background-image:u\\72l(https://traceur.example)'>x</p>",
            "<p style='position:fixed;top:0'>x</p>",
            "<style>@import 'https://traceur.example'</style>",
            "<link rel=stylesheet href=https://traceur.example>",
            "<table background=https://traceur.example><tr><td>x</table>",
            "<form action=https://traceur.example><input name=x></form>",
            "<iframe src=https://traceur.example></iframe>",
            "<svg><a xlink:href='javascript:alert(1)'>x</a></svg>",
            "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
            "<meta http-equiv=refresh content='0;url=https://traceur.example'>",
            "<base href=https://traceur.example>",
            "<video poster=https://traceur.example></video>",
            "<p lang='\"><script>alert(1)</script>'>x</p>",
            "<img src=cid:x alt='\"&gt;&lt;script&gt;alert(1)&lt;/script&gt;'>",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
        ] {
            let shown = shown(html);
            for word in [
                "traceur",
                "alert(1)>",
                "onerror=a",
                "<script",
                "javascript:",
                "position",
                "<svg",
                "<form",
                "<input",
            ] {
                let escaped = shown.replace("&lt;script", "").replace("&gt;", "");
                assert!(!escaped.contains(word), "{html}: {shown}");
            }
        }
    }

    #[test]
    fn what_says_something_is_kept() {
        let page = "<p style=\"color:red\">Un <b>trou</b> <a href=\"https://example.fr/?a=1&amp;b=2\">ici</a></p><img src=\"cid:plan@x\" alt=\"Plan\"><table><tr><td colspan=2>1 &lt; 2</td></tr></table>";
        let kept = shown(page);
        for piece in [
            "<b>trou</b>",
            "href=\"https://example.fr/?a=1&amp;b=2\"",
            "rel=\"noopener noreferrer nofollow\"",
            "src=\"cid:plan@x\"",
            "colspan=\"2\"",
            "1 &lt; 2",
            "color:red",
        ] {
            assert!(kept.contains(piece), "{piece}: {kept}");
        }
        assert_eq!(
            safe("<img src=https://a.fr/1><img src=http://a.fr/2><p style='background:url(x)'>").blocked,
            3
        );
        assert!(shown("<img src='data:image/png;base64,AAAA'>").contains("data:image/png;base64,AAAA"));
    }

    #[test]
    fn bombs_are_shown_as_text() {
        for bomb in [
            "<div>".repeat(10_000) + "fin",
            "<b>a</b>".repeat(200_000),
            "<table>".repeat(600) + "fin",
        ] {
            assert!(shown(&bomb).starts_with("<pre>"), "{}", bomb.len());
        }
        let attributes = format!("<p {}>fin</p>", (0..50_000).map(|n| format!("a{n}=1 ")).collect::<String>());
        assert_eq!(shown(&attributes), "<p>fin</p>");
        // Ends of nothing, which a tree builder would look for each time.
        assert!(shown(&("<div>".repeat(500) + &"</p></b>".repeat(50_000))).len() < 20_000);
    }

    proptest! {
        #[test]
        fn what_is_safe_stays_safe(html in "(<(p|b|a href=x|img src=cid:a|/p|/b|script|/script|svg|math|style|!--)>|[a&\"'<>=/-]){0,40}") {
            let once = safe(&html).html;
            for shown in [&once, &safe(&once).html] {
                for tag in ["<script", "<svg", "<math", "<style", "<!--"] {
                    prop_assert!(!shown.contains(tag), "{}", shown);
                }
            }
        }
    }
}
