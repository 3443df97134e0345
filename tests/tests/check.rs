//! `voxea check` against a machine that is not as the daemon needs it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
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
