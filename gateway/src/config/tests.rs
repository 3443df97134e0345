//! The configuration as people write it: what is right, and what is said of what is wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

/// The sample that is shipped.
const SAMPLE: &str = include_str!("../../../config/voxea.toml");

fn read_in(folder: &Path, text: &str) -> Result<Config, Vec<String>> {
    let found = Found {
        path: folder.join("voxea.toml"),
        folder: folder.to_path_buf(),
        text: text.to_owned(),
    };
    read(&found, [], &Ground::tried()).map_err(|error| match error {
        ConfigError::Wrong { problems, .. } => problems.iter().map(ToString::to_string).collect(),
        ConfigError::Find(error) => vec![error.to_string()],
    })
}

fn wrong(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    read_in(folder.path(), text).expect_err("a wrong configuration")
}

#[test]
fn each_mistake_has_its_line_its_key_and_its_remedy() {
    let table: &[(&str, &[&str])] = &[
        ("[api\nlisten = 1\n", &["line 1", "not TOML"]),
        ("[api]\nlisten = \"127.0.0.1\"\n", &["line 2", "api.listen", "127.0.0.1:8080"]),
        (
            "[api]\n\nlisten = \"0.0.0.0:8080\"\n",
            &["line 3", "api.listen", "tls", "behind_proxy = true"],
        ),
        (
            "[[oauth]]\nname = \"t\"\naudience = \"a\"\nissuer = \"http://id.example.fr\"\n",
            &["line 4", "oauth[0].issuer", "https://", "on this machine only"],
        ),
        (
            "[[oauth]]\nname = \"t\"\nissuer = \"https://id.example.fr\"\njwks = \"file:///etc/passwd\"\n",
            &["line 1", "oauth[0].audience", "is missing", "line 4", "oauth[0].jwks", "https://"],
        ),
        (
            "[oidc]\nissuer = \"https://id.example.fr\"\nclient_id = \"v\"\nredirect_url = \"https://v.example.fr/\"\n",
            &["line 4", "oidc.redirect_url", "/v1/oidc/callback"],
        ),
        (
            "[oidc]\nissuer = \"https://id.example.fr\"\nclaim = \"name\"\nca_file = \"no.pem\"\n",
            &[
                "oidc.client_id",
                "is missing",
                "line 3",
                "oidc.claim",
                "preferred_username",
                "line 4",
                "oidc.ca_file",
                "PEM",
            ],
        ),
        (
            "[webhooks]\nallow = [\"10.0.0.0/8\", \"intranet\", \"0.0.0.0/0\"]\nconcurrency = 0\nca_file = \"no.pem\"\n",
            &[
                "line 2",
                "webhooks.allow",
                "\"intranet\"",
                "would except every address",
                "line 3",
                "webhooks.concurrency",
                "between 1 and 32",
                "line 4",
                "webhooks.ca_file",
                "PEM",
            ],
        ),
        (
            "[login]\nidle_minutes = 120\nsession_hours = 1\n",
            &["line 2", "login.idle_minutes", "at most 60"],
        ),
        ("[api]\nstop_seconds = 0\n", &["line 2", "api.stop_seconds", "between 1 and 600"]),
        ("[api]\nstop_seconds = \"ten\"\n", &["line 2", "api.stop_seconds", "without quotes"]),
        (
            "[api]\nlissten = \"127.0.0.1:0\"\n",
            &["line 2", "api.lissten", "did you mean listen?"],
        ),
        (
            "[orgnisation]\nname = \"a\"\n",
            &["line 1", "orgnisation", "did you mean organisation?"],
        ),
        (
            "[api]\ntls = { certificate = \"no.pem\" }\n",
            &["line 2", "api.tls.key_file", "is missing"],
        ),
        (
            "[store]\nurl = \"mysql://u:hunter2@h/d\"\n",
            &["line 2", "store.url", "sqlite:voxea.db"],
        ),
        (
            "[store]\nblobs = \"s3://bucket/town\"\n",
            &["line 2", "store.blobs", "[store.s3]", "secret_key_file"],
        ),
        (
            "[store]\nblobs = \"s3://bucket/town\"\n[store.s3]\nendpoint = \"http://s3.example.fr\"\naccess_key = \"a\"\nsecret_key = \"\"\n",
            &[
                "line 4",
                "store.s3.endpoint",
                "https://s3.fr-par.scw.cloud",
                "on this machine only",
                "line 6",
                "store.s3.secret_key",
                "is empty",
            ],
        ),
        (
            "[store]\nblobs = \"s3://b\"\n[store.s3]\nregion = \"fr par\"\nca_file = \"no.pem\"\naccess_key_file = \"no.key\"\nspool = \"\"\nbuckets = 1\n",
            &[
                "line 2",
                "3 to 63",
                "line 3",
                "secret_key_file",
                "is missing",
                "line 4",
                "store.s3.region",
                "fr-par",
                "line 5",
                "store.s3.ca_file",
                "PEM",
                "line 6",
                "store.s3.access_key_file",
                "no.key",
                "line 7",
                "store.s3.spool",
                "spool = \"blobs\"",
                "line 8",
                "store.s3.buckets",
                "not a known key",
            ],
        ),
        (
            "[store]\nblobs = \"gs://bucket\"\n[store.s3]\naccess_key = \"hunter2\"\nsecret_key = \"hunter3\"\n",
            &["line 2", "store.blobs", "s3://mairie/voxea"],
        ),
        (
            "[organisation]\ntime_zone = \"Europe/Pari\"\n",
            &["line 2", "organisation.time_zone", "Europe/Paris"],
        ),
        ("[audit]\nmonths = 13\n", &["line 2", "audit.months", "between 6 and 12"]),
        ("[audit]\npurpose = \"asked\"\n", &["line 2", "audit.purpose", "noted, required"]),
        (
            "[audit]\nsigning_key_file = \"no.key\"\n",
            &["line 2", "audit.signing_key_file", "no.key", "voxea audit new-key"],
        ),
        ("[organisation]\nname = \"\"\n", &["line 2", "organisation.name", "is empty"]),
        ("api = 3\n", &["line 1", "api", "must be a section"]),
        (
            "[api]\nlisten = \"127.0.0.1:8080\"\nmetrics_listen = \"127.0.0.1:8080\"\n",
            &["line 3", "api.metrics_listen", "where the API listens", "127.0.0.1:9090"],
        ),
        (
            "[store]\nurl = \"sqlite:no/where/voxea.db\"\n",
            &["line 2", "store.url", "no/where: this folder does not exist"],
        ),
        (
            "[api]\nlisten = \"127.0.0.1:5060\"\n[sip]\nlisten = [\"tcp:0.0.0.0:5060\", \"udp:0.0.0.0:5060\"]\n",
            &[
                "line 4",
                "sip.listen",
                "takes the port of 127.0.0.1:5060, where the API listens",
                "[api] listen",
            ],
        ),
        ("[store]\nurl = \"postgres://user@\"\n", &["line 2", "store.url", "names no host"]),
        (
            "[api]\nstop_seconds = 1\nstop_seconds = 2\n",
            &["line 3", "api.stop_seconds", "second time, after line 2", "more may be wrong"],
        ),
        ("[api]\n[store]\n[api]\n", &["line 3: api: the section", "after line 1"]),
        (
            "[api]\ntls = { certificate = \"no.pem\", key_file = \"none.pem\" }\n",
            &["api.tls.certificate", "no.pem", "api.tls.key_file", "none.pem"],
        ),
        (
            "[api]\ntls = { certificate = \"no.pem\" }\n",
            &["api.tls.certificate", "no.pem", "api.tls.key_file: is missing"],
        ),
    ];
    for (text, expected) in table {
        let problems = wrong(text);
        let said = problems.join("\n");
        for part in *expected {
            assert!(said.contains(part), "{text:?} said {said:?}, without {part:?}");
        }
        assert!(!said.contains("hunter2"), "a password was repeated: {said}");
    }
}

#[test]
fn what_is_hardly_meant_is_said_and_does_not_stop() {
    let text = "[sip]\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.1\"]\n[[sip.line]]\nnumber = \"3000\"\nbeep = false\n";
    let folder = tempfile::tempdir().unwrap();
    let warnings = read_in(folder.path(), text).unwrap().warnings;
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    let said = warning.to_string();
    assert!(said.starts_with("warning: line 7: sip.line[0].beep: "), "{said}");
}

#[test]
fn files_stand_where_folders_must() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    for (text, key) in [
        ("[store]\nblobs = \"file\"\n", "store.blobs"),
        ("[store]\nblobs = \"file/blobs\"\n", "store.blobs"),
        ("[store]\nurl = \"sqlite:.\"\n", "store.url"),
        ("[store]\nurl = \"sqlite:file/voxea.db\"\n", "store.url"),
    ] {
        let problems = read_in(folder.path(), text).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(key), "{text:?}: {problems:?}");
    }
}

#[test]
fn everything_wrong_is_said_at_once_in_the_order_of_lines() {
    let problems = wrong("[api]\nlisten = \"x\"\nstop_seconds = -1\n[store]\nurl = \"x\"\ncolour = \"red\"\n");
    let lines: Vec<&str> = problems.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["line 2", "line 3", "line 5", "line 6"], "{problems:?}");
}

#[test]
fn two_accounts_of_a_kind_need_two_names() {
    let link = "[[smpp]]\nname = \"a\"\naddress = \"127.0.0.1:2775\"\nsystem_id = \"voxea\"\npassword = \"x\"\nnumber = \"36123\"\n";
    let problems = wrong(&format!("{link}{link}"));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("line 8: smpp[1].name") && problems[0].contains("must differ"),
        "{problems:?}"
    );
    let problems = wrong(&link.replace("\"a\"", "\"Numéro court\""));
    assert!(problems[0].contains("smpp[0].name"), "{problems:?}");
}

#[test]
fn the_sample_is_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let (sample, nothing) = (read_in(folder.path(), SAMPLE).unwrap(), read_in(folder.path(), "").unwrap());
    assert_eq!(sample.organisation, nothing.organisation);
    assert_eq!(sample.store, nothing.store);
    assert_eq!(sample.audit, nothing.audit);
    let api = |config: &Config| {
        let api = &config.api;
        (
            api.listen,
            api.tls.is_some(),
            api.behind_proxy,
            api.metrics_listen,
            api.stop,
            api.connections,
        )
    };
    assert_eq!(api(&sample), api(&nothing));
    assert_eq!(sample.sessions, nothing.sessions);
    assert!(sample.trust.names().is_empty() && sample.trust.persons().is_none());
    assert!(sample.sip.is_none() && sample.smpp.is_empty() && sample.mailboxes.is_empty());
}

#[test]
fn every_example_in_the_sample_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let key = voxea_core::audit::SigningKey::generate().unwrap();
    let master = voxea_core::vault::new_line().unwrap();
    for (name, text) in [
        ("smsc.password", "secret\n"),
        ("mail.password", "secret\n"),
        ("s3.access-key", "town\n"),
        ("s3.secret-key", "secret\n"),
        ("audit.key", key.reveal()),
        ("master.key", master.as_str()),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    // TLS needs real certificates; http's own tests cover it.
    let lines = SAMPLE.lines().filter(|line| !line.starts_with("#tls"));
    let uncommented: Vec<&str> = lines
        .map(|line| {
            line.strip_prefix('#')
                .filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()))
                .unwrap_or(line)
        })
        .collect();
    let read = |text: &str| read_in(folder.path(), text).unwrap_or_else(|problems| panic!("{}", problems.join("\n")));
    let config = read(&uncommented.join("\n"));
    assert!(config.sip.is_some() && config.store.master_keys.is_some());
    assert_eq!(config.smpp.len(), 1);
    assert_eq!((config.mailboxes.len(), config.scans.len()), (1, 1));
    assert!(config.api.metrics_listen.is_some());
    assert_eq!(config.trust.names(), ["town"]);
    assert!(config.trust.persons().is_some());
    assert!(config.store.bucket.is_none());
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|said| said.contains("store.s3: is not used")), "{warnings:?}");
    let objects = uncommented
        .join("\n")
        .replacen("blobs = \"blobs\"", "blobs = \"s3://mairie/voxea/\"", 1);
    let store = read(&objects).store;
    let bucket = store.bucket.unwrap();
    assert_eq!((bucket.name(), store.blobs), ("s3://mairie/voxea", folder.path().join("blobs")));
}

#[test]
fn a_key_that_everybody_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    let key = folder.path().join("key.pem");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let text = "[api]\nlisten = \"0.0.0.0:8443\"\ntls = { certificate = \"cert.pem\", key_file = \"key.pem\" }\n";
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let problems = read_in(folder.path(), text).unwrap_err();
    assert!(
        problems[0].contains("api.tls.key_file") && problems[0].contains("chmod"),
        "{problems:?}"
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(read_in(folder.path(), text).unwrap().api.tls.is_some());
    // A key that is not the certificate's.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
    let problems = read_in(folder.path(), text).unwrap_err();
    assert!(problems[0].contains("does not belong"), "{problems:?}");
}

#[test]
fn a_master_key_is_read_and_what_is_wrong_with_it_is_said_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[store]\nmaster_key_file = \"master.key\"\n";
    let problems = read_in(folder.path(), text).unwrap_err();
    assert!(
        problems[0].starts_with("line 2: store.master_key_file: ") && problems[0].contains("must exist"),
        "{problems:?}"
    );
    let file = folder.path().join("master.key");
    let (new, old) = (voxea_core::vault::new_line().unwrap(), voxea_core::vault::new_line().unwrap());
    let write = |text: &str, mode| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write(&format!("{new}\n{old}\n"), 0o600);
    let keys = read_in(folder.path(), text).unwrap().store.master_keys.unwrap();
    let ids = [&new, &old].map(|line| line.split(' ').next().unwrap());
    assert_eq!(keys.ids(), ids.join(", "));
    write(&new, 0o644);
    let problems = read_in(folder.path(), text).unwrap_err();
    assert!(problems[0].contains("chmod o-rwx"), "{problems:?}");
    write(&format!("{new}\n{}", old.replace(' ', "")), 0o600);
    let problems = read_in(folder.path(), text).unwrap_err();
    assert!(
        problems[0].contains("in the file, line 2 is not an id") && problems[0].contains("voxea vault new-key"),
        "{problems:?}"
    );
    let secret = old.split(' ').nth(1).unwrap();
    assert!(!problems[0].contains(secret), "{problems:?}");
}

#[test]
fn the_environment_is_named_when_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let found = Found {
        path: folder.path().join("voxea.toml"),
        folder: folder.path().to_path_buf(),
        text: "[api]\n".into(),
    };
    let variables = [("VOXEA__API__LISTEN".to_owned(), "nowhere".to_owned())];
    let error = read(&found, variables, &Ground::default()).unwrap_err().to_string();
    assert!(error.contains("environment VOXEA__API__LISTEN: api.listen"), "{error}");
}

#[test]
fn a_file_that_is_named_by_nothing_is_none() {
    for (text, key) in [
        (
            "[store]\nmaster_key_file = \"\"\n",
            "line 2: store.master_key_file: is empty; name a file",
        ),
        ("[store]\nurl_file = \" \"\n", "line 2: store.url_file: is empty"),
        ("[audit]\nsigning_key_file = \"\"\n", "line 2: audit.signing_key_file: is empty"),
        ("[store]\nmaster_key_file = \".\"\n", "is a folder, but must be a file"),
    ] {
        let problems = wrong(text);
        assert!(problems.len() == 1 && problems[0].contains(key), "{text}: {problems:?}");
    }
}

#[test]
fn the_usual_key_of_the_audit_trail_can_sign() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("audit.key");
    let write = |text: &str, mode| {
        std::fs::write(&key, text).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let good = voxea_core::audit::SigningKey::generate().unwrap();
    write(good.reveal(), 0o600);
    assert!(read_in(folder.path(), "").is_ok());
    write(good.reveal(), 0o644);
    let problems = read_in(folder.path(), "").unwrap_err();
    assert!(
        problems[0].starts_with("line 1: audit: ") && problems[0].contains("chmod o-rwx"),
        "{problems:?}"
    );
    write("hunter2", 0o600);
    let problems = read_in(folder.path(), "[api]\n[audit]\nmonths = 6\n").unwrap_err();
    assert!(
        problems[0].starts_with("line 2: audit.signing_key_file: ")
            && problems[0].contains("move it away")
            && !problems[0].contains("hunter2"),
        "{problems:?}"
    );
    // Who only reads is not kept from it.
    let found = Found {
        path: folder.path().join("voxea.toml"),
        folder: folder.path().to_path_buf(),
        text: String::new(),
    };
    assert!(read(&found, [], &Ground::default()).is_ok());
    write(good.reveal(), 0o600);
    std::fs::write(folder.path().join("audit.seen"), "nonsense").unwrap();
    let warnings = read_in(folder.path(), "").unwrap().warnings;
    assert!(
        warnings.len() == 1 && warnings[0].to_string().contains("audit.seen: is no checkpoint"),
        "{warnings:?}"
    );
}

#[test]
fn themes_are_judged_by_a_catalogue_with_their_places() {
    use voxea_core::catalogue::{Document, Snapshot};
    let folder = tempfile::tempdir().unwrap();
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/short-greeting.wav");
    std::fs::copy(sound, folder.path().join("menu.wav")).unwrap();
    let text = "[sip]\n[[sip.line]]\nnumber = \"1\"\ntheme = \"voiri\"\nmenu = true\nmenu_prompt = \"menu.wav\"\n\
                [[smpp]]\nname = \"s\"\naddress = \"127.0.0.1:2775\"\nsystem_id = \"v\"\npassword = \"p\"\nnumber = \"36123\"\n\
                theme = \"voirie\"\n";
    let config = read_in(folder.path(), text).unwrap();
    let mut document = Document::shipped().unwrap();
    let judged = |document: &Document| -> Vec<String> {
        let catalogue = Snapshot::new(1, document.clone(), Default::default());
        config.judged_by(&catalogue).iter().map(ToString::to_string).collect()
    };
    let found = judged(&document);
    assert!(
        found.len() == 2
            && found[0].starts_with("line 4: sip.line[0].theme: \"voiri\" is no theme of the catalogue; did you mean voirie?")
            && found[1].starts_with("warning: line 6: sip.line[0].menu_prompt: is not heard"),
        "{found:#?}"
    );
    let theme = document.themes.iter_mut().find(|theme| theme.code == "voirie").unwrap();
    (theme.enabled, theme.digit) = (false, Some("1".to_owned()));
    let found = judged(&document);
    assert!(
        found.len() == 3 && found[2].starts_with("line 13: smpp[0].theme: \"voirie\" is switched off"),
        "a key of a theme that is off is none: {found:#?}"
    );
}

#[test]
fn a_wrong_word_is_said_once() {
    let said = wrong("[[scan]]\nname = \"courrier\"\nfolder = \".\"\nafter = \"delete\"\n");
    assert!(
        said.len() == 1 && said[0].starts_with("line 4: scan[0].after: is \"delete\""),
        "{said:#?}"
    );
}
