//! The clock on the wall: times as numbers, and as people and programs read them.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;
/// From 0000-03-01, the first day of the calendar below, to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;
const DAYS_PER_ERA: u64 = 146_097;

/// Seconds from 1970 to a time; none to one before.
pub fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Milliseconds from 1970 to a time; none to one before.
pub fn milliseconds(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds from 1970 to now.
pub fn now() -> u64 {
    milliseconds(SystemTime::now())
}

/// Milliseconds since 1970 as a date and a time, in UTC (RFC 3339).
pub fn rfc3339(milliseconds: u64) -> String {
    format!("{}.{:03}Z", to_the_second(milliseconds / 1000), milliseconds % 1000)
}

/// The same of seconds since 1970.
#[cfg(feature = "cli")]
pub fn rfc3339_of_seconds(seconds: u64) -> String {
    to_the_second(seconds) + "Z"
}

fn to_the_second(seconds: u64) -> String {
    let (year, month, day) = date(seconds / SECONDS_PER_DAY);
    let of_day = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The Gregorian date of a day, in years that begin with March, so that the leap day is the last.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + DAYS_BEFORE_1970;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let leap_days = day_of_era / 1460 + day_of_era / (DAYS_PER_ERA - 1);
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 153 days in every five.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_000, "2000-02-28T23:59:59.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59.000Z"),
            (1_795_500_000_123, "2026-11-24T06:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(millis), text);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = date(0);
        for day in 1..200_000 {
            let (year, month, day) = date(day);
            let follows = match before {
                (y, m, d) if (year, month) == (y, m) => day == d + 1,
                (y, 12, 31) => (year, month, day) == (y + 1, 1, 1),
                (y, m, d) => (year, month, day) == (y, m + 1, 1) && (28..=31).contains(&d),
            };
            assert!(follows, "{before:?} {:?}", (year, month, day));
            before = (year, month, day);
        }
    }

    #[test]
    fn a_time_before_1970_is_its_beginning() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!((seconds(before), milliseconds(before)), (0, 0));
        assert_eq!(milliseconds(UNIX_EPOCH + Duration::from_millis(1500)), 1500);
    }
}
