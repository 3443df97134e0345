//! Mails that are made to kill who reads them: each becomes a flagged request within five seconds and 256 MB, and the mail
//! behind it comes within a second.

use anyhow::Result;
use voxea_tests::mail_bombs::{LITERAL, run, table};
use voxea_tests::scratch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mail_stops_the_next_one() -> Result<()> {
    let all = run(&scratch::binary()?, &[], |_| true).await?;
    println!("{}", table(&all));
    // `scripts/mail-bombs` holds the release build to the time itself.
    let exceeded: Vec<String> = all.iter().filter_map(|figures| figures.exceeded(true)).collect();
    assert!(exceeded.is_empty(), "{exceeded:?}");
    assert_eq!(all.len(), 15, "every one was tried");
    Ok(())
}

/// The gate can fail: it sees a parser that is given whatever comes, and a literal that is believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_that_is_switched_off_is_caught() -> Result<()> {
    for (mutant, bomb) in [("no_mail_bounds", "32,700 nested messages"), ("no_literal_cap", LITERAL)] {
        let seen = run(&scratch::binary()?, &[("VOXEA_MUTANT", mutant)], |name| name == bomb).await;
        let seen = match seen {
            Ok(all) => all.iter().filter_map(|figures| figures.exceeded(true)).collect(),
            Err(error) => error.to_string().lines().take(1).collect::<String>(),
        };
        println!("{mutant}: {seen}");
        assert!(!seen.is_empty(), "{mutant} was not seen");
    }
    Ok(())
}
