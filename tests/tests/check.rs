//! `voxea check` against a machine that is not as the daemon needs it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use voxea_tests::authority::Authority;
use voxea_tests::scratch;

/// A user that owns nothing, for a test that is run by root, to whom every folder is open.
const NOBODY: u32 = 65_534;

#[test]
fn a_folder_that_takes_no_files_is_said_before_the_start() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mode = |path: &str, mode| std::fs::set_permissions(place.path().join(path), PermissionsExt::from_mode(mode));
    for folder in ["open", "closed", "closed/blobs"] {
        std::fs::create_dir(place.path().join(folder))?;
    }
    let config = place.path().join("voxea.toml");
    let check = |text: &str| -> Result<(Option<i32>, String)> {
        std::fs::write(&config, text)?;
        let mut command = Command::new(scratch::binary()?);
        command.arg("check").arg("--config").arg(&config);
        if std::fs::metadata("/proc/self")?.uid() == 0 {
            std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        }
        let Output { status, stdout, stderr } = command.output().context("the binary cannot be run by another user")?;
        Ok((status.code(), String::from_utf8(stdout)? + &String::from_utf8(stderr)?))
    };
    mode("", 0o755)?;
    mode("open", 0o777)?;
    mode("closed", 0o555)?;
    mode("closed/blobs", 0o555)?;
    let (code, said) = check("[store]\nurl = \"sqlite:open/voxea.db\"\nblobs = \"open/blobs\"\n")?;
    ensure!(code == Some(0), "{said}");
    let (code, said) = check("[store]\nurl = \"sqlite:closed/voxea.db\"\nblobs = \"closed/blobs\"\n")?;
    let lines: Vec<&str> = said.lines().collect();
    ensure!(code == Some(2) && lines.len() == 2, "{said}");
    ensure!(
        lines[0].contains("line 2: store.url: ") && lines[0].contains("may not write here, where the database must lie"),
        "{said}"
    );
    ensure!(lines[1].contains("line 3: store.blobs: ") && lines[1].contains("chown"), "{said}");
    // With a server, the key of the audit trail lies beside the blobs.
    mode("closed/blobs", 0o777)?;
    let (code, said) = check("[store]\nurl = \"postgres://127.0.0.1/voxea\"\nblobs = \"closed/blobs\"\n\n[audit]\nmonths = 6\n")?;
    ensure!(code == Some(2) && said.lines().count() == 1, "{said}");
    ensure!(
        said.contains("line 5: audit.signing_key_file: ") && said.contains("the key of the audit trail"),
        "{said}"
    );
    // What is not named stands for the place of the configuration itself.
    mode("", 0o555)?;
    let (code, said) = check("[api]\n")?;
    ensure!(
        code == Some(2) && said.lines().count() == 1 && said.contains("line 1: store: "),
        "{said}"
    );
    mode("", 0o755)?;
    mode("closed", 0o755)?;
    Ok(())
}

/// What a binary says in a folder, both streams, and its code.
fn said(folder: &Path, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(scratch::binary()?);
    command.args(arguments).arg("--config").arg(folder.join("voxea.toml"));
    let Output { status, stdout, stderr } = command.output()?;
    Ok((status.code(), String::from_utf8(stdout)? + &String::from_utf8(stderr)?))
}

#[test]
fn a_theme_that_the_database_lacks_is_said_with_its_line() -> Result<()> {
    let place = tempfile::tempdir()?;
    let config = |theme: &str| {
        let text = format!("[store]\nurl = \"sqlite:voxea.db\"\n[sip]\n[[sip.line]]\nnumber = \"*\"\ntheme = \"{theme}\"\n");
        std::fs::write(place.path().join("voxea.toml"), text)
    };
    config("voiri")?;
    let (code, words) = said(place.path(), &["check"])?;
    ensure!(
        code == Some(0)
            && words.contains("warning: line 6: sip.line[0].theme: \"voiri\" is no theme of the catalogue; did you mean voirie?"),
        "{words}"
    );
    ensure!(words.contains("there is no database yet"), "{words}");
    ensure!(!place.path().join("voxea.db").exists(), "a check makes no database");
    let (code, words) = said(place.path(), &["catalogue", "export"])?;
    ensure!(code == Some(0), "{words}");
    let (code, words) = said(place.path(), &["check"])?;
    ensure!(code == Some(2) && words.lines().all(|line| !line.contains("is right")), "{words}");
    ensure!(
        words.contains("voxea.toml: line 6: sip.line[0].theme: \"voiri\" is no theme of the catalogue; did you mean voirie?"),
        "{words}"
    );
    config("voirie")?;
    let (code, words) = said(place.path(), &["check"])?;
    ensure!(code == Some(0) && !words.contains("theme"), "{words}");
    Ok(())
}

#[test]
fn the_daemon_refuses_what_the_check_does() -> Result<()> {
    let place = tempfile::tempdir()?;
    let text = "[api]\nlisten = \"127.0.0.1:5060\"\n[sip]\nlisten = [\"udp:127.0.0.1:5060\", \"tcp:0.0.0.0:5060\", \"udp:0.0.0.0:5060\"]\n\
                media_ports = \"5000-5100\"\nadvertise = \"0.0.0.0\"\n[[sip.line]]\nnumber = \"*\"\nsilence_seconds = 600\n\
                [[sip.trunk]]\nname = \"pbx\"\nallow = [\"192.0.2.1\"]\naddress = \"192.0.2.1\"\nuser = \"a:b\"\npassword = \"s\"\nrealm = \"\"\n\
                tls_name = \"pbx\"\n";
    std::fs::write(place.path().join("voxea.toml"), text)?;
    let (checked, words) = said(place.path(), &["check"])?;
    let (ran, refused) = said(place.path(), &["run"])?;
    ensure!((checked, ran) == (Some(2), Some(2)), "{words}\n{refused}");
    for expected in [
        "line 4: sip.listen: has udp:127.0.0.1:5060 and udp:0.0.0.0:5060",
        "line 4: sip.listen: has tcp:0.0.0.0:5060, which takes the port of 127.0.0.1:5060, where the API listens",
        "line 5: sip.media_ports: has port 5060",
        "line 6: sip.advertise: 0.0.0.0 is no address",
        "line 9: sip.line[0].silence_seconds: is longer than max_seconds = 180",
        "line 14: sip.trunk[0].user: \"a:b\" has a colon",
        "line 16: sip.trunk[0].realm: is empty",
        "line 17: sip.trunk[0].tls_name: is for TLS, and the trunk is reached by udp",
    ] {
        ensure!(words.contains(expected), "{expected} is not in\n{words}");
        ensure!(refused.contains(expected), "{expected} is not in\n{refused}");
    }
    Ok(())
}

/// What the page for PBX administrators tells Voxea's side to write is right, and nothing in it is hardly meant.
#[test]
fn the_examples_for_a_pbx_are_right() -> Result<()> {
    let place = tempfile::tempdir()?;
    Authority::new(place.path())?.issue("voxea", "voxea.example.fr")?;
    let secret = place.path().join("trunk.password");
    std::fs::write(&secret, "s3cret\n")?;
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600))?;
    let page = include_str!("../../docs/sip-trunks.md");
    let examples: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    ensure!(examples.len() == 3, "{} examples", examples.len());
    for example in examples {
        std::fs::write(place.path().join("voxea.toml"), example)?;
        let (code, words) = said(place.path(), &["check"])?;
        ensure!(
            code == Some(0) && words.trim() == "the configuration is right; one channel beside the API",
            "{example}\n{words}"
        );
    }
    Ok(())
}
