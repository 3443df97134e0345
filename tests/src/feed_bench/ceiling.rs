//! What a database gives bare, of the same rows.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Rows a read.
pub const RUN: f64 = 500.0;
const SELECT: &str = "SELECT position, id, type, subject, at, data FROM event WHERE position >";

/// Rows a second of SQLite, in runs of 500 anywhere among `events`: Python's `sqlite3`, three seconds.
///
/// # Errors
/// When Python is missing.
pub fn sqlite(file: &Path, events: u64) -> Result<f64> {
    let script = format!(
        "import sqlite3,sys,time,random\nc=sqlite3.connect(sys.argv[1])\nn=0\nt=time.time()\nwhile time.time()-t<3:\n \
         n+=len(c.execute('{SELECT} ? ORDER BY position LIMIT 500',(random.randrange({events}),)).fetchall())\nprint(n/(time.time()-t))"
    );
    let output = Command::new("python3")
        .args(["-c", &script])
        .arg(file)
        .output()
        .context("python3 is missing")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The same as pgbench's script.
#[must_use]
pub fn pgbench(events: u64) -> String {
    format!("\\set n random(0, {events})\n{SELECT} :n ORDER BY position LIMIT 500;\n")
}
