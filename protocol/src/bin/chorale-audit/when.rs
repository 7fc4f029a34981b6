//! Times for people.

use serde_json::{Value, json};

use chorale_protocol::audit::Interval;

/// Seconds since 1970 as a date of the proleptic Gregorian calendar in UTC, as RFC 3339 writes it; beyond the year 9999 the
/// number alone.
pub(crate) fn date(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March have their leap day last; 719468 days lie between 0000-03-01 and 1970.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year) } else { (month - 9, year + 1) };
    let year = year + 400 * era;
    if year > 9999 {
        return format!("{seconds} s");
    }
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time / 3600, time / 60 % 60, time % 60)
}

/// An interval in words.
pub(crate) fn interval(interval: &Interval) -> String {
    match (interval.not_before, interval.not_after) {
        (None, None) => "not bounded by any cosigner".to_owned(),
        (Some(start), None) => format!("not before {}", date(start)),
        (None, Some(end)) => format!("not after {}", date(end)),
        (Some(start), Some(end)) => format!("from {} to {}", date(start), date(end)),
    }
}

/// An interval as JSON, in seconds since 1970.
pub(crate) fn value(interval: &Interval) -> Value {
    json!({ "not_before_s": interval.not_before, "not_after_s": interval.not_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_040, "2023-11-14T22:14:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "253402300800 s"),
        ] {
            assert_eq!(date(seconds), wanted);
        }
        assert!(date(u64::MAX).ends_with(" s"));
    }
}
