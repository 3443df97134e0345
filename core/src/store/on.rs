//! One statement, compiled for both databases.

/// Runs one expression on whichever database it is: `on!(Store, &store, db => …)` reads outside a transaction,
/// `on!(Tx, &mut tx, db => …)` works inside one.
macro_rules! on {
    (Store, $store:expr, $db:ident => $body:expr) => {
        match $store {
            $crate::store::Store::Sqlite(pools) => {
                let $db = &pools.read;
                $body
            }
            $crate::store::Store::Postgres(pool) => {
                let $db = pool;
                $body
            }
        }
    };
    (Tx, $tx:expr, $db:ident => $body:expr) => {
        match $tx {
            $crate::store::Tx::Sqlite(inner) => {
                let $db = &mut **inner;
                $body
            }
            $crate::store::Tx::Postgres(inner) => {
                let $db = &mut **inner;
                $body
            }
        }
    };
}

pub(crate) use on;
