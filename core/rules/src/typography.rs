//! Marks and letters that a text message can do without.
//!
//! Two strengths. [`typography`] replaces what a word processor put in and no reader misses
//! (`’`, `…`, no-break spaces); it is always applied. [`equivalent`] goes further (`ç` to `c`,
//! `œ` to `oe`) and is only ever *proposed*, because it changes the citizen's language.

/// Replaces typographic marks by their plain twins: quotes, dashes, ellipsis and spaces of
/// every width; drops zero-width spaces and soft hyphens; joins a letter and the accent that
/// follows it as a combining mark (`e` + U+0301, as macOS writes it) into one character.
///
/// Accents stay: a text without typographic marks comes back as it was.
#[must_use]
pub fn typography(text: &str) -> String {
    replaced(text).into_iter().map(|(_, char)| char).collect()
}

/// The characters of [`typography`], each with the index (in characters) of the one in `text`
/// that it came from.
pub(crate) fn replaced(text: &str) -> Vec<(usize, char)> {
    let mut chars: Vec<(usize, char)> = Vec::with_capacity(text.len());
    for (index, char) in text.chars().enumerate() {
        if let Some(last) = chars.last_mut()
            && let Some(joined) = join(last.1, char)
        {
            last.1 = joined;
            continue;
        }
        match mark(char) {
            Some(plain) => chars.extend(plain.chars().map(|plain| (index, plain))),
            None => chars.push((index, char)),
        }
    }
    chars
}

fn mark(char: char) -> Option<&'static str> {
    if char.is_ascii() && char != '\t' {
        return None;
    }
    Some(match char {
        '’' | '‘' | '‚' | '‛' | '‹' | '›' | '\u{2bc}' | '′' => "'",
        '“' | '”' | '„' | '‟' | '«' | '»' | '″' => "\"",
        '…' => "...",
        '–' | '—' | '―' | '‒' | '‐' | '\u{2011}' | '−' => "-",
        '\t' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        '\u{2028}' | '\u{2029}' | '\u{85}' => "\n",
        '\u{200b}' | '\u{feff}' | '\u{2060}' | '\u{ad}' => "",
        _ => return None,
    })
}

/// Combining mark, letters that it may follow, the same letters with it.
const JOINED: [(char, &str, &str); 7] = [
    ('\u{300}', "aeiouAEIOU", "àèìòùÀÈÌÒÙ"),
    ('\u{301}', "aeiouyAEIOUY", "áéíóúýÁÉÍÓÚÝ"),
    ('\u{302}', "aeiouAEIOU", "âêîôûÂÊÎÔÛ"),
    ('\u{303}', "anoANO", "ãñõÃÑÕ"),
    ('\u{308}', "aeiouyAEIOUY", "äëïöüÿÄËÏÖÜŸ"),
    ('\u{30a}', "aA", "åÅ"),
    ('\u{327}', "cC", "çÇ"),
];

fn join(letter: char, mark: char) -> Option<char> {
    let (_, letters, joined) = JOINED.iter().find(|(known, _, _)| *known == mark)?;
    letters
        .chars()
        .zip(joined.chars())
        .find(|(plain, _)| *plain == letter)
        .map(|(_, char)| char)
}

/// Letters and what they become without their accents.
const LETTERS: [(&str, &str); 52] = [
    ("àáâãäåāăąǎạảấầẩẫậắằẳẵặ", "a"),
    ("ÀÁÂÃÄÅĀĂĄǍẠẢẤẦẨẪẬẮẰẲẴẶ", "A"),
    ("æǽ", "ae"),
    ("ÆǼ", "AE"),
    ("çćĉċč", "c"),
    ("ÇĆĈĊČ", "C"),
    ("ďđð", "d"),
    ("ĎĐÐ", "D"),
    ("èéêëēĕėęěẹẻẽếềểễệ", "e"),
    ("ÈÉÊËĒĔĖĘĚẸẺẼẾỀỂỄỆ", "E"),
    ("ĝğġģǧ", "g"),
    ("ĜĞĠĢǦ", "G"),
    ("ĥħ", "h"),
    ("ĤĦ", "H"),
    ("ìíîïĩīĭįıỉị", "i"),
    ("ÌÍÎÏĨĪĬĮİỈỊ", "I"),
    ("ĵ", "j"),
    ("Ĵ", "J"),
    ("ķ", "k"),
    ("Ķ", "K"),
    ("ĺļľŀł", "l"),
    ("ĹĻĽĿŁ", "L"),
    ("ñńņňŋ", "n"),
    ("ÑŃŅŇŊ", "N"),
    ("òóôõöøōŏőơọỏốồổỗộớờởỡợ", "o"),
    ("ÒÓÔÕÖØŌŎŐƠỌỎỐỒỔỖỘỚỜỞỠỢ", "O"),
    ("œ", "oe"),
    ("Œ", "OE"),
    ("ŕŗř", "r"),
    ("ŔŖŘ", "R"),
    ("śŝşšș", "s"),
    ("ŚŜŞŠȘ", "S"),
    ("ß", "ss"),
    ("ẞ", "SS"),
    ("ţťŧț", "t"),
    ("ŢŤŦȚ", "T"),
    ("þ", "th"),
    ("Þ", "Th"),
    ("ùúûüũūŭůűųưụủứừửữự", "u"),
    ("ÙÚÛÜŨŪŬŮŰŲƯỤỦỨỪỬỮỰ", "U"),
    ("ŵ", "w"),
    ("Ŵ", "W"),
    ("ýÿŷỳỵỷỹ", "y"),
    ("ÝŸŶỲỴỶỸ", "Y"),
    ("źżž", "z"),
    ("ŹŻŽ", "Z"),
    ("ﬁ", "fi"),
    ("ﬂ", "fl"),
    ("ﬀ", "ff"),
    ("ﬃ", "ffi"),
    ("ﬄ", "ffl"),
    ("ƒ", "f"),
];

/// A Latin letter without its accents or ligature (`É` to `E`, `œ` to `oe`); `None` for a
/// character that is not such a letter.
#[must_use]
pub fn unaccented(char: char) -> Option<&'static str> {
    if char.is_ascii() {
        return None;
    }
    LETTERS.iter().find(|(letters, _)| letters.contains(char)).map(|(_, plain)| *plain)
}

/// The cheapest ASCII that says the same as a letter or sign; `""` for pictographs and
/// invisible marks, which say nothing that must be kept; `None` where there is no equivalent
/// (other scripts).
///
/// `before` is the character in front: `n°` becomes `no`, `20 °C` becomes `20 degC`.
#[must_use]
pub fn equivalent(char: char, before: Option<char>) -> Option<&'static str> {
    if let Some(plain) = unaccented(char) {
        return Some(plain);
    }
    Some(match char {
        '°' if matches!(before, Some('n' | 'N' | '0'..='9')) => "o",
        '°' => "deg",
        'º' => "o",
        'ª' => "a",
        '`' | '´' => "'",
        '•' | '‣' => "-",
        '·' | '∙' => ".",
        '×' => "x",
        '÷' => "/",
        '±' => "+/-",
        '≤' => "<=",
        '≥' => ">=",
        '≠' => "<>",
        '≈' => "~",
        '→' => "->",
        '←' => "<-",
        '⇒' => "=>",
        '²' => "2",
        '³' => "3",
        '¹' => "1",
        // 2ᵉ étage, 1ᵉʳ, Mᵐᵉ
        'ᵉ' => "e",
        'ʳ' => "r",
        'ᵐ' => "m",
        'ᵈ' => "d",
        'ˢ' => "s",
        '¼' => "1/4",
        '½' => "1/2",
        '¾' => "3/4",
        '‰' => "o/oo",
        'µ' | 'μ' => "u",
        '©' => "(c)",
        '®' => "(r)",
        '™' => "TM",
        '№' => "No",
        '¢' => "c",
        '¬' => "-",
        '¦' => "/",
        '¯' => "-",
        _ if unspoken(char) => "",
        _ => return None,
    })
}

/// Pictographs and what joins or colours them; accents left alone; marks of writing direction,
/// which telephones put around a pasted number.
fn unspoken(char: char) -> bool {
    matches!(char,
        '\u{1f000}'..='\u{1faff}'
        | '\u{2300}'..='\u{23ff}'
        | '\u{25a0}'..='\u{27bf}'
        | '\u{2b00}'..='\u{2bff}'
        | '\u{300}'..='\u{36f}'
        | '\u{200c}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{20e3}'
        | '\u{fe0e}' | '\u{fe0f}'
        | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gsm7;

    #[test]
    fn word_processor_marks_go_and_accents_stay() {
        for (sent, plain) in [
            ("l’école", "l'école"),
            ("« oui »", "\" oui \""),
            ("“oui” ‘non’ „ja‟", "\"oui\" 'non' \"ja\""),
            ("attendez…", "attendez..."),
            ("9 h – 12 h — fermé", "9 h - 12 h - fermé"),
            ("10\u{a0}000\u{202f}€\u{2009}!", "10 000 € !"),
            ("a\tb\u{200b}c\u{feff}d\u{ad}e", "a bcde"),
            ("e\u{301}te\u{301} rec\u{327}u", "été reçu"),
            ("déjà reçu, œuf, 100 €", "déjà reçu, œuf, 100 €"),
            ("", ""),
        ] {
            assert_eq!(typography(sent), plain, "{sent:?}");
            assert_eq!(typography(plain), plain, "once is enough");
        }
    }

    #[test]
    fn each_character_knows_where_it_came_from() {
        assert_eq!(replaced("a…ç"), [(0, 'a'), (1, '.'), (1, '.'), (1, '.'), (2, 'ç')]);
        assert_eq!(replaced("xe\u{302}z"), [(0, 'x'), (1, 'ê'), (3, 'z')]);
    }

    #[test]
    fn the_tables_are_sound() {
        for (mark, letters, joined) in JOINED {
            assert_eq!(letters.chars().count(), joined.chars().count(), "{mark:?}");
        }
        for (letters, plain) in LETTERS {
            for letter in letters.chars() {
                assert_eq!(unaccented(letter), Some(plain), "{letter:?} stands twice");
                assert!(plain.chars().all(|char| char.is_ascii_alphabetic()));
            }
        }
    }

    #[test]
    fn equivalents_fit_the_seven_bit_alphabet() {
        for char in ('\u{80}'..='\u{2fff}').chain('\u{1f000}'..='\u{1faff}') {
            if let Some(plain) = equivalent(char, None) {
                assert!(gsm7::encode(plain).is_ok(), "{char:?} to {plain:?}");
            }
        }
        assert_eq!(equivalent('°', Some('n')), Some("o"));
        assert_eq!(equivalent('°', Some(' ')), Some("deg"));
        assert_eq!(equivalent('😀', None), Some(""));
        assert_eq!(equivalent('ж', None), None);
        assert_eq!(equivalent('م', None), None);
    }
}
