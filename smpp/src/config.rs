//! One `[[smpp]]` of the configuration.

use std::time::Duration;

use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::secret::Secret;
use voxea_core::base::settings::Section;
use voxea_core::outbox::Sender;

use crate::content::DefaultAlphabet;
use crate::pdu::{self, Address, Bind, Credentials};
use crate::session::Settings;

/// SMPP's port by IANA.
const PORT: u16 = 2775;
/// The SMSC's texts that may wait for their commit; beyond, nothing more is read.
const INBOUND_WINDOW: usize = 1000;

/// The longest source_addr (SMPP 3.4 §5.2.8).
const LONGEST_NUMBER: usize = 20;
/// The longest name that a telephone shows in a number's place (3GPP TS 23.040 §9.1.2.5).
const LONGEST_NAME: usize = 11;

/// A bind to an SMSC.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name, as `/v1/channels` shows it.
    pub name: String,
    /// Name or address of the SMSC.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are.
    pub system_id: String,
    /// At most eight characters.
    pub password: Secret,
    /// Mostly empty.
    pub system_type: String,
    /// 0x34 or 0x50.
    pub version: u8,
    /// In which directions texts pass.
    pub bind: Bind,
    /// The number that citizens text to and see, with what SMPP says of it.
    pub number: Address,
    /// Texts of ours in flight at once.
    pub window: usize,
    /// See field rule 3 of redelivery: seconds, 0 matches only across links.
    pub redelivery_seconds: u32,
    /// How long a part waits for the others.
    pub parts: Duration,
    /// After so long a silence the SMSC is asked whether it is there.
    pub enquire: Duration,
    /// How long a response may take.
    pub response: Duration,
    /// The longest wait between two tries to reach the SMSC; the first one is a second, and they double.
    pub reconnect: Duration,
    /// What the SMSC means by data_coding 0.
    pub default_alphabet: DefaultAlphabet,
    /// What to answer while the store is away; `None`: nothing, and the bind is closed.
    pub busy_status: Option<u32>,
    /// The theme of what names none.
    pub theme: Option<String>,
}

impl Config {
    /// Reads a `[[smpp]]`. What is wrong is noted in the section's problems, and defaults stand in for it.
    #[must_use]
    pub fn read(section: &mut Section<'_>) -> Self {
        let name = section.required_string("name", "short-number");
        let (host, port) = address(section);
        let number = section.required_string("number", "36123");
        if !number.is_empty() && !is_number(&number) {
            section.problem(
                "number",
                format!("{number:?} is no number of ours: digits alone (\"36123\"), an international number (\"+33612345678\"), or a name of at most {LONGEST_NAME} letters and digits (\"MAIRIE\")"),
            );
        }
        let (ton, npi) = kind_of(&number);
        let bind = match section.one_of("bind", &["transceiver", "transmitter", "receiver"], "transceiver") {
            "transmitter" => Bind::Transmitter,
            "receiver" => Bind::Receiver,
            _ => Bind::Transceiver,
        };
        let version = if section.one_of("version", &["3.4", "5.0"], "3.4") == "5.0" {
            0x50
        } else {
            0x34
        };
        let default_alphabet = match section.one_of("default_alphabet", &["gsm7", "gsm7_packed", "latin1"], "gsm7") {
            "gsm7_packed" => DefaultAlphabet::Gsm7Packed,
            "latin1" => DefaultAlphabet::Latin1,
            _ => DefaultAlphabet::Gsm7,
        };
        let busy = section.int_or("busy_status", 0, 1..=0xFFFF_FFFF);
        let config = Self {
            name,
            host,
            port,
            system_id: section.required_string("system_id", "voxea"),
            password: password(section),
            system_type: section.string_or("system_type", ""),
            version,
            bind,
            number: Address {
                ton: small(section.int_or("number_ton", i64::from(ton), 0..=6)),
                npi: small(section.int_or("number_npi", i64::from(npi), 0..=18)),
                number: number.trim_start_matches('+').to_owned(),
            },
            window: usize::try_from(section.int_or("window", 64, 1..=1000)).unwrap_or(64),
            redelivery_seconds: u32::try_from(section.int_or("redelivery_seconds", 60, 0..=86_400)).unwrap_or(60),
            parts: seconds(section.int_or("parts_seconds", 86_400, 1..=7 * 86_400)),
            enquire: seconds(section.int_or("enquire_seconds", 30, 1..=3600)),
            response: seconds(section.int_or("response_seconds", 20, 1..=600)),
            reconnect: seconds(section.int_or("reconnect_seconds", 60, 1..=3600)),
            default_alphabet,
            busy_status: u32::try_from(busy).ok().filter(|status| *status != 0),
            theme: section.string("theme"),
        };
        // What SMPP has no room for is said now, not at the first bind.
        if let Err(error) = pdu::bind(config.bind, &config.credentials()) {
            let key = match error.0 {
                "password" if section.has("password_file") => "password_file",
                "password" => "password",
                "system_type" => "system_type",
                _ => "system_id",
            };
            section.problem(
                key,
                "does not fit: ASCII, and at most 15 characters for system_id, 8 for password, 12 for system_type",
            );
        }
        config
    }

    /// The account that this bind is.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::new(Kind::Smpp, &self.name)
    }

    /// What the outbox must know to send by this bind; `None` when it only receives.
    #[must_use]
    pub fn sender(&self) -> Option<Sender> {
        let sends = self.bind != Bind::Receiver;
        sends.then(|| Sender {
            channel: Channel::Sms,
            account: self.account(),
            from: self.number.number.clone(),
        })
    }

    fn credentials(&self) -> Credentials {
        Credentials {
            system_id: self.system_id.clone(),
            password: self.password.reveal().to_owned(),
            system_type: self.system_type.clone(),
            version: self.version,
        }
    }

    /// How the session behaves.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            bind: self.bind,
            credentials: self.credentials(),
            window: self.window,
            inbound_window: INBOUND_WINDOW,
            enquire_interval: self.enquire,
            response_timeout: self.response,
        }
    }
}

fn password(section: &Section<'_>) -> Secret {
    section.secret("password", "password_file").unwrap_or_else(|| {
        if !section.has("password") && !section.has("password_file") {
            section.problem(
                "password_file",
                "is missing; a file with the password alone: password_file = \"smsc.password\"",
            );
        }
        Secret::new("")
    })
}

fn address(section: &Section<'_>) -> (String, u16) {
    let text = section.required_string("address", "192.0.2.1:2775");
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address without brackets has no port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
        _ => (text.as_str(), Some(PORT)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match port {
        Some(port) if port != 0 && !host.is_empty() => (host.to_owned(), port),
        _ => {
            if !text.is_empty() {
                section.problem(
                    "address",
                    format!("{text:?} is no host and port; an example: address = \"192.0.2.1:2775\""),
                );
            }
            (String::new(), PORT)
        }
    }
}

/// Whether SMPP has room for it, and an SMSC a meaning.
fn is_number(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or(number);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits.len() <= LONGEST_NUMBER;
    }
    let fits = number.len() <= LONGEST_NAME && number == number.trim();
    fits && number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_.&".contains(&byte))
        && number.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Type and plan of a number of ours, as SMSCs mostly want them.
fn kind_of(number: &str) -> (u8, u8) {
    let digits = number.trim_start_matches('+');
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // Letters: alphanumeric.
        false => (5, 0),
        // A short code: network specific.
        true if digits.len() <= 8 => (3, 0),
        // A national number is the SMSC's to read; an international one says so.
        true if number.starts_with('0') => (2, 1),
        true => (1, 1),
    }
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

fn small(number: i64) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use voxea_core::base::settings::{Problems, parse};

    fn read(text: &str) -> (Config, Vec<String>) {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let config = Config::read(&mut Section::root(&node, Path::new("/nowhere"), &problems));
        (config, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    const SOUND: &str = "name = \"short-number\"\naddress = \"127.0.0.1:2775\"\nsystem_id = \"voxea\"\npassword = \"secret\"\n\
                         bind = \"transceiver\"\nnumber = \"36123\"\nwindow = 64\nredelivery_seconds = 60\nparts_seconds = 86400\n";

    #[test]
    fn the_documented_bind_is_read() {
        let (config, problems) = read(SOUND);
        assert_eq!(problems, [""; 0]);
        assert_eq!((config.host.as_str(), config.port, config.window), ("127.0.0.1", 2775, 64));
        assert_eq!((config.number.ton, config.number.npi, config.busy_status), (3, 0, None));
        assert_eq!(config.sender().unwrap().from, "36123");
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_remedy() {
        let (_, problems) = read("address = \"smsc:port\"\nsystem_id = \"much-too-long-for-smpp\"\npassword = \"x\"\nbind = \"both\"\n");
        let all = problems.join("\n");
        for part in [
            "name: is missing",
            "number: is missing",
            "is no host and port",
            "at most 15 characters",
            "must be one of transceiver",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(read(&SOUND.replace("\"secret\"", "\"nine char\"")).1[0].contains("password: does not fit"));
    }

    #[test]
    fn numbers_say_what_they_are() {
        for (number, kind) in [
            ("36123", (3, 0)),
            ("+33612345678", (1, 1)),
            ("33937000000", (1, 1)),
            ("0937000000", (2, 1)),
            ("MAIRIE", (5, 0)),
        ] {
            assert_eq!(kind_of(number), kind, "{number}");
            assert!(is_number(number), "{number}");
        }
        for number in [
            "36 123",
            "+",
            "numéro",
            "+33 6 12 34 56 78",
            "UNE MAIRIE TROP LONGUE",
            "123456789012345678901",
            "36123;",
        ] {
            let (_, problems) = read(&SOUND.replace("36123", number));
            assert!(
                problems.len() == 1 && problems[0].starts_with("line 6: number: "),
                "{number}: {problems:?}"
            );
        }
    }

    #[test]
    fn addresses() {
        for (text, host, port) in [
            ("smsc.example", "smsc.example", 2775),
            ("[::1]:2776", "::1", 2776),
            ("::1", "::1", 2775),
            ("10.0.0.1:1", "10.0.0.1", 1),
        ] {
            let (config, problems) = read(&SOUND.replace("127.0.0.1:2775", text));
            assert_eq!((config.host.as_str(), config.port, problems), (host, port, vec![]));
        }
    }
}
