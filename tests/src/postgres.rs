//! A throw-away PostgreSQL: its own cluster in a folder of its own, with fsync on, on a loopback port.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long a killed server may take to come back.
const RECOVERY: Duration = Duration::from_secs(60);

/// A running cluster; stopped and removed when dropped.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Makes and starts one. As root it runs as the user `postgres`, because the server refuses root.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, or does not start; its words are in the message.
    pub fn start() -> Result<Self> {
        let programs = programs().context("PostgreSQL is missing: apt-get install postgresql")?;
        let folder = tempfile::Builder::new().prefix("voxea-pg").tempdir_in("/tmp")?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        if is_root() {
            chown(folder.path(), Some(number("-u")?), Some(number("-g")?))?;
        }
        // Free now; should somebody take it meanwhile, the server says so.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let cluster = Self { folder, programs, port };
        let data = cluster.data();
        let data = data.to_str().context("the folder has no name")?;
        cluster.run(
            "initdb",
            &["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        )?;
        cluster.serve()?;
        Ok(cluster)
    }

    /// Makes a database; its URL, as `[store] url` takes it.
    ///
    /// # Errors
    /// When there is one of this name.
    pub fn database(&self, name: &str) -> Result<String> {
        let port = self.port.to_string();
        self.run("createdb", &["-h", "127.0.0.1", "-p", &port, "-U", "postgres", name])?;
        Ok(self.url(name))
    }

    /// The URL of a database that there is.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Kills the server with SIGKILL, and starts it again: it recovers from its log.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn crash(&self) -> Result<()> {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid"))?;
        let pid: i32 = pid.lines().next().context("no pid")?.parse()?;
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        let deadline = Instant::now() + RECOVERY;
        // Its children notice and end by themselves; until then the new server refuses the old one's memory.
        while let Err(error) = self.serve() {
            ensure!(Instant::now() < deadline, "the killed server did not come back: {error}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn serve(&self) -> Result<()> {
        let (data, log) = (self.data(), self.folder.path().join("log"));
        let options = format!("-p {} -k {} -c listen_addresses=127.0.0.1", self.port, self.folder.path().display());
        let (data, log) = (
            data.to_str().context("the folder has no name")?,
            log.to_str().context("the folder has no name")?,
        );
        self.run("pg_ctl", &["-D", data, "-w", "-t", "60", "-l", log, "-o", &options, "start"])
    }

    /// Times a second that bare PostgreSQL runs a script of pgbench over one connection to a database: three seconds.
    ///
    /// # Errors
    /// When pgbench fails or its words are not understood.
    pub fn transactions(&self, database: &str, script: &str) -> Result<f64> {
        let file = self.folder.path().join("script.sql");
        std::fs::write(&file, script)?;
        let (port, file) = (self.port.to_string(), file.to_str().context("the folder has no name")?.to_owned());
        let place = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        let options = ["-n", "-M", "prepared", "-c", "1", "-T", "3", "-f", &file, database];
        let output = self.command("pgbench", &[&place[..], &options].concat()).output()?;
        let words = String::from_utf8_lossy(&output.stdout);
        let rate = words
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
        rate.with_context(|| format!("pgbench said {words}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Rows a second that bare PostgreSQL commits over one connection, `batch` a transaction, one statement each, into a
    /// table with two indexes: pgbench, three seconds.
    ///
    /// # Errors
    /// When pgbench fails or its words are not understood.
    pub fn inserts(&self, batch: usize) -> Result<f64> {
        let (port, database) = (self.port.to_string(), format!("inserts{batch}"));
        self.database(&database)?;
        let place = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        let table = "CREATE TABLE t (a text PRIMARY KEY, b text, c bigint, d text); CREATE INDEX ON t (b)";
        self.run("psql", &[&place[..], &["-q", "-c", table, &database]].concat())?;
        let insert = "INSERT INTO t SELECT gen_random_uuid()::text, n::text, n, repeat('x', 150)";
        let script = format!("BEGIN;\n{insert} FROM generate_series(1, {batch}) n;\nCOMMIT;\n");
        Ok(self.transactions(&database, &script)? * batch as f64)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let output = self.output(program, arguments)?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program}: {words}");
        Ok(())
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(program, arguments);
        // pg_ctl's server would keep an inherited pipe open and a reader of it waiting.
        command.stdout(std::process::Stdio::null());
        if arguments.contains(&"start") {
            command.stderr(std::process::Stdio::null());
        }
        Ok(command.output()?)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let _ = self.output("pg_ctl", &["-D", &data.to_string_lossy(), "-m", "immediate", "-w", "stop"]);
    }
}

/// The programs of the newest version.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let folder = |entry: std::fs::DirEntry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")));
    versions
        .filter_map(folder)
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .max()
        .map(|(_, bin)| bin)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|facts| std::os::unix::fs::MetadataExt::uid(&facts) == 0)
}

fn number(which: &str) -> Result<u32> {
    let output = Command::new(Path::new("/usr/bin/id")).args([which, "postgres"]).output()?;
    if !output.status.success() {
        bail!("there is no user postgres: apt-get install postgresql");
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
