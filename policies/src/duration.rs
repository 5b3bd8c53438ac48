//! Short times as documents write them: `90s`, `15m`, `1h`.

use serde::Serializer;
use std::num::NonZeroU64;

const UNITS: [(&str, u64); 3] = [("h", 3600), ("m", 60), ("s", 1)];

/// Longest time: an approval is for now, not for some day.
const MAX_SECS: u64 = 24 * 3600;

/// Seconds.
pub(crate) fn parse(text: &str) -> Result<NonZeroU64, String> {
    let secs = UNITS.iter().find_map(|(unit, secs)| {
        let count = text.strip_suffix(unit)?;
        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| count.parse::<u64>().ok()?.checked_mul(*secs))?
    });
    let secs = secs.filter(|secs| *secs <= MAX_SECS).and_then(NonZeroU64::new);
    secs.ok_or_else(|| "a time is a whole number of `s`, `m` or `h`, as in `15m`, above 0 and up to `24h`".to_owned())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(crate) fn serialize<S: Serializer>(secs: &NonZeroU64, serializer: S) -> Result<S::Ok, S::Error> {
    let (unit, size) = UNITS.into_iter().find(|(_, size)| secs.get().is_multiple_of(*size)).unwrap_or(("s", 1));
    serializer.collect_str(&format_args!("{}{unit}", secs.get() / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_and_bounded() {
        assert_eq!(parse("15m").unwrap().get(), 900);
        assert_eq!(parse("24h").unwrap().get(), 86_400);
        for text in ["", "m", "0s", "-1m", "+1m", "1.5m", "25h", "15", "15M", "99999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
