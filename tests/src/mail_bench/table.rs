//! The figures as a page, each target beside what was measured.

use std::fmt::Write as _;

use super::Figures;
use super::fetchers::Fetcher;

/// Everything that was measured.
#[derive(Debug, Clone)]
pub struct All {
    /// Mails, and their bytes.
    pub mails: (usize, u64),
    /// The fetchers.
    pub fetchers: Vec<(Fetcher, Figures)>,
    /// Voxea on SQLite, on SQLite encrypted, and on PostgreSQL.
    pub voxea: [Figures; 3],
    /// Mails a second over the loopback into one file that is flushed.
    pub bytes: f64,
    /// Mails a second that the server hands out in one FETCH.
    pub server: f64,
}

/// The page.
#[must_use]
pub fn page(all: &All) -> String {
    let (mails, bytes) = all.mails;
    let mut page = format!(
        "{mails} mails, {:.0} MB, one mailbox of one Dovecot; one after the other, and every mail unread again before each.\n\n\
         | | mails/s | CPU a mail | most memory | of the server's own pace | of the raw ceiling |\n|---|---|---|---|---|---|\n",
        bytes as f64 / 1e6
    );
    let names = ["Voxea, SQLite", "Voxea, SQLite, encrypted", "Voxea, PostgreSQL"];
    let ours = names.into_iter().zip(all.voxea);
    let theirs = all.fetchers.iter().map(|(fetcher, figures)| (fetcher.name(), *figures));
    for (name, figures) in ours.chain(theirs) {
        let _ = writeln!(
            page,
            "| {name} | {:.0} | {:.0} µs | {:.0} MB | {:.0} % | {:.0} % |",
            figures.rate,
            figures.cpu,
            figures.memory as f64 / 1e6,
            figures.rate / all.server * 100.0,
            figures.rate / all.bytes * 100.0
        );
    }
    let _ = writeln!(
        page,
        "\nThe server's own pace is one FETCH of everything by a client that drops it: {:.0} mails/s. The raw ceiling is the same bytes over \
         the loopback into one file, with an fdatasync every hundred mails: {:.0} mails/s. Voxea is measured from the start of its process \
         until the last mail is marked, which is after its commit, and the requests are counted; the fetchers from their start to their end, \
         and the files counted. CPU is the program's and its children's; Dovecot's and PostgreSQL's is in none.\n",
        all.server, all.bytes
    );
    page += "| target | measured | |\n|---|---|---|\n";
    for (target, measured, met) in targets(all) {
        let _ = writeln!(page, "| {target} | {measured} | {} |", if met { "met" } else { "MISSED" });
    }
    page
}

fn targets(all: &All) -> Vec<(&'static str, String, bool)> {
    let fastest = all.fetchers.iter().map(|(_, figures)| figures.rate).fold(0.0, f64::max);
    let [sqlite, encrypted, postgres] = all.voxea;
    let ratio = sqlite.rate / fastest;
    let memory = all.voxea.iter().map(|figures| figures.memory).max().unwrap_or(0) as f64 / 1e6;
    vec![
        (
            "5 times the fastest that writes durably (SQLite)",
            format!("{ratio:.1} times {fastest:.0}/s"),
            ratio >= 5.0,
        ),
        (
            "1,000 mails/s into committed requests on SQLite",
            format!(
                "{:.0}/s; encrypted {:.0}/s; PostgreSQL {:.0}/s",
                sqlite.rate, encrypted.rate, postgres.rate
            ),
            sqlite.rate >= 1_000.0,
        ),
        ("less than 96 MB of memory", format!("{memory:.0} MB at most"), memory < 96.0),
    ]
}
