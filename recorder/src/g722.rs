//! G.722 at 64 kbit/s (ITU-T G.722, 09/2012, mode 1): 16,000 samples a second as 8,000 octets, two bands of ADPCM.
//!
//! An octet means something only after those before it: encoder and decoder keep the same state. What a decoder is given
//! wrongly is forgotten within some hundred milliseconds, since every predictor leaks.
//!
//! Our own, since the crates that have it bring a media framework along; the names of blocks are the recommendation's. The
//! arithmetic follows Steve Underwood's implementation, which is in the public domain.

/// Quantiser decision levels of the lower band (table 14).
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219, 1_339, 1_458, 1_612,
    1_765, 1_980, 2_195, 2_557, 2_919,
];
/// Codes of the lower band, of a difference below and above zero (table 15).
const NEGATIVE: [u8; 31] = [
    0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,
];
const POSITIVE: [u8; 31] = [
    0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32,
];
/// What a code of the lower band stands for, with 4 and with 6 bits (tables 16 and 18).
const QM4: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584, 1_200, 0,
];
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9_360, -8_576, -7_856,
    -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776, -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808,
    21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008,
    3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432, 136, -432, -136,
];
/// The same of the higher band, with 2 bits.
const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
/// How the scale factors follow the codes (tables 17 and 20).
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1_198, 3_042];
const RL42: [usize; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];
const WH: [i32; 4] = [798, -214, 798, -214];
/// Antilogarithm of a scale factor (table 21).
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834, 2_896, 2_960, 3_025,
    3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];
/// Half of the filter that parts the bands and joins them (table 11).
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];

/// The octet that, repeated, is the least sound: below -55 dBFS within 40 ms, whatever was before it. (No octet is exactly
/// nothing, and an encoder that hears nothing sends several.)
pub(crate) const SILENCE: u8 = 0xFC;

/// One band's predictor and scale factor.
#[derive(Debug, Clone, Default)]
struct Band {
    /// The prediction, and its part by the zeros.
    s: i32,
    sz: i32,
    /// The last two reconstructed signals and partial ones.
    r: [i32; 2],
    p: [i32; 2],
    /// Coefficients of the poles, and of the zeros with the differences they weigh.
    a: [i32; 2],
    b: [i32; 6],
    d: [i32; 6],
    /// Logarithm of the scale factor, and the factor.
    nb: i32,
    det: i32,
}

fn saturate(value: i32) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

impl Band {
    /// At reset; the scale factor is the smallest one.
    fn new(det: i32) -> Self {
        Self { det, ..Self::default() }
    }

    /// LOGSCL, SCALEL or LOGSCH, SCALEH: `shift` and `most` are the band's.
    fn scale(&mut self, step: i32, most: i32, shift: i32) {
        self.nb = (((self.nb * 127) >> 7) + step).clamp(0, most);
        let root = ILB[(self.nb >> 6 & 31) as usize];
        let down = shift - (self.nb >> 11);
        let factor = if down < 0 { root << -down } else { root >> down };
        self.det = factor << 2;
    }

    /// Block 4: takes the quantised difference, and predicts the next signal.
    fn adapt(&mut self, d: i32) {
        // RECONS, PARREC
        let (r, p) = (saturate(self.s + d), saturate(self.sz + d));
        let negative = |value: i32| value < 0;
        let ([p1, p2], [a1, a2]) = (self.p, self.a);
        let (like1, like2) = (negative(p) == negative(p1), negative(p) == negative(p2));
        // UPPOL2
        let lean = saturate(a1 << 2);
        let lean = (if like1 { -lean } else { lean }).min(32_767);
        let next2 = (lean >> 7) + if like2 { 128 } else { -128 } + ((a2 * 32_512) >> 15);
        let next2 = next2.clamp(-12_288, 12_288);
        // UPPOL1
        let most = saturate(15_360 - next2);
        let next1 = saturate((if like1 { 192 } else { -192 }) + ((a1 * 32_640) >> 15)).clamp(-most, most);
        // UPZERO
        let step = if d == 0 { 0 } else { 128 };
        for (b, before) in self.b.iter_mut().zip(self.d) {
            let step = if negative(before) == negative(d) { step } else { -step };
            *b = saturate(step + ((*b * 32_640) >> 15));
        }
        // DELAYA
        self.d.copy_within(..5, 1);
        self.d[0] = d;
        self.r = [r, self.r[0]];
        self.p = [p, p1];
        self.a = [next1, next2];
        // FILTEP, FILTEZ, PREDIC
        let pole = |coefficient: i32, signal: i32| (coefficient * saturate(signal * 2)) >> 15;
        let poles = saturate(pole(next1, self.r[0]) + pole(next2, self.r[1]));
        let zeros: i32 = self.b.iter().zip(self.d).map(|(&b, d)| pole(b, d)).sum();
        self.sz = saturate(zeros);
        self.s = saturate(poles + self.sz);
    }
}

fn low() -> Band {
    Band::new(32)
}

fn high() -> Band {
    Band::new(8)
}

/// Both sums of the filter over the last 24 values.
fn qmf(x: &[i32; 24]) -> (i32, i32) {
    let pairs = x.as_chunks::<2>().0;
    let (mut even, mut odd) = (0, 0);
    for (tap, &[first, second]) in pairs.iter().enumerate() {
        odd += first * QMF[tap];
        even += second * QMF[11 - tap];
    }
    (even, odd)
}

fn shift(x: &mut [i32; 24], last: [i32; 2]) {
    x.copy_within(2.., 0);
    x[22..].copy_from_slice(&last);
}

/// From 16 kHz PCM16 to octets.
#[derive(Debug, Clone)]
pub struct Encoder {
    x: [i32; 24],
    low: Band,
    high: Band,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            x: [0; 24],
            low: low(),
            high: high(),
        }
    }
}

impl Encoder {
    /// Two samples as an octet.
    pub fn encode(&mut self, samples: [i16; 2]) -> u8 {
        shift(&mut self.x, samples.map(i32::from));
        let (even, odd) = qmf(&self.x);
        let (xlow, xhigh) = ((even + odd) >> 14, (even - odd) >> 14);

        let band = &mut self.low;
        let el = saturate(xlow - band.s);
        let size = if el >= 0 { el } else { -(el + 1) };
        let level = Q6[1..].iter().position(|level| size < (level * band.det) >> 12);
        let level = level.map_or(30, |at| at + 1);
        let ilow = if el < 0 { NEGATIVE[level] } else { POSITIVE[level] };
        let ril = usize::from(ilow >> 2);
        let dlow = (band.det * QM4[ril]) >> 15;
        band.scale(WL[RL42[ril]], 18_432, 8);
        band.adapt(dlow);

        let band = &mut self.high;
        let eh = saturate(xhigh - band.s);
        let size = if eh >= 0 { eh } else { -(eh + 1) };
        let far = size >= (564 * band.det) >> 12;
        let ihigh: u8 = match (eh < 0, far) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        let dhigh = (band.det * QM2[usize::from(ihigh)]) >> 15;
        band.scale(WH[usize::from(ihigh)], 22_528, 10);
        band.adapt(dhigh);
        ihigh << 6 | ilow
    }

    /// Samples as octets; of an odd number the last one is followed by silence.
    #[must_use]
    pub fn encode_all(mut self, samples: &[i16]) -> Vec<u8> {
        samples
            .chunks(2)
            .map(|pair| self.encode([pair[0], pair.get(1).copied().unwrap_or(0)]))
            .collect()
    }
}

/// From octets to 16 kHz PCM16.
#[derive(Debug, Clone)]
pub struct Decoder {
    x: [i32; 24],
    low: Band,
    high: Band,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            x: [0; 24],
            low: low(),
            high: high(),
        }
    }
}

impl Decoder {
    /// An octet as two samples.
    pub fn decode(&mut self, octet: u8) -> [i16; 2] {
        let (ilow, ihigh) = (usize::from(octet & 63), usize::from(octet >> 6));
        let band = &mut self.low;
        let rlow = (band.s + ((band.det * QM6[ilow]) >> 15)).clamp(-16_384, 16_383);
        let ril = ilow >> 2;
        let dlow = (band.det * QM4[ril]) >> 15;
        band.scale(WL[RL42[ril]], 18_432, 8);
        band.adapt(dlow);

        let band = &mut self.high;
        let dhigh = (band.det * QM2[ihigh]) >> 15;
        let rhigh = (dhigh + band.s).clamp(-16_384, 16_383);
        band.scale(WH[ihigh], 22_528, 10);
        band.adapt(dhigh);

        shift(&mut self.x, [rlow + rhigh, rlow - rhigh]);
        let (even, odd) = qmf(&self.x);
        [even, odd].map(|sum| saturate(sum >> 11) as i16)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tone(frequency: f64, amplitude: f64, samples: usize) -> Vec<i16> {
        let turn = std::f64::consts::TAU * frequency / 16_000.0;
        (0..samples).map(|n| (amplitude * (n as f64 * turn).sin()) as i16).collect()
    }

    fn decoded(octets: &[u8]) -> Vec<i16> {
        let mut decoder = Decoder::default();
        octets.iter().flat_map(|&octet| decoder.decode(octet)).collect()
    }

    /// Signal to noise in dB, at the delay of both filters: 22 samples.
    fn quality(said: &[i16], heard: &[i16]) -> f64 {
        let (mut signal, mut noise) = (0.0, 0.0);
        for (said, heard) in said.iter().zip(&heard[22..]).skip(1_000) {
            signal += f64::from(*said).powi(2);
            noise += (f64::from(*said) - f64::from(*heard)).powi(2);
        }
        10.0 * (signal / noise).log10()
    }

    #[test]
    fn what_is_said_is_heard_up_to_seven_kilohertz() {
        for (frequency, least) in [(300.0, 25.0), (1_000.0, 25.0), (3_000.0, 20.0), (5_000.0, 10.0), (6_500.0, 10.0)] {
            let said = tone(frequency, 8_000.0, 16_000);
            let heard = decoded(&Encoder::default().encode_all(&said));
            let found = quality(&said, &heard);
            assert!(found > least, "{frequency} Hz: {found} dB");
        }
    }

    #[test]
    fn silence_is_one_octet_and_soon_silent() {
        for before in [Vec::new(), tone(700.0, 20_000.0, 8_000)] {
            let mut octets = Encoder::default().encode_all(&before);
            octets.extend([SILENCE; 8_000]);
            let heard = decoded(&octets);
            let from = before.len() + 640;
            let worst = heard[from..].iter().map(|sample| sample.abs()).max();
            assert!(worst < Some(58), "{worst:?}: -55 dBFS after 40 ms");
        }
    }

    #[test]
    fn a_decoder_that_comes_late_hears_the_same_soon() {
        let octets = Encoder::default().encode_all(&tone(440.0, 9_000.0, 32_000));
        let (whole, late) = (decoded(&octets), decoded(&octets[4_000..]));
        let worst = whole[16_000..].iter().zip(&late[8_000..]).map(|(a, b)| (a - b).abs()).max();
        assert!(worst.unwrap() <= 8, "{worst:?} after half a second");
    }

    proptest! {
        #[test]
        fn never_overflows(octets in proptest::collection::vec(any::<u8>(), 0..2_000), samples in proptest::collection::vec(any::<i16>(), 0..2_000)) {
            prop_assert_eq!(decoded(&octets).len(), octets.len() * 2);
            prop_assert_eq!(Encoder::default().encode_all(&samples).len(), samples.len().div_ceil(2));
        }
    }
}
