//! The figures as a page, each target beside what was measured.

use std::fmt::Write as _;
use std::time::Duration;

use super::ask::Times;
use super::{Figures, LISTENERS, Live, SLOW};

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

fn both(times: Times) -> String {
    format!("{} / {}", ms(times.p50), ms(times.p99))
}

/// The page.
#[must_use]
pub fn page(figures: &[Figures], live: &[(&'static str, Live)]) -> String {
    let mut page = String::from(
        "Pages of 100, anywhere, by 8 clients over kept connections: p50 / p99 in ms. Five events a request; one request in ten has the \
         status that is asked for, one in a hundred the theme.\n\n\
         | | requests | list | of one status | feed | of one theme | events/s, one reader | eight | of bare SELECTs |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for one in figures {
        let [alone, eight] = one.rates;
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {alone:.0} | {eight:.0} | {:.0} % of {:.0}/s |",
            one.database,
            one.requests,
            both(one.list),
            both(one.filtered),
            both(one.page),
            both(one.theme),
            alone / one.ceiling * 100.0,
            one.ceiling
        );
    }
    let _ = writeln!(
        page,
        "\nAt the largest size, in ms after the answer to the contact, which comes after its commit: until a long poll has it, and until each of \
         {LISTENERS} streams of server-sent events has it; and what calls of 8 programs took while {SLOW} connections sent a byte a second.\n\n\
         | | long poll p50 / p99 / most | streams p50 / p99 / most | beside slow connections p50 / p99 / most |\n|---|---|---|---|"
    );
    let three = |times: Times| format!("{} / {} / {}", ms(times.p50), ms(times.p99), ms(times.most));
    for (database, live) in live {
        let _ = writeln!(
            page,
            "| {database} | {} | {} | {} |",
            three(live.poll),
            three(live.streams),
            three(live.slow)
        );
    }
    page += "\n| target | measured | |\n|---|---|---|\n";
    for (target, measured, met) in targets(figures, live) {
        let _ = writeln!(page, "| {target} | {measured} | {} |", if met { "met" } else { "MISSED" });
    }
    page
}

fn targets(figures: &[Figures], live: &[(&'static str, Live)]) -> Vec<(String, String, bool)> {
    let mut all = Vec::new();
    for database in ["SQLite", "PostgreSQL"] {
        let of: Vec<&Figures> = figures.iter().filter(|one| one.database == database).collect();
        let (Some(least), Some(most)) = (of.first(), of.last()) else {
            continue;
        };
        let limit = Duration::from_millis(20);
        for (what, times) in [("list", most.list), ("feed", most.page)] {
            let target = format!("{database}, {} requests: {what} p99 below 20 ms", most.requests);
            all.push((target, format!("{} ms", ms(times.p99)), times.p99 < limit));
        }
        let rate = most.rates.into_iter().fold(0.0, f64::max);
        all.push((format!("{database}: 30,000 events/s"), format!("{rate:.0}/s"), rate >= 30_000.0));
        let grown = |now: Times, then: Times| now.p50.as_secs_f64() / then.p50.as_secs_f64().max(1e-9);
        for (what, growth) in [("list", grown(most.list, least.list)), ("feed", grown(most.page, least.page))] {
            let target = format!("{database}: {what} as quick among {} as among {}", most.requests, least.requests);
            all.push((target, format!("p50 {growth:.2} times"), growth < 1.5));
        }
    }
    for (database, live) in live {
        let limit = Duration::from_millis(50);
        all.push((
            format!("{database}: a long poll wakes within 50 ms"),
            format!("p99 {} ms", ms(live.poll.p99)),
            live.poll.p99 < limit,
        ));
        let slow = Duration::from_millis(500);
        let target = format!("{database}: p99 below 500 ms beside {SLOW} slow connections");
        all.push((target, format!("{} ms", ms(live.slow.p99)), live.slow.p99 < slow));
    }
    all
}
