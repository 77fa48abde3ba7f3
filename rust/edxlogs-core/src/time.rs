//! Every form of time that tracking logs hold, to microseconds since 1970-01-01T00:00:00 UTC.
//!
//! The platform writes `2015-10-01T03:02:38.407715+00:00`, and no fraction where it is exactly
//! zero; until 2013 it wrote no offset, which means UTC. Mobile apps and relays write `Z`,
//! milliseconds, `+0000`; other tools another offset, a space for `T`, nanoseconds, or
//! milliseconds since 1970. Source: EdX Research Guide, "Events in the Tracking Logs".

/// A moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Microseconds since 1970-01-01T00:00:00 UTC, within the years 1 to 9999.
    pub micros: i64,
    /// False for forms that only other tools write: a space for `T`, a number.
    pub usual: bool,
}

const SECONDS_A_DAY: i64 = 86_400;
const MICROS_A_SECOND: i64 = 1_000_000;

/// Days of a common year before a month, by its number, and at last those of the year.
const DAYS_BEFORE_MONTH: [u32; 14] =
    [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

/// 0001-01-01T00:00:00 and the last microsecond of 9999-12-31: what every reader of our output
/// (Python's `datetime` is the strictest) can hold.
const FIRST_MICROS: i64 = -62_135_596_800 * MICROS_A_SECOND;
const LAST_MICROS: i64 = 253_402_300_800 * MICROS_A_SECOND - 1;

/// A moment written as `YYYY-MM-DDTHH:MM:SS`, with fraction and offset if they are there.
///
/// A space may stand for `T`; the fraction has one digit or more, of which six count; the offset
/// is `Z`, `+HH:MM` or `+HHMM` with either sign, and UTC if absent. Surrounding ASCII white space
/// is trimmed. `None` for a day without a time, for a field out of range (`2015-02-29`, second
/// 60), and outside the years 1 to 9999 before or after the offset is applied.
///
/// # Examples
///
/// ```
/// use edxlogs_core::time::parse;
///
/// let time = parse("2015-09-30T23:02:38.407715-04:00").unwrap();
/// assert_eq!(time.micros, 1_443_668_558_407_715);
/// assert_eq!(parse("2015-10-01"), None);
/// ```
pub fn parse(text: &str) -> Option<Time> {
    let (moment, rest) = text.as_bytes().trim_ascii().split_first_chunk::<19>()?;
    let seconds = seconds_of(moment)?;
    let usual = moment[10] == b'T';
    // Nearly every time ends in one of these.
    let (micros, offset_seconds) = match rest {
        b"" | b"+00:00" => (0, 0),
        [b'.', a, b, c, d, e, f, b'+', b'0', b'0', b':', b'0', b'0'] => {
            (number(&[*a, *b, *c, *d, *e, *f])?, 0)
        }
        _ => {
            let (micros, offset) = fraction(rest)?;
            (micros, offset_seconds(offset)?)
        }
    };
    let micros = (seconds - offset_seconds) * MICROS_A_SECOND + i64::from(micros);
    in_range(micros).map(|micros| Time { micros, usual })
}

/// A moment written as a number: the text of a JSON number, whole or with fraction or exponent.
///
/// Milliseconds since 1970 if the magnitude is 1e11 or more (from March 1973 on), else seconds
/// (up to the year 5138). A whole number is exact; any other is rounded to the nearest
/// microsecond. `None` if the text is no finite number, or outside the years 1 to 9999.
pub fn parse_number(text: &str) -> Option<Time> {
    const MILLISECONDS_FROM: f64 = 1e11;

    let text = text.trim_ascii();
    let magnitude = text.parse::<f64>().ok()?.abs();
    from_number(text, if magnitude >= MILLISECONDS_FROM { 1_000 } else { MICROS_A_SECOND })
}

/// A moment in milliseconds since 1970, as MongoDB's extended JSON writes it, whatever its size;
/// else as [`parse_number`].
pub fn parse_millis(text: &str) -> Option<Time> {
    from_number(text.trim_ascii(), 1_000)
}

fn from_number(text: &str, unit_micros: i64) -> Option<Time> {
    let micros = if let Ok(whole) = text.parse::<i64>() {
        whole.checked_mul(unit_micros)?
    } else {
        let micros = (text.parse::<f64>().ok()? * unit_micros as f64).round();
        // Also false for NaN. The cast cannot lose what lies between the bounds.
        if !(micros >= FIRST_MICROS as f64 && micros <= LAST_MICROS as f64) {
            return None;
        }
        micros as i64
    };
    in_range(micros).map(|micros| Time { micros, usual: false })
}

/// A bound of `--since` or `--until`: a day (`2014-01-01`, its midnight in UTC) or a moment as
/// [`parse`] reads it; microseconds since 1970-01-01T00:00:00 UTC.
pub fn parse_bound(text: &str) -> Option<i64> {
    match <&[u8; 10]>::try_from(text.as_bytes().trim_ascii()) {
        Ok(day) => Some(days_of(day)? * SECONDS_A_DAY * MICROS_A_SECOND),
        Err(_) => parse(text).map(|time| time.micros),
    }
}
/// Appends a time as ISO 8601 in UTC, to the microsecond: `2014-10-01T12:00:00.000000Z`.
pub fn push_iso(micros: i64, out: &mut Vec<u8>) {
    let (days, of_day) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let (year, month, day) = civil(days);
    let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    push_date(year, month, day, out);
    for (mark, number) in [(b'T', hour), (b':', minute), (b':', second)] {
        out.push(mark);
        push_digits(number, 2, out);
    }
    out.push(b'.');
    push_digits(micros, 6, out);
    out.push(b'Z');
}

/// Appends a day counted from 1970-01-01 as ISO 8601: `2014-10-01`.
pub fn push_day(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    push_date(year, month, day, out);
}

/// The years of times have four digits.
fn push_date(year: i64, month: i64, day: i64, out: &mut Vec<u8>) {
    push_digits(year, 4, out);
    for number in [month, day] {
        out.push(b'-');
        push_digits(number, 2, out);
    }
}

/// Appends the last digits of a number.
fn push_digits(mut number: i64, digits: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. The year is
/// counted from March, so that the leap day comes last: every month but that has a fixed place.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_year_0 = days + 719_468;
    let (era, day) = (from_year_0.div_euclid(146_097), from_year_0.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next_year, month, day_of_month)
}

fn in_range(micros: i64) -> Option<i64> {
    (FIRST_MICROS..=LAST_MICROS).contains(&micros).then_some(micros)
}

/// Seconds since 1970 of `YYYY-MM-DDTHH:MM:SS`.
fn seconds_of(moment: &[u8; 19]) -> Option<i64> {
    let (day, rest) = moment.split_first_chunk::<10>()?;
    let ([b'T' | b' '], time) = rest.split_first_chunk::<1>()? else {
        return None;
    };
    let [hour, minute, second] = three_numbers(time.first_chunk()?, b':')?;
    // The platform never wrote a leap second, and there is no place for one in microseconds.
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    Some(days_of(day)? * SECONDS_A_DAY + seconds)
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, by the Gregorian calendar, years 1 to 9999.
fn days_of(day: &[u8; 10]) -> Option<i64> {
    let (century, rest) = day.split_first_chunk::<2>()?;
    let [year, month, day] = three_numbers(rest.first_chunk()?, b'-')?;
    let year = number(century)? * 100 + year;
    let days_before = *DAYS_BEFORE_MONTH.get(month as usize)?;
    let days_in_month = DAYS_BEFORE_MONTH.get(month as usize + 1)? - days_before;
    let is_leap_day = month == 2 && day == 29 && is_leap(year);
    if year == 0 || day == 0 || day > days_in_month && !is_leap_day {
        return None;
    }
    // Of the years before, and of this one from March on.
    let year_of_leap_day = year - u32::from(month <= 2);
    let leap_days = year_of_leap_day / 4 - year_of_leap_day / 100 + year_of_leap_day / 400;
    Some(i64::from(365 * year + leap_days + days_before + day) - 719_528)
}

/// The numbers of `NN-NN-NN`, or of the same with another separator; all bytes at once.
#[inline(always)]
fn three_numbers(text: &[u8; 8], separator: u8) -> Option<[u32; 3]> {
    const DIGITS: u64 = 0xffff_00ff_ff00_ffff;
    let everywhere = |byte: u8| u64::from_le_bytes([byte; 8]);
    let word = u64::from_le_bytes(*text);
    let digits = (word ^ everywhere(b'0')) & DIGITS;
    let is_separated = (word ^ everywhere(separator)) & !DIGITS == 0;
    // A digit is below 10, so 6 more do not reach the high half of its byte.
    let and_six = digits.wrapping_add(everywhere(6));
    if !is_separated || (digits | and_six) & everywhere(0xf0) != 0 {
        return None;
    }
    // In the first byte of each pair ten times the first digit and the second one.
    let pairs = digits * 10 + (digits >> 8);
    let pair = |at: u32| u32::from((pairs >> (8 * at)) as u8);
    Some([pair(0), pair(3), pair(6)])
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Microseconds of the fraction at the start of a text, 0 if there is none, and what follows it.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let (digits, rest) = text.split_at(len);
    let mut micros = *b"000000";
    let counted = len.min(micros.len());
    micros[..counted].copy_from_slice(&digits[..counted]);
    Some((number(&micros)?, rest))
}

/// Seconds east of UTC.
fn offset_seconds(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match *text {
        [] | [b'Z'] => return Some(0),
        [sign @ (b'+' | b'-'), h, i, b':', m, n] => (sign, [h, i, m, n]),
        [sign @ (b'+' | b'-'), h, i, m, n] => (sign, [h, i, m, n]),
        _ => return None,
    };
    let (hours, minutes) = (number(&digits[..2])?, number(&digits[2..])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    Some(if sign == b'-' { -seconds } else { seconds })
}

/// The number that a few ASCII digits spell.
fn number(digits: &[u8]) -> Option<u32> {
    let mut value = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOMENT: i64 = 1_443_668_558_407_715;

    fn micros(text: &str) -> Option<i64> {
        parse(text).map(|time| time.micros)
    }

    /// Days since 1970-01-01, counted month by month; the length of a month is not looked up
    /// but spelled out. `None` for a day that is not in the calendar.
    fn naive_days(year: u32, month: u32, day: u32) -> Option<i64> {
        let lengths = |year: u32| {
            let divides = |n: u32| year / n * n == year;
            let leap = divides(400) || divides(4) && !divides(100);
            [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        };
        let before = |end: u32| -> i64 { (1..end).map(|y| lengths(y).iter().sum::<i64>()).sum() };
        let in_year = lengths(year);
        let length = *in_year.get(month.checked_sub(1)? as usize)?;
        if year == 0 || !(1..=length).contains(&i64::from(day)) {
            return None;
        }
        let months: i64 = in_year[..month as usize - 1].iter().sum();
        Some(before(year) - before(1970) + months + i64::from(day) - 1)
    }

    #[test]
    fn forms_in_the_wild() {
        for (text, micros, usual) in [
            ("2015-10-01T03:02:38.407715+00:00", MOMENT, true),
            ("2015-10-01T03:02:38+00:00", MOMENT - 407_715, true),
            ("2015-10-01T03:02:38.407715", MOMENT, true),
            ("2015-10-01T03:02:38", MOMENT - 407_715, true),
            ("2015-10-01T03:02:38.407Z", MOMENT - 715, true),
            ("2015-10-01T03:02:38.4+00:00", MOMENT - 7_715, true),
            ("2015-10-01T03:02:38.407715123+00:00", MOMENT, true),
            ("2015-10-01T03:02:38.407715999999999999999999Z", MOMENT, true),
            ("2015-09-30T23:02:38.407715-04:00", MOMENT, true),
            ("2015-10-01T08:32:38.407715+0530", MOMENT, true),
            ("2015-10-01T03:02:38.407715+0000", MOMENT, true),
            ("2015-10-01 03:02:38.407715", MOMENT, false),
            (" 2015-10-01T03:02:38.407715+00:00\r\n", MOMENT, true),
            ("1970-01-01T00:00:00Z", 0, true),
            ("1969-12-31T23:59:59.999999Z", -1, true),
            ("0001-01-01T00:00:00", FIRST_MICROS, true),
            ("9999-12-31T23:59:59.9999999", LAST_MICROS, true),
        ] {
            assert_eq!(parse(text), Some(Time { micros, usual }), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_moment() {
        for text in [
            "",
            "2015-10-01",
            "2015-10-01T",
            "2015-10-01T03:02",
            "hello-this-is-a-mess",
            "0000-00-00T00:00:00",
            "0000-01-01T00:00:00",
            "2015-13-45T25:61:00+00:00",
            "2015-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2015-10-01T24:00:00Z",
            "2015-10-01T23:60:00Z",
            "2015-06-30T23:59:60Z",
            "2015-10-01T03:02:38.Z",
            "2015-10-01T03:02:38.407715+00:60",
            "2015-10-01T03:02:38.407715+24:00",
            "2015-10-01T03:02:38.40x715+00:00",
            "2015-10-01T03:02:38.407715+00:00x",
            "2015-10-01T03:02:38,407",
            "2015-10-01x03:02:38",
            "2015/10/01T03:02:38",
            "+015-10-01T03:02:38",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2015-10-01T03:02:38\u{e9}",
            "1443668558407",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers() {
        for (text, micros) in [
            ("1443668558407", Some(MOMENT - 715)),
            ("1443668558407.715", Some(MOMENT)),
            ("1.443668558407715e12", Some(MOMENT)),
            ("1443668558.407715", Some(MOMENT)),
            ("1443668558", Some(MOMENT - 407_715)),
            ("0", Some(0)),
            ("-0.5", Some(-500_000)),
            ("100000000000", Some(100_000_000_000_000)),
            ("99999999999", Some(99_999_999_999_000_000)),
            ("-100000000000", Some(-100_000_000_000_000)),
            ("253402300799999", Some(LAST_MICROS - 999)),
            ("253402300800000", None),
            ("-62135596800000", Some(FIRST_MICROS)),
            ("-62135596800001", None),
            ("9223372036854775807", None),
            ("92233720368547758070", None),
            ("1e400", None),
            ("NaN", None),
            ("-Infinity", None),
            ("", None),
            ("now", None),
        ] {
            let expected = micros.map(|micros| Time { micros, usual: false });
            assert_eq!(parse_number(text), expected, "{text}");
        }
    }

    #[test]
    fn bounds() {
        assert_eq!(parse_bound("2015-10-01"), Some(MOMENT - 10_958_407_715));
        assert_eq!(parse_bound(" 2015-10-01 "), parse_bound("2015-10-01T00:00:00Z"));
        assert_eq!(parse_bound("2015-09-30T23:02:38.407715-04:00"), Some(MOMENT));
        for text in ["2015-02-29", "2015-1-01", "20151001", "2015", "today", ""] {
            assert_eq!(parse_bound(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn days_agree_with_a_count(
            year in 0u32..10_000, month in 0u32..15, day in 0u32..34,
        ) {
            let expected = naive_days(year, month, day).map(|days| days * 86_400_000_000);
            prop_assert_eq!(parse_bound(&format!("{year:04}-{month:02}-{day:02}")), expected);
        }

        #[test]
        fn moments_agree_with_a_count(
            day in (2u32..9_999, 1u32..13, 1u32..32),
            (hour, minute, second) in (0u32..26, 0u32..62, 0u32..62),
            fraction in "(\\.[0-9]{1,12})?",
            offset in proptest::option::of((any::<bool>(), 0i64..24, 0i64..60, any::<bool>())),
            separator in "[T ]",
        ) {
            let (year, month, d) = day;
            let mut text = format!(
                "{year:04}-{month:02}-{d:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}"
            );
            let mut east = 0;
            if let Some((west, hours, minutes, colon)) = offset {
                let (sign, colon) = (if west { '-' } else { '+' }, if colon { ":" } else { "" });
                text += &format!("{sign}{hours:02}{colon}{minutes:02}");
                east = (hours * 60 + minutes) * if west { -1 } else { 1 };
            }
            let padded = format!("{:0<6}", fraction.trim_start_matches('.'));
            let micros: i64 = padded[..6].parse().unwrap();
            let expected = naive_days(year, month, d)
                .filter(|_| hour < 24 && minute < 60 && second < 60)
                .map(|days| {
                    let minutes = (days * 24 + i64::from(hour)) * 60 + i64::from(minute) - east;
                    (minutes * 60 + i64::from(second)) * 1_000_000 + micros
                });
            let usual = separator == "T";
            prop_assert_eq!(parse(&text), expected.map(|micros| Time { micros, usual }));
        }

        /// Near misses of the usual form are what a fast path would let through.
        #[test]
        fn one_changed_byte_changes_the_answer(at in 0usize..32, byte in 0u8..128) {
            let mut text = b"2015-10-01T03:02:38.407715+00:00".to_vec();
            prop_assume!(text[at] != byte && !(at == 10 && byte == b' '));
            // A minus before 00:00 says the same.
            prop_assume!(!(at == 26 && byte == b'-'));
            text[at] = byte;
            let text = String::from_utf8(text).unwrap();
            prop_assert_ne!(micros(&text), Some(MOMENT));
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = (parse(&text), parse_number(&text), parse_bound(&text));
        }
    }
}
