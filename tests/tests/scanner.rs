//! sipvicious scans the daemon from an address that nobody allows, and learns nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UdpSocket;
use tokio::process::Command;
use tokio::time::timeout;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::voicemail;

/// Longest that a scan may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Words that would tell what is behind the port.
const NAMES: [&str; 3] = ["voxea", "rust", "tokio"];

async fn daemon(allow: &str) -> Result<(Scratch, Running)> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"28300-28319\"\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"{allow}\"]\n{}",
        voicemail::line("")
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    Ok((scratch, running))
}

/// Everything that a scanner prints.
async fn scan(home: &Path, server: SocketAddr, tool: &str, arguments: &[&str]) -> Result<String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("peers/python/.venv/bin/sipvicious_{tool}"));
    ensure!(program.is_file(), "sipvicious is missing: scripts/install-peers installs it");
    // It would take 5060, where others on this machine may have theirs.
    let own = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?.port().to_string();
    // Whoever runs the tests in the background of a shell lets them ignore interruptions, and what they start as well.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(program).args(arguments).args([
        "-P",
        &own,
        "-p",
        &server.port().to_string(),
        &server.ip().to_string(),
    ]);
    // It keeps its sessions at home.
    command.current_dir(home).env("HOME", home).stdin(Stdio::null()).kill_on_drop(true);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let process = child.id().context("no process")?;
    let mut output = std::pin::pin!(child.wait_with_output());
    // A cracker waits for a challenge for ever; it says what it knows when it is interrupted.
    let enough = if tool == "svcrack" { Duration::from_secs(5) } else { PATIENCE };
    let output = match timeout(enough, &mut output).await {
        Ok(output) => output?,
        Err(_) => {
            kill(Pid::from_raw(i32::try_from(process)?), Signal::SIGINT)?;
            timeout(PATIENCE, output).await.with_context(|| format!("{tool} does not end"))??
        }
    };
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(format!("{said}{complained}"))
}

/// Nothing of what it prints tells what is behind the port; its own questions name only itself.
fn names_nobody(said: &str) -> Result<()> {
    let said = said.to_lowercase();
    for name in NAMES {
        ensure!(!said.contains(name), "{name} is named:\n{said}");
    }
    ensure!(
        !said.contains("server:") && !said.contains("user-agent: v"),
        "a product is named:\n{said}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipvicious_learns_nothing() -> Result<()> {
    let (scratch, running) = daemon("127.0.0.9").await?;
    let (home, server) = (scratch.path(), running.sip().await?);
    for method in ["OPTIONS", "INVITE"] {
        let said = scan(home, server, "svmap", &["-m", method, "-v", "-v"]).await?;
        ensure!(said.contains("403 Forbidden"), "it was not answered:\n{said}");
        ensure!(said.contains("| unknown"), "a product is told:\n{said}");
        names_nobody(&said)?;
    }
    for method in ["INVITE", "REGISTER"] {
        let said = scan(home, server, "svwar", &["-e", "2998-3001", "-m", method, "--force"]).await?;
        ensure!(said.contains("403 Forbidden"), "it was not answered:\n{said}");
        ensure!(
            said.contains("found nothing") && !said.contains("| 3000"),
            "a line is told:\n{said}"
        );
        names_nobody(&said)?;
    }
    let said = scan(home, server, "svcrack", &["-u", "3000", "-r", "1-5"]).await?;
    ensure!(
        !said.contains("| 3000") && !said.contains("password for"),
        "a password is told:\n{said}"
    );
    names_nobody(&said)?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scanner_does_find_a_line_where_it_may_call() -> Result<()> {
    let (scratch, running) = daemon("127.0.0.1").await?;
    let (home, server) = (scratch.path(), running.sip().await?);
    let said = scan(home, server, "svwar", &["-e", "2998-3001", "-m", "INVITE", "--force"]).await?;
    ensure!(said.contains("| 3000") && !said.contains("| 3001"), "it looks elsewhere:\n{said}");
    names_nobody(&said)?;
    let said = scan(home, server, "svmap", &["-v", "-v"]).await?;
    ensure!(said.contains("200 OK") && said.contains("| unknown"), "{said}");
    names_nobody(&said)?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_and_none_are_refused_alike() -> Result<()> {
    let (_scratch, running) = daemon("127.0.0.9").await?;
    let server = running.sip().await?;
    let mut answers = Vec::new();
    for dialled in ["3000", "4711"] {
        for method in ["INVITE", "REGISTER", "OPTIONS", "BYE"] {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            let request = format!(
                "{method} sip:{dialled}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;rport\r\nFrom: <sip:a@b>;tag=1\r\n\
                 To: <sip:{dialled}@{server}>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nContact: <sip:a@b>\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            socket.send_to(request.as_bytes(), server).await?;
            let mut buffer = vec![0; 65_535];
            let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.context("silence")??;
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            ensure!(answer.starts_with("SIP/2.0 403 Forbidden\r\n"), "{answer}");
            let own = socket.local_addr()?.port().to_string();
            answers.push(answer.replace(dialled, "LINE").replace(&own, "PORT"));
        }
    }
    let (line, none) = answers.split_at(4);
    ensure!(line == none, "{line:#?} and {none:#?}");
    running.stop().await
}
