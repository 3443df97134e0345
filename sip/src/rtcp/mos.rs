//! What a listener would say: an estimate by the E-model (ITU-T G.107, 06/2015), simplified.

use std::time::Duration;

/// R of a G.711 call with nothing wrong: Ro - Is with G.107's default values (table 3).
const BEST: f64 = 93.2;

/// Packet-loss robustness of G.711 without concealment (ITU-T G.113, appendix I): a recording conceals nothing.
const ROBUSTNESS: f64 = 4.3;

/// Estimates the mean opinion score, 1 to 4.5, of sound of which `missing` (0 to 1) did not come in time and which is `delay`
/// old when it is heard. Loss is taken to be random (BurstR = 1), equipment to add nothing (Ie = 0); a wideband codec is
/// judged on the same scale.
#[must_use]
pub fn mos(missing: f64, delay: Duration) -> f64 {
    let percent = 100.0 * missing.clamp(0.0, 1.0);
    // Ie,eff = Ie + (95 - Ie) · Ppl / (Ppl / BurstR + Bpl), G.107 §7.5.
    let loss = 95.0 * percent / (percent + ROBUSTNESS);
    // Id of G.107 §7.4 by the usual two lines: what any delay costs, and above 177.3 ms what waiting for an answer costs.
    let ms = delay.as_secs_f64() * 1_000.0;
    let waiting = 0.024 * ms + 0.11 * (ms - 177.3).max(0.0);
    let r = (BEST - loss - waiting).clamp(0.0, 100.0);
    // G.107 annex B; its polynomial dips below 1 near R = 0.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 0.02, "{value} and not {expected}");
    }

    #[test]
    fn points_of_the_curve() {
        // G.107 annex B: R = 93.2 is 4.41, R = 90 is 4.34, R = 50 is 2.58.
        near(mos(0.0, Duration::ZERO), 4.41);
        near(mos(0.0, Duration::from_millis(133)), 4.34);
        // Ie,eff = 95 · 3.58 / (3.58 + 4.3) = 43.2.
        near(mos(0.0358, Duration::ZERO), 2.58);
    }

    #[test]
    fn worse_is_never_better_and_all_stays_in_bounds() {
        let mut before = 5.0;
        for step in 0u32..=100 {
            let found = mos(f64::from(step) / 100.0, Duration::from_millis(step.into()));
            assert!((1.0..=4.5).contains(&found) && found <= before, "{step}: {found} after {before}");
            before = found;
        }
        near(mos(1.0, Duration::from_secs(9)), 1.0);
    }
}
