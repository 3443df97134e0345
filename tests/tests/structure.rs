//! The code has the shape that design.md and ARCHITECTURE.md promise; each check also sees a violation that is planted.

#![expect(clippy::unwrap_used, reason = "a check that cannot read the code fails at that line")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use voxea_tests::structure::{IMPORTS, Sources, circles, floors, impurities, package_directions, sql_below, unheld};

const FOLDERS: [&str; 8] = ["gateway", "sip", "smpp", "imap", "recorder", "core", "core/rules", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(folder: &str) -> Sources {
    Sources::read(&root().join(folder).join("src")).unwrap()
}

fn planted(folder: &str, path: &str, text: &str) -> Sources {
    let mut sources = sources(folder);
    sources.plant(path, text);
    sources
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {words}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Our packages, and what each depends on; what tests alone need is not asked for.
fn packages() -> Vec<(String, Vec<String>)> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let package = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap();
        let needed = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
        (name(package), needed.map(name).collect())
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn none(found: &[String]) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn only(found: &[String], wanted: &str) {
    assert!(found.iter().any(|line| line.contains(wanted)), "{wanted}: {found:?}");
}

#[test]
fn packages_import_downwards() {
    let mut found = packages();
    assert_eq!(found.len(), IMPORTS.len());
    none(&package_directions(&found));
    for (package, imported) in [
        ("voxea-sip", "voxea-smpp"),
        ("voxea-core", "voxea-recorder"),
        ("voxea-recorder", "voxea-core"),
        ("voxea-tests", "voxea-core"),
    ] {
        let at = found.iter().position(|(name, _)| name == package).unwrap();
        found[at].1.push(imported.to_owned());
        only(&package_directions(&found), &format!("{package} imports {imported}"));
        found[at].1.pop();
    }
}

#[test]
fn core_knows_no_http_and_no_channel_library() {
    let found = packages();
    let core = &found.iter().find(|(name, _)| name == "voxea-core").unwrap().1;
    for absent in ["axum", "hyper", "rsip", "rusmpp", "async-imap", "lettre", "socket2"] {
        assert!(!core.iter().any(|name| name == absent), "core depends on {absent}");
    }
}

#[test]
fn core_stands_on_its_floors() {
    none(&floors(&sources("core")).unwrap());
    let upwards = planted("core", "base/id.rs", "use crate::request::Status;");
    only(&floors(&upwards).unwrap(), "base::id imports request");
    let sideways = planted("core", "feed/page.rs", "fn f() { crate::access::keys::g() }");
    only(&floors(&sideways).unwrap(), "feed::page imports access::keys");
    let homeless = planted("core", "attic/mod.rs", "");
    only(&floors(&homeless).unwrap(), "attic stands on no floor");
}

#[test]
fn no_import_runs_in_a_circle() {
    let mut wrong = Vec::new();
    for folder in FOLDERS {
        wrong.extend(
            circles(&sources(folder))
                .unwrap()
                .into_iter()
                .map(|circle| format!("{folder}: {circle}")),
        );
    }
    none(&wrong);
    let mut round = planted("core", "base/x.rs", "use super::y::Y; pub use crate::base::id as z;");
    round.plant(
        "base/y.rs",
        "fn f() -> super::x::X { todo!() }\n#[cfg(test)]\nmod tests { use crate::jobs; }",
    );
    only(&circles(&round).unwrap(), "base::x · base::y");
    let mut handed = planted("core", "base/a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;");
    handed.plant("base/a/b.rs", "use super::C;");
    handed.plant("base/a/c.rs", "use crate::base::a::B;");
    only(&circles(&handed).unwrap(), "base::a::b · base::a::c");
}

#[test]
fn machines_are_pure() {
    for folder in ["sip", "smpp", "imap"] {
        none(&impurities(&sources(folder)).unwrap());
        for (text, name) in [
            ("async fn f() { tokio::task::yield_now().await }", "tokio"),
            ("fn f() { let _ = std::time::Instant::now(); }", "Instant::now"),
            ("use std::time::SystemTime;", "SystemTime"),
            ("use sqlx::Row;", "sqlx"),
        ] {
            let found = impurities(&planted(folder, "planted.rs", text)).unwrap();
            only(&found, &format!("planted.rs names {name}"));
        }
        let hidden = "// tokio::spawn\nconst A: &str = \"std::time::SystemTime\";\n#[cfg(test)]\nmod tests { use tokio::time; }";
        none(&impurities(&planted(folder, "planted.rs", hidden)).unwrap());
    }
}

#[test]
fn machines_depend_on_no_runtime_store_or_server() {
    for folder in ["sip", "smpp", "imap"] {
        let package = format!("voxea-{folder}");
        let tree = |depth: &str| {
            let lines = cargo(&[
                "tree",
                "-p",
                &package,
                "--no-default-features",
                "-e",
                "normal",
                "--prefix",
                "none",
                "--depth",
                depth,
            ]);
            lines
                .lines()
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for absent in ["sqlx", "axum", "voxea-core"] {
            assert!(!tree("99").iter().any(|name| name == absent), "{package} brings {absent} in");
        }
        for absent in ["tokio", "async-imap", "lettre", "voxea-recorder"] {
            assert!(!tree("1").iter().any(|name| name == absent), "{package} names {absent}");
        }
    }
}

#[test]
fn handlers_hold_no_sql() {
    none(&sql_below(&sources("gateway"), "http/").unwrap());
    let named = planted("gateway", "http/v1/planted.rs", "use sqlx::Row;");
    only(&sql_below(&named, "http/").unwrap(), "planted");
    let text = planted("gateway", "http/v1/planted.rs", "const Q: &str = \"SELECT id FROM request\";");
    only(&sql_below(&text, "http/").unwrap(), "planted");
}

#[test]
fn files_are_short_enough_to_be_read() {
    let mut wrong = Vec::new();
    for folder in FOLDERS {
        for (path, lines) in sources(folder).lengths() {
            if lines > 500 {
                wrong.push(format!("{folder}/src/{path} has {lines} lines"));
            }
        }
    }
    none(&wrong);
}

/// The musts and the complaints of those who run Kannel, Jasmin and the libraries; each has tests that are there.
const OF_TEXTS: [&str; 25] = [
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
    "cancel",
    "alert_notification",
    "congestion_state",
    "jasmin 1257",
    "jasmin 363",
    "jasmin 789",
    "jasmin 765",
    "jasmin 1129",
    "jasmin 535",
    "jsmpp 56",
    "cloudhopper 105",
    "node-smpp 140",
    "node-smpp 10",
    "node-smpp 132",
    "smppex 26",
];

/// What mail must do and what users of helpdesks ran into, by the first column of docs/mail.md.
const OF_MAILS: [&str; 35] = [
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
    "11",
    "12",
    "13",
    "14",
    "15",
    "zammad 2013",
    "zammad 2061",
    "chatwoot 6604",
    "chatwoot 9234",
    "zammad 78",
    "zammad 1662",
    "freescout 5638",
    "zammad 1877",
    "glpi 8107",
    "osticket 6710",
    "freescout 4143",
    "zammad 1131",
    "zammad 4941",
    "freescout 3406",
    "chatwoot 5081",
    "zammad 5716",
    "zammad 4524",
    "glpi 7709",
    "glpi 10312",
    "zammad 539",
];

/// A page whose rows name tests: it has these rows, each with tests that are there; one that is misnamed is seen. `part` is where its
/// rows begin, `misnamed` how a test's name is made wrong, and `seen` what is then said.
fn held(page: &str, part: &str, rows: &[&str], misnamed: (&str, &str), seen: &str) {
    let page = std::fs::read_to_string(root().join(page)).unwrap();
    let (_, held) = page.split_once(part).unwrap();
    none(&unheld(&root(), held, rows));
    only(&unheld(&root(), &held.replace(misnamed.0, misnamed.1), rows), seen);
}

#[test]
fn what_mails_must_do_is_held_by_tests() {
    held(
        "docs/mail.md",
        "\n## What must hold\n",
        &OF_MAILS,
        ("::a_forged_token_is_counted_and_ignored`", "::a_forged_token_was`"),
        "there is no core/tests/conformance/threading.rs::a_forged_token_was",
    );
}

#[test]
fn what_texts_must_do_is_held_by_tests() {
    held(
        "docs/sms.md",
        "\n",
        &OF_TEXTS,
        ("::what_is_on_the_wire_of_a_submit`", "::what_was`"),
        "there is no smpp/src/session/tests/mod.rs::what_was",
    );
}

#[test]
fn what_documents_must_do_is_held_by_tests() {
    held(
        "docs/scans.md",
        "\n## Which test holds what\n",
        &["bombs", "files that stay", "patterns are bounded"],
        ("::a_bomb_is", "::a_bomb_was"),
        "there is no tests/tests/scans.rs::a_bomb_was",
    );
}
