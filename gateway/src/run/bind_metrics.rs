//! What Prometheus sees of each bind. Labels are the account's name, the bind's, and the name of an error, of which a meter
//! tells a bounded number apart.

use prometheus::core::Collector as _;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts};
use voxea_core::channel::{State, Status};

use super::families::Families;

const BIND: [&str; 2] = ["name", "bind"];

/// The families of all binds of all channels.
pub(super) fn binds(channels: &[Status]) -> Result<Families, prometheus::Error> {
    let whole = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &BIND);
    let up = whole("voxea_smpp_bind_up", "1 for a bind that works, 0 for another.")?;
    let window = whole("voxea_smpp_bind_window", "Texts that may wait for their response at once.")?;
    let in_use = whole("voxea_smpp_bind_window_used", "Texts that wait for their response.")?;
    let congestion = whole("voxea_smpp_bind_congestion", "How loaded the SMSC says it is, 0 to 100.")?;
    let receipt = whole("voxea_smpp_bind_last_receipt_seconds", "When the last receipt came, Unix time.")?;
    let round_trip = GaugeVec::new(
        Opts::new("voxea_smpp_bind_round_trip_seconds", "From a request to its response, smoothed."),
        &BIND,
    )?;
    let passed = IntCounterVec::new(
        Opts::new(
            "voxea_smpp_bind_messages_total",
            "Texts and receipts that came, and texts that were sent.",
        ),
        &["name", "bind", "direction"],
    )?;
    let errors = IntCounterVec::new(
        Opts::new("voxea_smpp_bind_errors_total", "What the SMSC refused, by its error."),
        &["name", "bind", "error"],
    )?;
    for (name, bind) in channels
        .iter()
        .flat_map(|status| status.binds.iter().map(|bind| (status.account.name.as_str(), bind)))
    {
        let labels = [name, &*bind.name];
        up.with_label_values(&labels).set(i64::from(bind.state == State::Up));
        window
            .with_label_values(&labels)
            .set(i64::try_from(bind.window).unwrap_or(i64::MAX));
        in_use
            .with_label_values(&labels)
            .set(i64::try_from(bind.in_use).unwrap_or(i64::MAX));
        if let Some(state) = bind.congestion {
            congestion.with_label_values(&labels).set(state.into());
        }
        if let Some(at) = bind.last_receipt {
            receipt.with_label_values(&labels).set(at / 1000);
        }
        if let Some(ms) = bind.round_trip_ms {
            round_trip.with_label_values(&labels).set(ms / 1000.0);
        }
        for (direction, count) in [("in", bind.received), ("out", bind.sent)] {
            passed.with_label_values(&[name, &*bind.name, direction]).inc_by(count);
        }
        for (error, count) in &bind.errors {
            errors.with_label_values(&[name, &*bind.name, error]).inc_by(*count);
        }
    }
    let whole = [up, window, in_use, congestion, receipt]
        .into_iter()
        .flat_map(|family| family.collect());
    Ok(whole
        .chain(round_trip.collect())
        .chain(passed.collect())
        .chain(errors.collect())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::base::account::{Account, Kind};
    use voxea_core::channel::{Channels, Meter};

    #[test]
    fn a_bind_is_measured_by_name() {
        let channels = Channels::default();
        let reporter = channels.register(Account::new(Kind::Smpp, "short-number"));
        let meter = Meter::new("1-receiver", "receiver", 0);
        reporter.binds(vec![meter.clone()]);
        meter.up("tcp:127.0.0.1:2775");
        meter.passed(3, 0, 0);
        meter.refused("ESME_RTHROTTLED (0x58)");
        let families = binds(&channels.list()).unwrap();
        let families = families
            .into_iter()
            .filter(|family| !family.get_metric().is_empty())
            .collect::<Vec<_>>();
        let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
        for line in [
            r#"voxea_smpp_bind_up{bind="1-receiver",name="short-number"} 1"#,
            r#"voxea_smpp_bind_messages_total{bind="1-receiver",direction="in",name="short-number"} 3"#,
            r#"voxea_smpp_bind_errors_total{bind="1-receiver",error="ESME_RTHROTTLED (0x58)",name="short-number"} 1"#,
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
