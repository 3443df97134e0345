//! `docs/back-office.md`, as a developer follows it: every block of commands is run, in one shell, and says what stands below it.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use voxea_tests::scratch::{self, Scratch};

const PAGE: &str = include_str!("../../docs/back-office.md");
/// Said between two blocks.
const MARK: &str = "---- next ----";

/// Commands, and what they shall say; nothing in particular where nothing stands below them.
type Block = (String, Option<String>);

/// The blocks of commands.
fn blocks(page: &str) -> Vec<Block> {
    let (mut all, mut inside): (Vec<Block>, Option<(String, String)>) = (Vec::new(), None);
    for line in page.lines() {
        match (&mut inside, line.strip_prefix("```")) {
            (None, Some(language)) => inside = Some((language.to_owned(), String::new())),
            (None, None) => (),
            (Some((_, text)), None) => *text += &format!("{line}\n"),
            (Some(_), Some(_)) => match inside.take() {
                Some((language, text)) if language == "sh" => all.push((text, None)),
                Some((language, text)) if language == "text" => {
                    if let Some(last) = all.last_mut() {
                        last.1 = Some(text);
                    }
                }
                _ => (),
            },
        }
    }
    all
}

#[tokio::test]
async fn a_developer_follows_the_page() -> Result<()> {
    let blocks = blocks(PAGE);
    ensure!(
        blocks.len() >= 9 && blocks.iter().filter(|(_, said)| said.is_some()).count() >= 9,
        "{}",
        blocks.len()
    );
    let binary = scratch::binary()?;
    let scratch = Scratch::new(&binary, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let script: String = blocks.iter().map(|(commands, _)| format!("{commands}echo '{MARK}'\n")).collect();
    let programs = binary.parent().context("the binary lies nowhere")?;
    let path = format!("{}:{}", programs.display(), std::env::var("PATH")?);
    let said = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(scratch.path())
        .env("PATH", path)
        .env("VOXEA", format!("http://{}", running.api))
        .stdin(Stdio::null())
        .output()
        .await?;
    let (out, words) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    ensure!(said.status.success(), "{out}{words}");
    for ((commands, wanted), said) in blocks.iter().zip(out.split(&format!("{MARK}\n"))) {
        if let Some(wanted) = wanted {
            ensure!(said == wanted, "{commands}said\n{said}instead of\n{wanted}");
        }
    }
    running.stop().await
}

/// A page of which something is no longer true is red.
#[test]
fn what_stands_below_a_block_is_what_it_shall_say() {
    let page = "a\n```sh\necho b\n```\n```text\nb\n```\n```\nnot run\n```\n```sh\ntrue\n```\n";
    let found = blocks(page);
    assert_eq!(
        found,
        [("echo b\n".to_owned(), Some("b\n".to_owned())), ("true\n".to_owned(), None)]
    );
    assert!(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/back-office.md")).is_file());
}
