//! Sets of rows as one parameter, so that a batch costs one statement a table.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::kind::Store;
use super::tx::Tx;

/// The type of a column in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// TEXT.
    Text,
    /// BIGINT.
    Integer,
    /// Bytes, which JSON cannot hold: hexadecimal text there.
    Hex,
}

/// The columns of a set. As SQL it is a derived table over `$1`, a JSON array of objects with these members.
#[derive(Debug)]
pub struct Rows(pub &'static [(&'static str, Column)]);

/// One statement over a set, in the words of both databases.
#[derive(Debug)]
pub struct SetSql {
    columns: &'static [(&'static str, Column)],
    sqlite: SqlStr,
    /// The same where the rows are values; [`VALUES`] stands for them.
    values: String,
    postgres: SqlStr,
}

/// Where the values of the rows come in: no SQL has it.
const VALUES: &str = "{VALUES}";

impl Rows {
    /// Writes a statement. `{rows}` in the template becomes the derived table, to be named there: `FROM {rows} AS r`;
    /// `{columns}` becomes the names of the columns, `{values}` the same as expressions of `r`.
    #[must_use]
    pub fn statement(&self, template: &'static str) -> SetSql {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
        let sqlite_members = self.0.iter().map(|(name, column)| match column {
            Column::Text | Column::Integer => format!("v ->> '{name}' AS {name}"),
            Column::Hex => format!("unhex(v ->> '{name}') AS {name}"),
        });
        // The LIMIT makes it a co-routine, which writes a row's text out once; json_each itself does so for every column.
        let sqlite_rows = format!(
            "(SELECT {} FROM (SELECT value AS v FROM json_each($1) LIMIT -1))",
            sqlite_members.collect::<Vec<_>>().join(", ")
        );
        // Rows of NULLs fill a set up; the first column of a real one never is.
        let named = self
            .0
            .iter()
            .zip(1..)
            .map(|((name, _), number)| format!("column{number} AS {name}"));
        let value_rows = format!(
            "(SELECT {} FROM (VALUES {VALUES}) WHERE column1 IS NOT NULL)",
            named.collect::<Vec<_>>().join(", ")
        );
        let postgres_casts = self.0.iter().map(|(name, column)| match column {
            Column::Text | Column::Hex => format!("{name} text"),
            Column::Integer => format!("{name} bigint"),
        });
        let postgres_values = self.0.iter().map(|(name, column)| match column {
            Column::Text | Column::Integer => (*name).to_owned(),
            Column::Hex => format!("decode({name}, 'hex') AS {name}"),
        });
        let postgres_rows = format!(
            "(SELECT {} FROM jsonb_to_recordset($1::jsonb) AS j({}))",
            postgres_values.collect::<Vec<_>>().join(", "),
            postgres_casts.collect::<Vec<_>>().join(", ")
        );
        let values = names.iter().map(|name| format!("r.{name}")).collect::<Vec<_>>().join(", ");
        let write = |rows: &str| {
            template
                .replace("{rows}", rows)
                .replace("{columns}", &names.join(", "))
                .replace("{values}", &values)
        };
        SetSql {
            columns: self.0,
            sqlite: AssertSqlSafe(write(&sqlite_rows)).into_sql_str(),
            values: write(&value_rows),
            postgres: AssertSqlSafe(write(&postgres_rows)).into_sql_str(),
        }
    }

    /// `INSERT` of every row into a table that has these columns.
    #[must_use]
    pub fn insert(&self, table: &'static str) -> SetSql {
        let sql = self.statement("INSERT INTO {table} ({columns}) SELECT {values} FROM {rows} AS r WHERE true");
        sql.map(|text| text.replace("{table}", table))
    }

    /// The same, passing over rows that break a unique key, and returning `returning` of those that did not.
    #[must_use]
    pub fn insert_new(&self, table: &'static str, returning: &'static str) -> SetSql {
        // SQLite would read "… AS r ON CONFLICT" as a join condition; the WHERE stands between.
        let sql = self.statement(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM {rows} AS r WHERE true ON CONFLICT DO NOTHING RETURNING {returning}",
        );
        sql.map(|text| text.replace("{table}", table).replace("{returning}", returning))
    }
}

impl SetSql {
    fn map(self, change: impl Fn(&str) -> String) -> Self {
        let apply = |sql: SqlStr| AssertSqlSafe(change(sql.as_str())).into_sql_str();
        Self {
            columns: self.columns,
            sqlite: apply(self.sqlite),
            values: change(&self.values),
            postgres: apply(self.postgres),
        }
    }

    /// A SELECT that locks the rows of one of its tables until the transaction ends, in the order in which it gives them. SQLite
    /// has one writer, who needs no lock.
    #[must_use]
    pub fn locking(mut self, table: &'static str) -> Self {
        self.postgres = AssertSqlSafe(format!("{} FOR UPDATE OF {table}", self.postgres.as_str())).into_sql_str();
        self
    }

    /// Its columns, in the order of the values.
    pub(super) const fn columns(&self) -> &'static [(&'static str, Column)] {
        self.columns
    }

    /// SQLite's words over `rows` rows of values, each a parameter.
    pub(super) fn over_values(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns.len()].join(","));
        self.values.replace(VALUES, &vec![row.as_str(); rows].join(","))
    }

    /// PostgreSQL's words, over the parameter of this number.
    pub(super) fn postgres_at(&self, number: usize) -> String {
        self.postgres.as_str().replace("$1", &format!("${number}"))
    }

    /// The words for the database of this transaction.
    #[must_use]
    pub fn for_tx(&self, tx: &Tx) -> SqlStr {
        match tx {
            Tx::Sqlite(_) => self.sqlite.clone(),
            Tx::Postgres(_) => self.postgres.clone(),
        }
    }

    /// The words for this database.
    #[must_use]
    pub fn for_store(&self, store: &Store) -> SqlStr {
        match store {
            Store::Sqlite(_) => self.sqlite.clone(),
            Store::Postgres(_) => self.postgres.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_template_gives_both() {
        let sql = Rows(&[("id", Column::Text), ("body", Column::Hex)]).insert("raw");
        assert_eq!(
            sql.sqlite.as_str(),
            "INSERT INTO raw (id, body) SELECT r.id, r.body FROM \
             (SELECT v ->> 'id' AS id, unhex(v ->> 'body') AS body FROM (SELECT value AS v FROM json_each($1) LIMIT -1)) \
             AS r WHERE true"
        );
        assert_eq!(
            sql.postgres.as_str(),
            "INSERT INTO raw (id, body) SELECT r.id, r.body FROM \
             (SELECT id, decode(body, 'hex') AS body FROM jsonb_to_recordset($1::jsonb) AS j(id text, body text)) AS r WHERE true"
        );
    }
}
