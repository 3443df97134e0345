//! One `[[smpp]]` of the configuration.

mod outbind;
mod security;

use std::time::Duration;

use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::secret::Secret;
use voxea_core::base::settings::Section;
use voxea_core::outbox::Sender;
use voxea_rules::sender::SenderId;

use crate::content::DefaultAlphabet;
use crate::pdu::{self, Address, Bind, Credentials};
use crate::sending::Sending;
use crate::session::Settings;
use crate::tls::Tls;

pub use outbind::Outbind;

/// SMPP's port by IANA.
const PORT: u16 = 2775;
/// The SMSC's texts that may wait for their commit; beyond, nothing more is read.
const INBOUND_WINDOW: usize = 1000;
/// By whose rules a sender is checked (ISO 3166).
const COUNTRY: &str = "FR";
/// The most connections of a kind to one SMSC.
const MOST_BINDS: i64 = 8;

/// An account at an SMSC.
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
    /// In which directions texts pass; of `bind = "separate"` only half of it, see [`Config::separate`].
    pub bind: Bind,
    /// Whether each bind is two connections, a transmitter and a receiver.
    pub separate: bool,
    /// How many of them; 0 when only the SMSC connects.
    pub binds: usize,
    /// How connections are encrypted; `None`: they are not.
    pub tls: Option<Tls>,
    /// Where the SMSC connects to, when it does.
    pub outbind: Option<Outbind>,
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
    /// How texts go out.
    pub sending: Sending,
}

impl Config {
    /// Reads a `[[smpp]]`. What is wrong is noted in the section's problems, and defaults stand in for it.
    #[must_use]
    pub fn read(section: &mut Section<'_>) -> Self {
        let name = section.required_string("name", "short-number");
        let binds = binds(section);
        let (host, port) = address(section, binds > 0);
        let tls = security::read(section, &host);
        let outbind = outbind::read(section, tls.is_some());
        let number = number(section);
        let kind = section.one_of("bind", &["transceiver", "transmitter", "receiver", "separate"], "transceiver");
        let bind = match kind {
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
        let mut sending = Sending::read(section);
        sending.texting.alphabet = default_alphabet.of_texts();
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
            separate: kind == "separate",
            binds,
            tls,
            outbind,
            number: Address {
                ton: small(section.int_or("number_ton", number.as_ref().map_or(0, |number| i64::from(number.ton())), 0..=6)),
                npi: small(section.int_or("number_npi", number.as_ref().map_or(0, |number| i64::from(number.npi())), 0..=18)),
                number: number.map(|number| number.as_str().to_owned()).unwrap_or_default(),
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
            sending,
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

    /// The account that its binds are.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::new(Kind::Smpp, &self.name)
    }

    /// What the outbox must know to send by this account; `None` when it only receives.
    #[must_use]
    pub fn sender(&self) -> Option<Sender> {
        let guest = self.outbind.as_ref().is_some_and(|outbind| outbind.bind != Bind::Receiver);
        let sends = guest || self.binds > 0 && self.bind != Bind::Receiver;
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

    /// The connections that we make: the name of each within the account, and its kind.
    pub(crate) fn slots(&self) -> Vec<(String, Bind)> {
        let kinds = |number| match self.separate {
            false => vec![(format!("{number}"), self.bind)],
            true => vec![
                (format!("{number}-transmitter"), Bind::Transmitter),
                (format!("{number}-receiver"), Bind::Receiver),
            ],
        };
        (1..=self.binds).flat_map(kinds).collect()
    }

    /// How a session of one of its binds behaves.
    pub(crate) fn settings(&self, bind: Bind) -> Settings {
        Settings {
            bind,
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

/// How many connections, or pairs of them, we make.
fn binds(section: &Section<'_>) -> usize {
    let binds = section.int_or("binds", 1, 0..=MOST_BINDS);
    if binds == 0 && !section.has("outbind_listen") {
        section.problem(
            "binds",
            format!("is 0, and the SMSC connects to nothing of ours either: 1 to {MOST_BINDS}, or outbind_listen"),
        );
    }
    usize::try_from(binds).unwrap_or(1)
}

/// The number that citizens text to and see, checked by the rules of the country's operators.
fn number(section: &Section<'_>) -> Option<SenderId> {
    let text = section.required_string("number", "36123");
    if text.is_empty() {
        return None;
    }
    let checked = SenderId::new(&text, COUNTRY);
    checked.map_err(|wrong| section.problem("number", format!("{text:?} {wrong}"))).ok()
}

fn address(section: &Section<'_>, required: bool) -> (String, u16) {
    let text = match required {
        true => section.required_string("address", "192.0.2.1:2775"),
        false => section.string_or("address", ""),
    };
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
        for (number, written, kind) in [
            ("36123", "36123", (3, 0)),
            ("+33937000000", "33937000000", (1, 1)),
            ("0937000000", "33937000000", (1, 1)),
            ("MAIRIE", "MAIRIE", (5, 0)),
        ] {
            let (config, problems) = read(&SOUND.replace("36123", number));
            assert_eq!(problems, [""; 0]);
            assert_eq!(
                (config.number.number.as_str(), (config.number.ton, config.number.npi)),
                (written, kind)
            );
        }
        for (number, why) in [
            ("36 123", "is no number"),
            ("+33612345678", "begins with 06 or 07"),
            ("0712345678", "begins with 06 or 07"),
            ("0140205050", "is of a range that cannot text"),
            ("UNEMAIRIELONGUE", "has 15 characters"),
            ("Mairie-Ville", "has '-' in it"),
        ] {
            let (_, problems) = read(&SOUND.replace("36123", number));
            assert!(
                problems.len() == 1 && problems[0].starts_with("line 6: number: ") && problems[0].contains(why),
                "{number}: {problems:?}"
            );
        }
    }

    #[test]
    fn several_binds_of_one_account() {
        let names = |text: &str| {
            let (config, problems) = read(&format!("{}{text}", SOUND.replace("bind = \"transceiver\"\n", "")));
            assert_eq!(problems, [""; 0]);
            let slots = config.slots().into_iter();
            slots.map(|(name, bind)| format!("{name} {bind:?}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(names(""), "1 Transceiver");
        assert_eq!(names("binds = 2\nbind = \"receiver\"\n"), "1 Receiver, 2 Receiver");
        let separate = "1-transmitter Transmitter, 1-receiver Receiver, 2-transmitter Transmitter, 2-receiver Receiver";
        assert_eq!(names("binds = 2\nbind = \"separate\"\n"), separate);
        for (text, why) in [
            ("binds = 9\n", "binds: "),
            ("binds = 0\n", "is 0, and the SMSC connects to nothing"),
        ] {
            assert!(read(&format!("{SOUND}{text}")).1[0].contains(why), "{text}");
        }
    }

    #[test]
    fn an_smsc_that_connects_to_us_proves_who_it_is() {
        let outbind = "outbind_listen = \"127.0.0.1:0\"\noutbind_allow = [\"127.0.0.0/8\"]\noutbind_system_id = \"smsc\"\n\
                       outbind_password = \"guest\"\n";
        let (config, problems) = read(&format!("{SOUND}{outbind}"));
        assert_eq!(problems, [""; 0]);
        assert!(!format!("{config:?}").contains("guest"));
        assert_eq!(config.outbind.unwrap().bind, Bind::Receiver);
        let alone = SOUND.replace("address = \"127.0.0.1:2775\"\n", "binds = 0\n");
        let (config, problems) = read(&format!("{alone}{outbind}"));
        assert_eq!((problems, config.slots().len(), config.sender()), (vec![], 0, None));
        for (text, why) in [
            (outbind.replace("[\"127.0.0.0/8\"]", "[]"), "names nobody who may connect"),
            (outbind.replace("127.0.0.0/8", "everybody"), "outbind_allow: \"everybody\""),
            (outbind.replace("\"guest\"", "\"\""), "one to eight characters"),
            (outbind.replace("127.0.0.1:0", "here"), "outbind_listen"),
            (format!("{outbind}security = \"tls\"\n"), "does not go with security"),
            (
                "outbind_allow = [\"127.0.0.1\"]\n".to_owned(),
                "says nothing without outbind_listen",
            ),
        ] {
            let all = read(&format!("{SOUND}{text}")).1.join("\n");
            assert!(all.contains(why), "{why}: {all}");
        }
    }

    #[test]
    fn tls_is_checked_at_the_start() {
        let (config, problems) = read(&format!("{SOUND}security = \"tls\"\n"));
        assert_eq!((problems, config.tls.map(|tls| tls.name)), (vec![], Some("127.0.0.1".to_owned())));
        for (text, why) in [
            ("ca_file = \"ca.pem\"\n", "line 10: ca_file: says nothing without security"),
            ("security = \"tls\"\nca_file = \"none.pem\"\n", "line 11: ca_file: "),
            ("security = \"tls\"\ncertificate = \"none.pem\"\n", "needs its key beside it"),
            ("security = \"tls\"\ntls_name = \"a b\"\n", "tls_name: \"a b\" is no name"),
            ("security = \"starttls\"\n", "must be one of none, tls"),
        ] {
            let all = read(&format!("{SOUND}{text}")).1.join("\n");
            assert!(all.contains(why), "{text}: {all}");
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
