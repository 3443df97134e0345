//! The figures as a page, each target of the project beside what was measured.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Figures, Out};

/// Texts in with one window.
#[derive(Debug, Clone, Copy)]
pub struct In {
    /// Texts in flight.
    pub window: usize,
    /// On SQLite, and bare SQLite's rows a second in transactions of this size.
    pub sqlite: (Figures, f64),
    /// The same on PostgreSQL.
    pub postgres: (Figures, f64),
    /// Kannel's.
    pub kannel: Figures,
}

/// Everything that was measured.
#[derive(Debug, Clone)]
pub struct All {
    /// Texts in.
    pub texts_in: Vec<In>,
    /// Texts in on SQLite, 64 in flight, with a core for the daemon and one for the simulator; and bare SQLite's rows a second.
    pub apart: (Figures, f64),
    /// Texts out: ours on SQLite and PostgreSQL, and Kannel's.
    pub texts_out: [Out; 3],
}

/// The page.
#[must_use]
pub fn page(all: &All) -> String {
    let mut page = String::from(
        "Texts in, until they are committed: Voxea to a request, Kannel (file store, smsbox) to a row of the sink behind its HTTP \
         call. CPU is the daemon's, and bearerbox's and smsbox's; PostgreSQL's, the sink's and the simulator's is in neither.\n\n\
         | window | | texts/s | acknowledged after p50 / p99 / most | CPU a text | of bare inserts |\n|---|---|---|---|---|---|\n",
    );
    for row in &all.texts_in {
        for (who, figures, ceiling) in [
            ("Voxea, SQLite", row.sqlite.0, Some(row.sqlite.1)),
            ("Voxea, PostgreSQL", row.postgres.0, Some(row.postgres.1)),
            ("Kannel, SQLite behind", row.kannel, Some(row.sqlite.1)),
        ] {
            let [middle, most, worst] = figures.acknowledged.map(milliseconds);
            let share = ceiling.map_or_else(String::new, |ceiling| {
                format!("{:.0} % of {ceiling:.0}/s", figures.rate / ceiling * 100.0)
            });
            let _ = writeln!(
                page,
                "| {} | {who} | {:.0} | {middle} / {most} / {worst} | {:.0} µs | {share} |",
                row.window, figures.rate, figures.cpu
            );
        }
    }
    let (apart, ceiling) = all.apart;
    let [middle, most, worst] = apart.acknowledged.map(milliseconds);
    let _ = writeln!(
        page,
        "\nThe daemon on one core and the simulator on the other, SQLite, window 64: {:.0}/s, acknowledged after {middle} / {most} / \
         {worst}, {:.0} µs of CPU a text, {:.0} % of {ceiling:.0}/s.",
        apart.rate,
        apart.cpu,
        apart.rate / ceiling * 100.0
    );
    page += "\nKannel answers once a text is in its own store, which it never flushes to the disk, and before its HTTP call.\n\n\
             Texts out, 64 in flight: from the first HTTP call to the last submit_sm, and from the bind on where all were queued \
             before it.\n\n| | through, texts/s | CPU a text | from a queue, texts/s |\n|---|---|---|---|\n";
    for (who, out) in ["Voxea, SQLite", "Voxea, PostgreSQL", "Kannel"].into_iter().zip(all.texts_out) {
        let _ = writeln!(
            page,
            "| {who} | {:.0} | {:.0} µs | {:.0} |",
            out.through.rate, out.through.cpu, out.drained
        );
    }
    page += "\n| target | measured | |\n|---|---|---|\n";
    for (target, measured, met) in targets(all) {
        let _ = writeln!(page, "| {target} | {measured} | {} |", if met { "met" } else { "MISSED" });
    }
    page
}

fn targets(all: &All) -> Vec<(&'static str, String, bool)> {
    let mut targets = Vec::new();
    if let Some(row) = all.texts_in.iter().find(|row| row.window == 64) {
        let (ours, theirs) = (row.sqlite.0, row.kannel);
        let times = ours.rate / theirs.rate;
        targets.push(("in at window 64: 8 times Kannel's rate", format!("{times:.1} times"), times >= 8.0));
        let part = theirs.cpu / ours.cpu;
        targets.push(("in: a fifth of Kannel's CPU a text", format!("1/{part:.1}"), part >= 5.0));
    }
    let apart = all.apart.0.rate;
    targets.push((
        "in at window 64 on SQLite, the simulator on the other core: 15,000/s",
        format!("{apart:.0}/s"),
        apart >= 15_000.0,
    ));
    let ours = all.texts_in.iter().flat_map(|row| [row.sqlite.0, row.postgres.0]);
    let worst = ours.map(|figures| figures.acknowledged[2]).max().unwrap_or_default();
    targets.push((
        "no acknowledgement later than 1 s",
        milliseconds(worst),
        worst < Duration::from_secs(1),
    ));
    let [ours, _, theirs] = all.texts_out;
    for (target, ours, theirs) in [
        ("out, through: 5 times Kannel's rate", ours.through.rate, theirs.through.rate),
        ("out, from a queue: 5 times Kannel's rate", ours.drained, theirs.drained),
    ] {
        targets.push((target, format!("{:.1} times", ours / theirs), ours >= 5.0 * theirs));
    }
    let part = theirs.through.cpu / ours.through.cpu;
    targets.push(("out, through: a fifth of Kannel's CPU a text", format!("1/{part:.1}"), part >= 5.0));
    targets
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_missed_says_so() {
        let figures = |rate, cpu, worst| Figures {
            rate,
            cpu,
            acknowledged: [Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(worst)],
        };
        let out = |rate| Out {
            through: figures(rate, 10.0, 0),
            drained: rate,
        };
        let all = |rate, worst| All {
            texts_in: vec![In {
                window: 64,
                sqlite: (figures(rate, 50.0, worst), 40_000.0),
                postgres: (figures(rate, 50.0, 5), 60_000.0),
                kannel: figures(2_000.0, 500.0, 5),
            }],
            apart: (figures(rate, 50.0, 5), 40_000.0),
            texts_out: [out(9_000.0), out(9_000.0), out(1_500.0)],
        };
        let good = page(&all(16_000.0, 900));
        assert!(good.contains("| 8.0 times | met |") && good.contains("| 16000/s | met |"), "{good}");
        assert!(
            good.contains("| 6.0 times | met |") && good.contains("| 900.0 ms | met |"),
            "{good}"
        );
        let bad = page(&all(14_000.0, 1_500));
        assert!(
            bad.contains("| 7.0 times | MISSED |") && bad.contains("| 1500.0 ms | MISSED |"),
            "{bad}"
        );
    }
}
