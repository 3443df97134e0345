//! The 160 rule on what town halls and citizens really write.
//!
//! Each row of `data/french.tsv` is held against the engine and against a second reckoning, which lives here, shares
//! nothing with the engine and is as simple-minded as can be: the alphabet as the standard prints it, all ways to cut a
//! text, one table of what stands for what.

#![expect(clippy::expect_used, clippy::panic, reason = "a table that cannot be read fails at that line")]

use std::collections::HashMap;
use std::fmt::Write as _;

use voxea_rules::sms::Coding::{Gsm7, Ucs2};
use voxea_rules::sms::{Coding, Letters, Policy, ReferenceWidth, check_reply, fits_one_segment, prepare, preview};

const TABLE: &str = include_str!("data/french.tsv");

struct Row {
    text: String,
    coding: Coding,
    units: usize,
    segments: usize,
    offending: String,
    suggestion: Option<String>,
}

fn rows() -> Vec<Row> {
    let of = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [coding, units, segments, offending, text, suggestion] = columns[..] else {
            panic!("six columns: {line:?}");
        };
        Row {
            text: read(text),
            coding: if coding == "gsm7" { Gsm7 } else { Ucs2 },
            units: units.parse().expect("units"),
            segments: segments.parse().expect("segments"),
            offending: read(offending),
            suggestion: (suggestion != "-").then(|| read(suggestion)),
        }
    };
    let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(of).collect()
}

/// `\n`, `\t`, `\\` and `\u{…}`.
fn read(column: &str) -> String {
    let mut text = String::new();
    let mut chars = column.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            text.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let digits: String = chars.by_ref().skip(1).take_while(|char| *char != '}').collect();
                text.push(
                    u32::from_str_radix(&digits, 16)
                        .ok()
                        .and_then(char::from_u32)
                        .expect("a code point"),
                );
            }
            other => text.push(other.expect("something behind the stroke")),
        }
    }
    text
}

/// The second reckoning.
mod apart {
    use super::*;

    /// 3GPP TS 23.038 §6.2.1, column by column.
    const ALPHABET: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                            ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    /// §6.2.1.1.
    const TWO: &str = "\u{c}^{}\\[~]|€";
    /// Marks that no reader misses.
    const MARKS: &str = "’' ‘' ʼ' ′' ‹' ›' “\" ”\" „\" «\" »\" ″\" …... –- —- −- \u{2011}-";
    const BLANKS: &str = "\t\u{a0}\u{202f}\u{2009}\u{2003}";
    const NOTHING: &str = "\u{200b}\u{feff}\u{ad}";
    const ACCENTED: &str = "e\u{301}é E\u{301}É c\u{327}ç o\u{302}ô e\u{308}ë";
    /// Letters and signs, and what says the same.
    const SAME: &str = "çc êe ôo ûu îi âa ëe ïi ÿy œoe ŒOE ÀA ÈE ÊE ËE ÂA ÎI ÏI ÔO ÛU ÙU áa íi óo úu ãa řr ŁL źz ŽZ žz İI ŞS şs ıi ğg \
                        ễe ăa ĐD ứu ᵉe ʳr ᵐm ·. ²2 ³3 µu ±+/- ×x ½1/2 →-> •- ©(c) ®(r)";
    const PICTURES: &str = "👍😀🎉🚧⚠👨👩👧🇫🇷✅❤☎☀★\u{fe0f}\u{200d}\u{20e3}";

    /// "ab" pairs: first character, the rest.
    fn table(pairs: &str) -> HashMap<char, &str> {
        let of = |pair: &'static str| {
            let first = pair.chars().next().expect("no empty pair");
            (first, &pair[first.len_utf8()..])
        };
        // The pairs are constants, which live as long as the test.
        let pairs: &'static str = Box::leak(pairs.to_owned().into_boxed_str());
        pairs.split_whitespace().map(of).collect()
    }

    /// With the place of each in the text as sent.
    pub(super) fn typography(text: &str) -> Vec<(usize, char)> {
        let marks = table(MARKS);
        let sent: Vec<char> = text.chars().collect();
        let mut plain = Vec::new();
        let mut place = 0;
        while place < sent.len() {
            let char = sent[place];
            let joined = sent.get(place + 1).and_then(|accent| {
                let both = format!("{char}{accent}");
                let found = ACCENTED.split(' ').find_map(|triple| triple.strip_prefix(&both));
                found.and_then(|joined| joined.chars().next())
            });
            if let Some(joined) = joined {
                plain.push((place, joined));
                place += 2;
                continue;
            }
            match char {
                _ if marks.contains_key(&char) => plain.extend(marks[&char].chars().map(|mark| (place, mark))),
                _ if BLANKS.contains(char) => plain.push((place, ' ')),
                _ if NOTHING.contains(char) => {}
                '\u{2028}' => plain.push((place, '\n')),
                _ => plain.push((place, char)),
            }
            place += 1;
        }
        plain
    }

    pub(super) fn known(char: char) -> bool {
        ALPHABET.contains(char) || TWO.contains(char)
    }

    /// What each character costs.
    pub(super) fn costs(text: &str, coding: Coding) -> Vec<usize> {
        let cost = |char: char| match coding {
            Gsm7 => 1 + usize::from(TWO.contains(char)),
            Ucs2 => 1 + usize::from(char as u32 > 0xFFFF),
        };
        text.chars().map(cost).collect()
    }

    /// The fewest pieces of all ways to cut between characters: the best way to every place, from every place before.
    pub(super) fn fewest(costs: &[usize], whole: usize, room: usize) -> usize {
        if costs.iter().sum::<usize>() <= whole {
            return usize::from(!costs.is_empty());
        }
        let mut before = vec![0];
        for cost in costs {
            before.push(before[before.len() - 1] + cost);
        }
        let mut best = vec![0; costs.len() + 1];
        for end in 1..=costs.len() {
            let starts = (0..end).filter(|&start| before[end] - before[start] <= room);
            best[end] = starts.map(|start| best[start] + 1).min().expect("a character fits a segment");
        }
        best[costs.len()]
    }

    /// Every character that the alphabet lacks replaced, or `None`.
    pub(super) fn plain(text: &str) -> Option<String> {
        let same = table(SAME);
        let mut plain = String::new();
        for char in text.chars() {
            let before = plain.chars().next_back();
            match char {
                _ if known(char) => plain.push(char),
                '°' if before.is_some_and(|before| before == 'n' || before.is_ascii_digit()) => plain.push('o'),
                '°' => plain.push_str("deg"),
                // A mark for now, for the blank that goes with it.
                _ if PICTURES.contains(char) => plain.push('\u{1}'),
                _ => plain.push_str(same.get(&char)?),
            }
        }
        for (from, to) in [("\u{1}\u{1}", "\u{1}"), (" \u{1} ", " \u{1}"), ("\u{1}\u{1}", "\u{1}")] {
            while plain.contains(from) {
                plain = plain.replace(from, to);
            }
        }
        if let Some(behind) = plain.strip_prefix("\u{1} ") {
            plain = behind.to_owned();
        }
        if plain.ends_with('\u{1}') {
            plain = plain.trim_end_matches(['\u{1}', ' ']).to_owned();
        }
        Some(plain.replace('\u{1}', ""))
    }

    /// Round brackets, single blanks.
    pub(super) fn squeezed(text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in [("  ", " "), ("[", "("), ("]", ")"), ("{", "("), ("}", ")")] {
            while text.contains(from) {
                text = text.replace(from, to);
            }
        }
        text
    }

    pub(super) fn proposal(text: &str) -> Option<String> {
        let plain = plain(text)?;
        let fits = |text: &String| (1..=160).contains(&costs(text, Gsm7).iter().sum::<usize>());
        [plain.clone(), squeezed(&plain)].into_iter().find(fits)
    }
}

#[test]
fn each_row_is_what_the_second_reckoning_says() {
    let rows = rows();
    assert!(rows.len() >= 250, "{}", rows.len());
    for row in &rows {
        let sent = apart::typography(&row.text);
        let text: String = sent.iter().map(|(_, char)| *char).collect();
        let foreign: Vec<_> = sent.iter().filter(|(_, char)| !apart::known(*char)).collect();
        let coding = if foreign.is_empty() { Gsm7 } else { Ucs2 };
        let costs = apart::costs(&text, coding);
        let (limit, room) = if coding == Gsm7 { (160, 153) } else { (70, 67) };
        let mut offending = String::new();
        for (place, char) in foreign {
            write!(offending, "{}{char}{place}", if offending.is_empty() { "" } else { " " }).expect("a string");
        }
        assert_eq!((row.coding, row.units), (coding, costs.iter().sum()), "{text:?}");
        assert_eq!(row.segments, apart::fewest(&costs, limit, room), "{text:?}");
        assert_eq!(row.offending, if offending.is_empty() { "-" } else { &offending }, "{text:?}");
        let proposal = if coding == Gsm7 && row.units <= 160 {
            None
        } else {
            apart::proposal(&text)
        };
        assert_eq!(row.suggestion, proposal, "{text:?}");
    }
}

#[test]
fn the_engine_says_the_same() {
    for row in rows() {
        let text = row.text.as_str();
        let preview = preview(text);
        assert_eq!(
            (preview.coding, preview.units, preview.segments),
            (row.coding, row.units, row.segments),
            "{text:?}"
        );
        assert_eq!(preview.limit, if row.coding == Gsm7 { 160 } else { 70 });
        assert_eq!(preview.suggestion, row.suggestion, "{text:?}");
        let offending: Vec<String> = preview.offending.iter().map(|one| format!("{}{}", one.char, one.index)).collect();
        assert_eq!(
            if offending.is_empty() {
                "-".to_owned()
            } else {
                offending.join(" ")
            },
            row.offending,
            "{text:?}"
        );

        assert_eq!(fits_one_segment(text), row.segments == 1, "{text:?}");
        match check_reply(text) {
            Ok(encoded) => {
                assert_eq!((row.segments, encoded.coding), (1, row.coding), "{text:?}");
                assert_eq!(encoded.bytes.len(), row.units * if row.coding == Gsm7 { 1 } else { 2 });
            }
            Err(refused) => assert_eq!((refused.preview, row.segments > 1), (preview, true), "{text:?}"),
        }
        if let Some(suggestion) = &row.suggestion {
            assert!(
                check_reply(suggestion).is_ok_and(|encoded| encoded.coding == Gsm7),
                "{suggestion:?}"
            );
        }
    }
}

/// Three times over, so that most rows take several segments, with references of both widths.
#[test]
fn no_way_to_cut_a_text_takes_fewer_segments_than_the_engine() {
    for row in rows() {
        let text = format!("{0} {0} {0}", row.text);
        let plain: String = apart::typography(&text).into_iter().map(|(_, char)| char).collect();
        let costs = apart::costs(&plain, row.coding);
        for (width, room) in [
            (ReferenceWidth::Eight, if row.coding == Gsm7 { 153 } else { 67 }),
            (ReferenceWidth::Sixteen, if row.coding == Gsm7 { 152 } else { 66 }),
        ] {
            let policy = Policy {
                letters: Letters::Keep,
                most_segments: 255,
                width,
                ..Policy::default()
            };
            let prepared = prepare(&text, &policy).expect("no text is that long");
            let fewest = apart::fewest(&costs, row.coding.limit(), room);
            assert_eq!((prepared.count(), prepared.text()), (fewest, plain.clone()), "{text:?} {width:?}");
            let segments = prepared.segments(300);
            assert_eq!(segments.len(), fewest);
            assert_eq!(
                segments.iter().map(|segment| segment.units()).sum::<usize>(),
                costs.iter().sum::<usize>()
            );
        }
    }
}

#[test]
fn a_sentence_repeated_is_refused_at_the_very_unit() {
    for Row { text, coding, units, .. } in rows() {
        let fitting = coding.limit() / units;
        assert!(fitting == 0 || check_reply(&text.repeat(fitting)).is_ok(), "{text:?}");
        let refused = check_reply(&text.repeat(fitting + 1)).expect_err("too long").preview;
        assert_eq!(refused.units, units * (fitting + 1), "{text:?}");
        assert!(refused.segments > 1, "{text:?}");
    }
}

#[test]
fn one_cedilla_more_than_halves_the_room() {
    let plain = "Votre demande est enregistrée. ".repeat(5);
    assert!(check_reply(&plain).is_ok());
    let refused = check_reply(&plain.replacen("est", "a été reçue et", 1)).expect_err("UCS-2").preview;
    assert_eq!((refused.coding, refused.limit, refused.segments), (Ucs2, 70, 3));
    assert_eq!(refused.offending.len(), 1);
    let proposed = refused.suggestion;
    assert_eq!(proposed, None, "161 septets and more are no proposal");
    let refused = check_reply(&plain.replacen("est", "reçue", 1)).expect_err("UCS-2").preview;
    assert_eq!(refused.suggestion, Some(plain.replacen("est", "recue", 1)));
}

#[test]
fn members_are_spelled_as_the_interface_says() {
    assert_eq!(
        serde_json::to_value(preview("« reçu »")).expect("JSON"),
        serde_json::json!({
            "coding": "ucs2",
            "units": 8,
            "limit": 70,
            "segments": 1,
            "offending": [{ "char": "ç", "index": 4 }],
            "suggestion": "\" recu \"",
        })
    );
    assert_eq!(
        serde_json::to_value(preview("oui")).expect("JSON"),
        serde_json::json!({
            "coding": "gsm7",
            "units": 3,
            "limit": 160,
            "segments": 1,
            "offending": [],
            "suggestion": null,
        })
    );
}
