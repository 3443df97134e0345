//! Whether the time of a refused login tells that there is such an agent: a wrong password against an unknown login.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::scratch::{Rest, Running};

/// What agents of the measurement have.
const PASSWORD: &str = "cheval rouge tasse";
/// Tries from one address of this machine; the daemon takes 20 failures a minute of each.
const TRIES: usize = 16;

/// Times of both kinds.
#[derive(Debug, Default)]
pub struct Measured {
    /// The agent exists, the password is another one.
    pub wrong: Vec<Duration>,
    /// There is no such agent.
    pub unknown: Vec<Duration>,
    /// Every different answer but for its date: status, headers, body.
    pub answers: Vec<String>,
}

/// Enters `n` agents, then tries each once with a wrong password, and between them as many logins that nobody has.
///
/// # Errors
/// The daemon does not answer.
pub async fn measure(running: &Running, n: usize) -> Result<Measured> {
    let mut rest = running.rest();
    for number in 0..n {
        let path = format!("/v1/agents/known-{number:06}");
        let made = rest
            .call_with("PUT", &path, &[("if-none-match", "*")], Some(&json!({"name": "Jeanne"})))
            .await?;
        ensure!(made.status == 201, "{path}: {}", made.status);
        let set = rest
            .call("PUT", &format!("{path}/password"), Some(&json!({"password": PASSWORD})))
            .await?;
        ensure!(set.status == 204, "{path}: {}", set.status);
    }
    let mut measured = Measured::default();
    let mut from = None;
    for number in 0..2 * n {
        if number % TRIES == 0 {
            let [_, _, high, low] = u32::try_from(number / TRIES + 2)?.to_be_bytes();
            from = Some(Rest::new(running.api, "").from(IpAddr::V4(Ipv4Addr::new(127, 7, high, low))));
        }
        let rest = from.as_mut().context("no client")?;
        // Which of a pair comes first changes with every pair, so that no drift of the machine takes a side.
        let is_known = (number % 2 == 0) == (number / 2 % 2 == 0);
        let kind = if is_known { "known" } else { "nobod" };
        let body = json!({"login": format!("{kind}-{:06}", number / 2), "password": "autre tasse bleue"});
        if number % TRIES == 0 {
            // The connection is made before the clock runs.
            rest.call("GET", "/livez", None).await?;
        }
        let begun = Instant::now();
        // One id for all calls, so that no answer differs by it.
        let answered = rest
            .call_with("POST", "/v1/sessions", &[("X-Request-Id", "a-login")], Some(&body))
            .await?;
        let took = begun.elapsed();
        if is_known { &mut measured.wrong } else { &mut measured.unknown }.push(took);
        let headers: Vec<String> = answered
            .headers
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("date"))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let answer = format!(
            "{}\n{}\n{}",
            answered.status,
            headers.join("\n"),
            String::from_utf8_lossy(&answered.body)
        );
        if !measured.answers.contains(&answer) {
            measured.answers.push(answer);
        }
    }
    Ok(measured)
}

impl Measured {
    /// Medians, their difference, and what chance makes of it.
    #[must_use]
    pub fn report(&self) -> String {
        let (wrong, unknown) = (micros(&self.wrong), micros(&self.unknown));
        let (a, b) = (median(&wrong), median(&unknown));
        let (z, p) = mann_whitney(&wrong, &unknown);
        format!(
            "n = {} each\nwrong password: median {a:.0} µs\nunknown login:  median {b:.0} µs\ndifference of medians: {:+.0} µs ({:+.2} %)\n\
             Mann-Whitney: z = {z:+.2}, p = {p:.3} (two-sided)\ndifferent answers: {}",
            wrong.len(),
            a - b,
            (a - b) / b * 100.0,
            self.answers.len()
        )
    }
}

fn micros(times: &[Duration]) -> Vec<f64> {
    times.iter().map(|time| time.as_secs_f64() * 1e6).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        (at(half.wrapping_sub(1)) + at(half)) / 2.0
    } else {
        at(half)
    }
}

/// The rank-sum test of two samples: the normal deviate, and how often chance alone deviates so far.
fn mann_whitney(a: &[f64], b: &[f64]) -> (f64, f64) {
    let mut all: Vec<(f64, bool)> = a.iter().map(|x| (*x, true)).chain(b.iter().map(|x| (*x, false))).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    // Ties share their ranks; times in nanoseconds hardly tie, so that the variance is left as it is.
    let (mut ranks, mut begin) = (0.0, 0);
    while begin < all.len() {
        let end = begin + all[begin..].iter().take_while(|one| one.0 == all[begin].0).count();
        let rank = f64::from(u32::try_from(begin + 1 + end).unwrap_or(u32::MAX)) / 2.0;
        ranks += all[begin..end].iter().filter(|one| one.1).map(|_| rank).sum::<f64>();
        begin = end;
    }
    let size = |sample: &[f64]| f64::from(u32::try_from(sample.len()).unwrap_or(u32::MAX));
    let (n, m) = (size(a), size(b));
    let u = ranks - n * (n + 1.0) / 2.0;
    let z = (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt();
    (z, tail(z.abs()) * 2.0)
}

/// The normal distribution beyond z ≥ 0 (Abramowitz and Stegun 26.2.17; the error is below 1e-7).
fn tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_sees_a_difference_and_none_where_there_is_none() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-3;
        assert!(near(tail(0.0), 0.5) && near(tail(1.96), 0.025) && near(tail(2.5758), 0.005));
        // U = 2 of 5 × 5: (2 - 12.5) / sqrt(25 × 11 / 12).
        let (z, _) = mann_whitney(&[1.0, 2.0, 3.0, 4.0, 7.0], &[5.0, 6.0, 8.0, 9.0, 10.0]);
        assert!(near(z, -2.1934), "{z}");
        let sample = |shift: f64| -> Vec<f64> { (0..200).map(|n| f64::from(n * 37 % 200) + shift).collect() };
        assert!(mann_whitney(&sample(0.0), &sample(0.5)).1 > 0.9);
        assert!(mann_whitney(&sample(0.0), &sample(30.0)).1 < 1e-4);
        assert!(near(median(&[3.0, 1.0, 2.0]), 2.0) && near(median(&[4.0, 1.0, 2.0, 3.0]), 2.5));
    }
}
