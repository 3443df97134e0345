//! Memory and descriptors in CI's size, a minute with the debug build; `scripts/soak` runs a million texts with the same code.

use anyhow::Result;
use voxea_tests::{scratch, soak};

fn size(name: &str, or: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_descriptors_are_flat() -> Result<()> {
    let (texts, reconnects) = (size("VOXEA_TEXTS", 20_000), size("VOXEA_RECONNECTS", 50));
    let outcome = soak::run(&scratch::binary()?, "sqlite:voxea.db", texts, reconnects).await?;
    println!("{outcome}");
    assert_eq!(outcome.texts, texts);
    assert!(
        outcome.binds as usize > reconnects && outcome.is_flat(),
        "{outcome}: {:?}",
        outcome.samples
    );
    Ok(())
}
