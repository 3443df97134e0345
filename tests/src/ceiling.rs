//! What a database does bare: the ceiling of every figure beside which it stands.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Rows a second that bare SQLite commits in transactions of this size, with two indexes and `synchronous=FULL`.
///
/// # Errors
/// When Python is missing.
pub fn sqlite(batch: usize) -> Result<f64> {
    let script = format!(
        "import sqlite3,time,tempfile,os\nd=tempfile.mkdtemp()\nc=sqlite3.connect(d+'/x.db',isolation_level=None)\n\
         c.execute('pragma journal_mode=wal');c.execute('pragma synchronous=full')\nc.execute('create table t(a text primary key,b text,c int,d text)');c.execute('create index i on t(b)')\n\
         n=0;t=time.time()\nwhile time.time()-t<3:\n c.execute('begin immediate')\n c.executemany('insert into t values(?,?,?,?)',[(os.urandom(16).hex(),str(n+i),n,'x'*150) for i in range({batch})])\n c.execute('commit');n+={batch}\nprint(n/(time.time()-t))"
    );
    let output = Command::new("python3")
        .args(["-c", &script])
        .output()
        .context("python3 is missing")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
