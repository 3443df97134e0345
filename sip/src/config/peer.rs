//! Where a trunk is reached and how it is trusted: the keys of `[[sip.trunk]]` beside `name` and `allow`.

use std::net::Ipv6Addr;
use std::time::Duration;

use voxea_core::base::settings::Section;

use crate::auth::{Allowed, Credentials, Login, Realm};
use crate::flow::Transport;
use crate::keeper::Settings;

/// A day; nobody needs a longer one, and a shorter one than this asks all the time.
const REGISTER: std::ops::RangeInclusive<i64> = 30..=86_400;

/// What the keys say.
pub(super) struct Peer {
    /// What its calls must prove.
    pub(super) realm: Option<Realm>,
    /// Our account with it.
    pub(super) login: Option<Login>,
    /// How it is reached; `None` without an address.
    pub(super) settings: Option<Settings>,
}

/// Reads the keys of the trunk of this name.
pub(super) fn read(section: &mut Section<'_>, name: &str) -> Peer {
    let credentials = credentials(section);
    let allowed = match (section.bool_or("md5", false), section.bool_or("md5_only", false)) {
        (false, false) => Allowed::Sha,
        (true, false) => Allowed::Any,
        (true, true) => Allowed::Md5,
        (false, true) => {
            section.problem("md5_only", "wants MD5 allowed as well: md5 = true");
            Allowed::Md5
        }
    };
    let realm = section.string("realm").unwrap_or_else(|| name.to_owned());
    if realm.trim().is_empty() && section.has("realm") {
        section.problem(
            "realm",
            "is empty, and systems refuse such a challenge; an example: realm = \"telephony\"",
        );
    } else if realm.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')) {
        section.problem(
            "realm",
            "must hold neither quotes nor backslashes; an example: realm = \"telephony\"",
        );
    } else if credentials.is_some() && realm.to_ascii_lowercase().contains("voxea") {
        section.problem(
            "realm",
            format!("{realm:?} tells the product's name to whoever asks; an example: realm = \"telephony\""),
        );
    }
    let has_user = section.has("user");
    for key in ["md5", "realm", "challenge", "register"] {
        // What stands for the key's absence may be written out.
        if !has_user && section.has(key) && (key == "realm" || section.bool_or(key, false)) {
            section.problem(key, "needs an account: user = \"…\" and password_file = \"…\"");
        }
    }
    let challenge = section.bool_or("challenge", has_user);
    let login = credentials.clone().map(|credentials| Login::new(credentials, allowed));
    let settings = settings(section, name, login.clone());
    Peer {
        realm: credentials.filter(|_| challenge).map(|credentials| Realm {
            name: realm,
            credentials,
            allowed,
        }),
        login,
        settings,
    }
}

fn credentials(section: &Section<'_>) -> Option<Credentials> {
    let user = section.string("user");
    let password = section.secret("password", "password_file");
    let has_password = section.has("password") || section.has("password_file");
    match (&user, has_password) {
        (Some(user), _) if user.is_empty() || user.contains(char::is_control) => {
            section.problem("user", "must be the account's name; an example: user = \"voix\"");
        }
        (Some(user), _) if user.contains(':') => section.problem(
            "user",
            format!(
                "{user:?} has a colon, which parts name, realm and password in a digest (RFC 7616 §3.4.2); an example: user = \"voix\""
            ),
        ),
        (Some(_), false) => section.problem("user", "needs its password: password_file = \"trunk.password\""),
        (None, true) => {
            let key = if section.has("password") { "password" } else { "password_file" };
            section.problem(key, "needs the name that it goes with: user = \"…\"");
        }
        _ => {}
    }
    Some(Credentials::new(&user?, password?.reveal()))
}

fn settings(section: &Section<'_>, name: &str, login: Option<Login>) -> Option<Settings> {
    let address = section.string("address");
    let transport = match section.one_of("transport", &["udp", "tcp", "tls"], "udp") {
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => Transport::Udp,
    };
    let has_address = section.has("address");
    let register = section.bool_or("register", section.has("user") && has_address);
    let seconds = section.int_or("register_seconds", 300, REGISTER);
    let options = section.int_or("options_seconds", 30, 0..=3_600);
    if !has_address {
        for key in ["transport", "register_seconds", "options_seconds"] {
            if section.has(key) {
                section.problem(key, "needs to know where the trunk is reached: address = \"192.0.2.1:5060\"");
            }
        }
        if register {
            section.problem("register", "needs to know where: address = \"192.0.2.1:5060\"");
        }
    }
    let address = address?;
    let Some((host, port)) = host_port(&address, transport.default_port()) else {
        section.problem("address", "must be a host or a host and a port, such as \"192.0.2.1:5060\"");
        return None;
    };
    Some(Settings {
        name: name.to_owned(),
        host,
        port,
        transport,
        register: register.then(|| u32::try_from(seconds).unwrap_or(300)).filter(|_| login.is_some()),
        login,
        options: (options > 0).then(|| Duration::from_secs(options.unsigned_abs())),
    })
}

/// `host`, `host:port`, `[v6]:port` or a bare IPv6 address.
fn host_port(text: &str, default: u16) -> Option<(String, u16)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text.to_owned(), default));
    }
    let (host, port) = crate::wire::uri::host_port(text).filter(|_| !text.contains(char::is_whitespace))?;
    let port = port.unwrap_or(default);
    (port != 0).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use voxea_core::base::settings::{Problems, parse};

    fn peer(folder: &Path, text: &str) -> (Peer, String) {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let mut section = Section::root(&node, folder, &problems);
        let _ = (section.string("name"), section.strings("allow"));
        let peer = read(&mut section, "pbx");
        drop(section);
        let found: Vec<String> = problems.into_sorted().iter().map(ToString::to_string).collect();
        (peer, found.join("\n"))
    }

    fn right(text: &str) -> Peer {
        let (peer, problems) = peer(Path::new("/nowhere"), text);
        assert_eq!(problems, "");
        peer
    }

    #[test]
    fn an_account_and_an_address_register_and_challenge() {
        let found = right("user = \"voix\"\npassword = \"s\"\naddress = \"pbx.example\"\n");
        let settings = found.settings.unwrap();
        assert_eq!((settings.address().as_str(), settings.register), ("pbx.example:5060", Some(300)));
        assert_eq!(
            (settings.options, settings.transport),
            (Some(Duration::from_secs(30)), Transport::Udp)
        );
        assert_eq!(found.realm.unwrap().name, "pbx");
    }

    #[test]
    fn each_half_can_be_had_alone() {
        let found = right("user = \"voix\"\npassword = \"s\"\nmd5 = true\nrealm = \"r\"\n");
        assert!(found.settings.is_none() && found.realm.unwrap().allowed == Allowed::Any);
        let found = right(
            "user = \"voix\"\npassword = \"s\"\naddress = \"[::1]:5070\"\ntransport = \"tcp\"\nchallenge = false\nregister_seconds = 60\noptions_seconds = 0\n",
        );
        let settings = found.settings.unwrap();
        assert_eq!(
            (settings.address().as_str(), settings.register, settings.options),
            ("[::1]:5070", Some(60), None)
        );
        assert!(found.realm.is_none() && found.login.is_some() && settings.transport == Transport::Tcp);
        let found = right("address = \"192.0.2.1\"\nregister = false\nchallenge = false\nmd5 = false\n");
        assert!(found.login.is_none() && found.settings.unwrap().register.is_none());
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_remedy() {
        for (text, expected) in [
            ("user = \"voix\"\n", "line 1: user: needs its password"),
            ("password = \"s\"\n", "line 1: password: needs the name"),
            ("user = \"\"\npassword = \"s\"\n", "line 1: user: must be the account's name"),
            ("register = true\n", "line 1: register: needs an account"),
            ("challenge = true\n", "line 1: challenge: needs an account"),
            ("realm = \"r\"\n", "line 1: realm: needs an account"),
            (
                "user = \"u\"\npassword = \"s\"\nregister = true\n",
                "line 3: register: needs to know where",
            ),
            ("transport = \"tcp\"\n", "line 1: transport: needs to know where"),
            ("address = \"h\"\ntransport = \"ws\"\n", "line 2: transport: is \"ws\""),
            ("address = \"h\"\noptions_seconds = -1\n", "line 2: options_seconds: is -1"),
            ("address = \"h:0\"\n", "line 1: address: must be a host"),
            ("address = \"sip://h\"\n", "line 1: address: must be a host"),
            (
                "user = \"u\"\npassword = \"s\"\nmd5_only = true\n",
                "line 3: md5_only: wants MD5 allowed",
            ),
            (
                "user = \"u\"\npassword = \"s\"\nrealm = \"Voxea\"\n",
                "line 3: realm: \"Voxea\" tells the product's name",
            ),
            (
                "user = \"u\"\npassword = \"s\"\nrealm = \"a\\\"b\"\n",
                "line 3: realm: must hold neither",
            ),
            ("user = \"u\"\npassword = \"s\"\nrealm = \"\"\n", "line 3: realm: is empty"),
            ("user = \"sip:u\"\npassword = \"s\"\n", "line 1: user: \"sip:u\" has a colon"),
        ] {
            let (_, problems) = peer(Path::new("/nowhere"), text);
            assert!(problems.contains(expected), "{text} gave {problems}");
        }
    }

    #[test]
    fn a_password_file_that_everybody_reads_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p");
        std::fs::write(&file, "s3cret\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let text = "user = \"u\"\npassword_file = \"p\"\n";
        let (found, problems) = peer(folder.path(), text);
        assert!(
            problems.contains("line 2: password_file") && problems.contains("chmod"),
            "{problems}"
        );
        assert!(found.realm.is_none() && !problems.contains("s3cret"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(peer(folder.path(), text).0.realm.is_some());
    }
}
