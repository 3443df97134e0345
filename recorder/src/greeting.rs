//! The greeting for a line that has none of its own.

use crate::error::Error;
use crate::prompt::Prompt;

/// 8 kHz A-law WAV, made by `assets/make-greeting.sh`. It says, in French, that
/// one has reached the town hall, that the message will be recorded, that 9
/// refuses that, and to speak after the beep.
const FRENCH: &[u8] = include_bytes!("../assets/greeting-fr.wav");

/// The spoken French greeting that is built in.
///
/// # Errors
/// None in a build whose tests passed; the type is the reader's.
pub fn french() -> Result<Prompt, Error> {
    Prompt::parse(FRENCH, "built-in greeting")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_some_seconds_of_audible_speech() {
        let prompt = french().unwrap();
        let seconds = prompt.samples().len() / 8_000;
        assert!((5..30).contains(&seconds), "{seconds} s");
        let loud = prompt.samples().iter().filter(|s| s.unsigned_abs() > 2_000).count();
        assert!(loud > prompt.samples().len() / 20, "{loud} loud samples");
    }
}
