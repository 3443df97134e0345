//! A PostgreSQL for the stories: the one that `VOXEA_TEST_POSTGRES` names, else a throw-away cluster of this process.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

struct Cluster {
    url: String,
    /// Closed by the end of this process, however it ends; the watchdog behind it then removes the cluster.
    _alive: Option<ChildStdin>,
}

/// The URL of the server, with `{}` where the database's name belongs.
pub(crate) fn template() -> &'static str {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    &CLUSTER.get_or_init(find).url
}

fn find() -> Cluster {
    match std::env::var("VOXEA_TEST_POSTGRES") {
        Ok(url) => {
            let (server, options) = url
                .split_once('?')
                .map_or((url.as_str(), String::new()), |(server, query)| (server, format!("?{query}")));
            let server = server.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            Cluster {
                url: format!("{server}/{{}}{options}"),
                _alive: None,
            }
        }
        Err(_) => start(),
    }
}

fn start() -> Cluster {
    let programs = programs();
    let root = tempfile::Builder::new().prefix("voxea-pg-").tempdir().unwrap().keep();
    let (data, socket) = (root.join("data"), root.join("socket"));
    std::fs::create_dir(&socket).unwrap();
    std::fs::set_permissions(&root, PermissionsExt::from_mode(0o755)).unwrap();
    if is_root() {
        run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(&root));
    }
    run(server_side(&programs.join("initdb")).arg("-D").arg(&data).args([
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "-N",
    ]));
    // Only a socket in a folder of our own, so that no port can be taken; fsync stays on, as it would be.
    let options = format!(
        "-c listen_addresses='' -c unix_socket_directories='{}' -c max_connections=300",
        socket.display()
    );
    run(server_side(&programs.join("pg_ctl"))
        .arg("-D")
        .arg(&data)
        .args(["-w", "-t", "60", "-l"])
        .arg(root.join("log"))
        .arg("-o")
        .arg(options)
        .arg("start"));
    let prefix = if is_root() { "runuser -u postgres -- " } else { "" };
    let farewell = format!(
        "read -r _; {prefix}{}/pg_ctl -D {} -m immediate stop; rm -rf {}",
        programs.display(),
        data.display(),
        root.display()
    );
    let mut watchdog = Command::new("sh");
    watchdog
        .args(["-c", &farewell])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let alive = watchdog.spawn().unwrap().stdin.take();
    Cluster {
        url: format!("postgres://postgres@localhost/{{}}?host={}", socket.display()),
        _alive: alive,
    }
}

/// The newest PostgreSQL of the machine.
fn programs() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = folders
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").is_file())
        .collect();
    versions.sort();
    let Some((_, programs)) = versions.pop() else {
        panic!(
            "these stories run on PostgreSQL too, and none is here: install Debian's postgresql, or set VOXEA_TEST_POSTGRES=postgres://…"
        );
    };
    programs
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// PostgreSQL refuses to run as root.
fn server_side(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program).current_dir("/");
    command
}

fn run(command: &mut Command) {
    // The server inherits what pg_ctl has: a pipe would never end.
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = || Stdio::from(log.reopen().unwrap());
    let status = command.stdin(Stdio::null()).stdout(output()).stderr(output()).status().unwrap();
    assert!(
        status.success(),
        "{command:?} failed: {}",
        std::fs::read_to_string(log.path()).unwrap_or_default()
    );
}
