//! Statements over sets that answer nothing, run as one: a statement costs little beside the way to the database and
//! back, which is a visit to SQLite's thread or a round trip to PostgreSQL.

use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::row::{Field, Row};
use super::rows::SetSql;
use super::tx::Tx;
use crate::base::error::{CoreError, Result};

/// Rows a statement on SQLite; a larger set takes several.
const ROWS: usize = 64;

/// Statements, each with its set.
///
/// On PostgreSQL all of them see the rows as they were before the first: no statement may read what another writes, and
/// no two may change the same row.
///
/// PostgreSQL takes a set as JSON. For SQLite the values themselves cost half as much, where each number of rows is a
/// statement of its own: it is rounded up, so that there are few of them and each stays prepared.
#[derive(Debug, Default)]
pub struct Script {
    steps: Vec<(&'static SetSql, Vec<Row>)>,
}

impl Script {
    /// Adds a statement, unless its set is empty. It names its rows once: on SQLite they are its parameters.
    pub fn add(&mut self, statement: &'static SetSql, rows: Vec<Row>) {
        if !rows.is_empty() {
            self.steps.push((statement, rows));
        }
    }

    /// Runs them, in the order of their adding.
    ///
    /// # Errors
    /// The store's; some may have been run then, so that the transaction must not be committed.
    pub async fn run(self, tx: &mut Tx) -> Result<()> {
        if self.steps.is_empty() {
            return Ok(());
        }
        match tx {
            Tx::Sqlite(db) => {
                let words = self.sqlite();
                let values = self.into_values().map_err(|error| CoreError::Store(error.to_string()))?;
                sqlx::query_with(words, values).execute(&mut **db).await?;
            }
            Tx::Postgres(db) => {
                let mut query = sqlx::query(self.postgres());
                for (_, rows) in self.steps {
                    query = query.bind(Row::array(&rows));
                }
                query.execute(&mut **db).await?;
            }
        }
        Ok(())
    }

    fn sqlite(&self) -> SqlStr {
        let mut text = String::new();
        for (statement, rows) in &self.steps {
            for piece in rows.chunks(ROWS) {
                text.push_str(&statement.over_values(on_paper(piece)));
                text.push_str(";\n");
            }
        }
        AssertSqlSafe(text).into_sql_str()
    }

    fn into_values(self) -> std::result::Result<SqliteArguments, sqlx::error::BoxDynError> {
        let mut values = SqliteArguments::default();
        for (statement, mut rows) in self.steps {
            let columns = statement.columns();
            // Most columns say the same in one row after the other: where it came from, what happened.
            let mut before: Vec<Arc<str>> = vec![Arc::default(); columns.len()];
            for piece in rows.chunks_mut(ROWS) {
                for row in &mut *piece {
                    for (at, (name, _)) in columns.iter().enumerate() {
                        match row.take(name, at) {
                            Field::Null => values.add(None::<i64>)?,
                            Field::Integer(number) => values.add(number)?,
                            Field::Text(text) => values.add(again(before.get_mut(at), text))?,
                            Field::Bytes(bytes) => values.add(bytes)?,
                        }
                    }
                }
                for _ in 0..(on_paper(piece) - piece.len()) * columns.len() {
                    values.add(None::<i64>)?;
                }
            }
        }
        Ok(values)
    }

    fn postgres(&self) -> SqlStr {
        if let [(only, _)] = &self.steps[..] {
            return AssertSqlSafe(only.postgres_at(1)).into_sql_str();
        }
        let mut text = String::from("WITH ");
        for (number, (statement, _)) in (1..).zip(&self.steps) {
            let comma = if number == 1 { "" } else { ",\n" };
            let _ = write!(text, "{comma}s{number} AS ({})", statement.postgres_at(number));
        }
        text.push_str("\nSELECT 1");
        AssertSqlSafe(text).into_sql_str()
    }
}

/// A text, or the one before where that is the same.
fn again(before: Option<&mut Arc<str>>, text: Arc<str>) -> Arc<str> {
    match before {
        Some(before) if **before == *text => Arc::clone(before),
        Some(before) => {
            before.clone_from(&text);
            text
        }
        None => text,
    }
}

/// The rows that a piece has in its statement.
const fn on_paper(piece: &[Row]) -> usize {
    piece.len().next_power_of_two()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::store::{Column, Rows, row};

    static ONE: LazyLock<SetSql> = LazyLock::new(|| Rows(&[("id", Column::Text)]).insert("one"));
    static TWO: LazyLock<SetSql> = LazyLock::new(|| Rows(&[("id", Column::Text)]).insert("two"));

    #[test]
    fn each_statement_reads_its_own_set() {
        let mut script = Script::default();
        let rows = [row!({"id": "a"}), row!({"id": "b"}), row!({"id": "c"})];
        script.add(&ONE, rows[..1].to_vec());
        script.add(&ONE, Vec::new());
        script.add(&TWO, rows.to_vec());
        let insert = |table: &str, values: &str| {
            let rows = format!("(SELECT column1 AS id FROM (VALUES {values}) WHERE column1 IS NOT NULL)");
            format!("INSERT INTO {table} (id) SELECT r.id FROM {rows} AS r WHERE true;\n")
        };
        assert_eq!(script.sqlite().as_str(), insert("one", "(?)") + &insert("two", "(?),(?),(?),(?)"));
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
