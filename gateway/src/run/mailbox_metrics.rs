//! What Prometheus sees of each folder of a mailbox. Labels are the mailbox's name and the folder's, as configured.

use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::{IntGaugeVec, Opts};
use voxea_core::Core;
use voxea_core::base::account::Kind;
use voxea_core::channel::Status;

use super::families::Families;

/// The folders of all mailboxes.
pub(super) fn folders(channels: &[Status]) -> Result<Families, prometheus::Error> {
    let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["name", "folder"]);
    let success = gauge(
        "voxea_mailbox_last_success_seconds",
        "When a look for new mail came to its end last, Unix time; 0 before the first since the start.",
    )?;
    let waiting = gauge("voxea_mailbox_waiting", "Mails that are known to wait.")?;
    let oldest = gauge(
        "voxea_mailbox_oldest_waiting_seconds",
        "When the mail server had the oldest waiting mail, Unix time.",
    )?;
    let unfetched = gauge(
        "voxea_mailbox_unfetched",
        "Mails that the server did not give so far; they are tried again.",
    )?;
    for (name, folder) in channels
        .iter()
        .flat_map(|status| status.folders.iter().map(|folder| (status.account.name.as_str(), folder)))
    {
        let labels = [name, folder.name.as_str()];
        success
            .with_label_values(&labels)
            .set(folder.last_success.map_or(0, |at| at / 1000));
        waiting
            .with_label_values(&labels)
            .set(i64::try_from(folder.waiting).unwrap_or(i64::MAX));
        unfetched
            .with_label_values(&labels)
            .set(i64::try_from(folder.unfetched).unwrap_or(i64::MAX));
        if let Some(at) = folder.oldest_waiting {
            oldest.with_label_values(&labels).set(at / 1000);
        }
    }
    Ok([success, waiting, oldest, unfetched]
        .into_iter()
        .flat_map(|family| family.collect())
        .collect())
}

/// What lies in quarantine, by mailbox. Left out while the database hangs.
pub(super) async fn quarantined(core: &Core) -> Result<Families, prometheus::Error> {
    let options = Opts::new(
        "voxea_mailbox_quarantined",
        "Mails that could not be processed and were kept raw, or known by their place alone.",
    );
    let gauge = IntGaugeVec::new(options, &["name"])?;
    for status in core.channels.list() {
        if status.account.kind != Kind::Mailbox {
            continue;
        }
        let counted = tokio::time::timeout(Duration::from_secs(2), core.mailboxes.quarantined(&status.account)).await;
        if let Ok(Ok(count)) = counted {
            gauge.with_label_values(&[status.account.name.as_str()]).set(count);
        }
    }
    Ok(gauge.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::base::account::Account;
    use voxea_core::channel::Channels;

    #[test]
    fn a_folder_is_measured_by_name() {
        let channels = Channels::default();
        let reporter = channels.register(Account::new(Kind::Mailbox, "mairie"));
        let folder = reporter.folder("INBOX", 900_000);
        folder.waits(3, Some(1_795_507_200_000), 1);
        let families = folders(&channels.list()).unwrap();
        let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
        for line in [
            r#"voxea_mailbox_last_success_seconds{folder="INBOX",name="mairie"} 0"#,
            r#"voxea_mailbox_waiting{folder="INBOX",name="mairie"} 3"#,
            r#"voxea_mailbox_oldest_waiting_seconds{folder="INBOX",name="mairie"} 1795507200"#,
            r#"voxea_mailbox_unfetched{folder="INBOX",name="mairie"} 1"#,
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
