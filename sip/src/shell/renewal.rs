//! Certificates that are renewed while we run.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::{Certificate, Renewal};

/// From one look at the files to the next.
const PERIOD: Duration = Duration::from_secs(60);

/// Looks once a minute whether the files of a certificate are others, until the stop. New connections are shown what is there
/// then; those that are open stay. What cannot be used is logged once.
pub async fn renewals(certificate: Arc<Certificate>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => return,
        }
        let looked = Arc::clone(&certificate);
        let file = certificate.path().display();
        match tokio::task::spawn_blocking(move || looked.renew()).await {
            Ok(Renewal::Renewed) => tracing::info!(%file, "a renewed certificate is in use"),
            Ok(Renewal::Unusable(problem)) => {
                tracing::warn!(%file, problem, "a renewed certificate cannot be used; the one before is shown until this is put right");
            }
            Ok(Renewal::Same) | Err(_) => {}
        }
    }
}
