//! Lengths of time as flags have them: `30d`, `12h`, `15m`, `3600s`, or plain seconds.

use std::time::Duration;

/// Longer ones are a mistake: ten years.
const LONGEST: Duration = Duration::from_hours(24 * 3_650);

/// Reads a length of time, to be used as a flag's parser.
///
/// # Errors
/// When it is neither a number of seconds nor one with a unit, is zero, or is longer than ten years.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let unit_s = match &text[digits.len()..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| digits.parse::<u64>().ok()).flatten();
    number
        .zip(unit_s)
        .and_then(|(number, unit_s)| number.checked_mul(unit_s))
        .map(Duration::from_secs)
        .filter(|period| !period.is_zero() && *period <= LONGEST)
        .ok_or_else(|| "not a time such as 30d, 12h, 15m or 3600s, from a second to ten years".to_owned())
}

/// The same, of something that `0` turns off.
///
/// # Errors
/// As [`parse`], but for `0`.
pub fn parse_or_off(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { parse(text).map_err(|error| format!("{error}, and not 0")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        let times = [
            ("30d", 2_592_000),
            ("12h", 43_200),
            ("15m", 900),
            ("3600s", 3_600),
            ("3600", 3_600),
            ("3650d", 315_360_000),
        ];
        for (text, seconds) in times {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "d", "0", "0d", "-1d", "+1d", "1.5h", "30 d", "30D", "30dd", "3651d", "99999999999999999999", "٣d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
