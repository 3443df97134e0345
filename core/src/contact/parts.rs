use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::Store;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct WholeKey {
    pub(super) account: String,
    pub(super) whole: String,
    pub(super) generation: i64,
}

pub(super) async fn expired(_store: &Store, _now: Millis) -> Result<Vec<WholeKey>> {
    Ok(Vec::new())
}
