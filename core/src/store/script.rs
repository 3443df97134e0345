//! Statements over sets that answer nothing, run as one: a statement costs little beside the way to the database and
//! back, which is a visit to SQLite's thread or a round trip to PostgreSQL.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::on::on;
use super::row::Row;
use super::rows::SetSql;
use super::tx::Tx;
use crate::base::error::Result;

/// Statements, each with its set.
///
/// On PostgreSQL all of them see the rows as they were before the first: no statement may read what another writes, and
/// no two may change the same row.
#[derive(Debug, Default)]
pub struct Script {
    steps: Vec<(&'static SetSql, String)>,
}

impl Script {
    /// Adds a statement, unless its set is empty.
    pub fn add(&mut self, statement: &'static SetSql, rows: &[Row]) {
        if !rows.is_empty() {
            self.steps.push((statement, Row::array(rows)));
        }
    }

    /// Runs them, in the order of their adding.
    ///
    /// # Errors
    /// The store's; some may have been run then, so that the transaction must not be committed.
    pub async fn run(self, tx: &mut Tx) -> Result<()> {
        let Some(((first, _), rest)) = self.steps.split_first() else {
            return Ok(());
        };
        let sql = match tx {
            _ if rest.is_empty() => first.for_tx(tx),
            Tx::Sqlite(_) => self.sqlite(),
            Tx::Postgres(_) => self.postgres(),
        };
        on!(Tx, tx, db => {
            let mut query = sqlx::query(sql);
            for (_, rows) in self.steps {
                query = query.bind(rows);
            }
            query.execute(db).await.map(|_| ())
        })?;
        Ok(())
    }

    fn sqlite(&self) -> SqlStr {
        let mut text = String::new();
        for (number, (statement, _)) in (1..).zip(&self.steps) {
            let _ = writeln!(text, "{};", statement.sqlite_at(number));
        }
        AssertSqlSafe(text).into_sql_str()
    }

    fn postgres(&self) -> SqlStr {
        let mut text = String::from("WITH ");
        for (number, (statement, _)) in (1..).zip(&self.steps) {
            let comma = if number == 1 { "" } else { ",\n" };
            let _ = write!(text, "{comma}s{number} AS ({})", statement.postgres_at(number));
        }
        text.push_str("\nSELECT 1");
        AssertSqlSafe(text).into_sql_str()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::store::{Column, Rows};

    static ONE: LazyLock<SetSql> = LazyLock::new(|| Rows(&[("id", Column::Text)]).insert("one"));
    static TWO: LazyLock<SetSql> = LazyLock::new(|| Rows(&[("id", Column::Text)]).insert("two"));

    #[test]
    fn each_statement_reads_its_own_set() {
        let mut script = Script::default();
        script.add(&ONE, &[Row::default()]);
        script.add(&ONE, &[]);
        script.add(&TWO, &[Row::default()]);
        let rows = "(SELECT v ->> 'id' AS id FROM (SELECT value AS v FROM json_each($N) LIMIT -1))";
        let insert = |table: &str, number: &str| {
            let rows = rows.replace("$N", number);
            format!("INSERT INTO {table} (id) SELECT r.id FROM {rows} AS r WHERE true;\n")
        };
        assert_eq!(script.sqlite().as_str(), insert("one", "$1") + &insert("two", "$2"));
        let insert = |table: &str, number: &str| {
            format!(
                "s{number} AS (INSERT INTO {table} (id) SELECT r.id FROM \
                 (SELECT id FROM jsonb_to_recordset(${number}::jsonb) AS j(id text)) AS r WHERE true)"
            )
        };
        let text = format!("WITH {},\n{}\nSELECT 1", insert("one", "1"), insert("two", "2"));
        assert_eq!(script.postgres().as_str(), text);
    }
}
