//! The default alphabet and its extension table, both ways (3GPP TS 23.038 §6.2.1).

/// The escape to the extension table (§6.2.1, note 1).
pub const ESCAPE: u8 = 0x1B;

/// The default table by code; the place of the escape is never looked up.
pub(super) const DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', //
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\0', 'Æ', 'æ', 'ß', 'É', //
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', //
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', //
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', //
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', //
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', //
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// The extension table (§6.2.1.1): code after the escape, character.
pub(super) const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// No code for this character.
const NONE: u8 = 0xFF;

/// The default table turned round for Latin-1; the Greek capitals are searched for.
const REVERSE: [u8; 256] = {
    let mut reverse = [NONE; 256];
    let mut code = 0;
    while code < 128 {
        let char = DEFAULT[code] as usize;
        if char < 256 && code != ESCAPE as usize {
            reverse[char] = code as u8;
        }
        code += 1;
    }
    reverse
};

/// How a character is written: one septet, or the one after an escape.
pub(super) enum Code {
    Plain(u8),
    Escaped(u8),
}

pub(super) fn code(char: char) -> Option<Code> {
    if let Some(&plain) = REVERSE.get(char as usize).filter(|&&plain| plain != NONE) {
        return Some(Code::Plain(plain));
    }
    if let Some(&(escaped, _)) = EXTENSION.iter().find(|(_, known)| *known == char) {
        return Some(Code::Escaped(escaped));
    }
    // Below 256 the reversed table has spoken; what is left are the Greek capitals in 0x10..0x1A.
    (char as u32 >= 256)
        .then(|| DEFAULT.iter().position(|known| *known == char))
        .flatten()
        .and_then(|place| u8::try_from(place).ok())
        .map(Code::Plain)
}
