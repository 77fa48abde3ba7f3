//! Every form of time that tracking logs hold, to microseconds since 1970-01-01T00:00:00 UTC.
//!
//! The platform writes `2015-10-01T03:02:38.407715+00:00`, and no fraction where it is exactly
//! zero; until 2013 it wrote no offset, which means UTC. Mobile apps and relays write `Z`,
//! milliseconds, `+0000`; other tools another offset, a space for `T`, nanoseconds, or
//! milliseconds since 1970; lakes (BigQuery, Trino, PostgreSQL) ` UTC` and `+00`, shippers numbers,
//! also as text. Source: EdX Research Guide, "Events in the Tracking Logs".

#[cfg(test)]
mod tests;

/// A moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Microseconds since 1970-01-01T00:00:00 UTC, within the years 1 to 9999.
    pub micros: i64,
    /// False for forms that only other tools write: a space for `T`, `UTC`, `+00`, a number.
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
/// is `Z`, `UTC`, `+HH:MM`, `+HHMM` or `+HH` with either sign, and UTC if absent; one space may
/// stand before it. Surrounding ASCII white space is trimmed. `None` for a day without a time, for a field out of range (`2015-02-29`, second
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
    let mut usual = moment[10] == b'T';
    // Nearly every time ends in one of these.
    let (micros, offset_seconds) = match rest {
        b"" | b"+00:00" => (0, 0),
        [b'.', a, b, c, d, e, f, b'+', b'0', b'0', b':', b'0', b'0'] => {
            (number(&[*a, *b, *c, *d, *e, *f])?, 0)
        }
        _ => {
            let (micros, offset) = fraction(rest)?;
            let (seconds, is_usual) = offset_seconds(offset)?;
            usual &= is_usual;
            (micros, seconds)
        }
    };
    let micros = (seconds - offset_seconds) * MICROS_A_SECOND + i64::from(micros);
    in_range(micros).map(|micros| Time { micros, usual })
}

/// A moment written as a number: the text of a JSON number, whole or with fraction or exponent.
///
/// Microseconds since 1970 if the magnitude is 1e15 or more (from September 2001 on), milliseconds if
/// it is 1e11 or more (from March 1973 on), else seconds (up to the year 5138). A whole number is
/// exact; any other is rounded to the nearest microsecond. `None` if the text is no finite number,
/// or outside the years 1 to 9999.
pub fn parse_number(text: &str) -> Option<Time> {
    const MILLISECONDS_FROM: f64 = 1e11;
    const MICROSECONDS_FROM: f64 = 1e15;

    let text = text.trim_ascii();
    let magnitude = text.parse::<f64>().ok()?.abs();
    let unit = match magnitude {
        MICROSECONDS_FROM.. => 1,
        MILLISECONDS_FROM.. => 1_000,
        _ => MICROS_A_SECOND,
    };
    from_number(text, unit)
}

/// A moment written as digits in a text: seconds since 1970 where there are ten of them, milliseconds
/// where there are 13, microseconds where there are 16 (all from September 2001 on), with a fraction
/// if it is there. Digits of another number are more likely a date than a moment: `None`.
pub fn parse_digits(text: &str) -> Option<Time> {
    let text = text.trim_ascii();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits = match whole.len() {
        10 => 6,
        13 => 3,
        16 => 0,
        _ => return None,
    };
    let fraction = fraction.bytes().chain(std::iter::repeat(b'0')).take(digits);
    let micros = whole.bytes().chain(fraction).fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
    in_range(micros).map(|micros| Time { micros, usual: false })
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
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
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

/// Seconds east of UTC, and whether they are written as the platform or a mobile app does.
fn offset_seconds(text: &[u8]) -> Option<(i64, bool)> {
    let (is_close, text) = match text {
        [b' ', offset @ ..] if !offset.is_empty() => (false, offset),
        _ => (true, text),
    };
    let (sign, digits, is_whole) = match *text {
        [] | [b'Z'] => return Some((0, is_close)),
        [b'U', b'T', b'C'] => return Some((0, false)),
        [sign @ (b'+' | b'-'), h, i, b':', m, n] => (sign, [h, i, m, n], true),
        [sign @ (b'+' | b'-'), h, i, m, n] => (sign, [h, i, m, n], true),
        [sign @ (b'+' | b'-'), h, i] => (sign, [h, i, b'0', b'0'], false),
        _ => return None,
    };
    let (hours, minutes) = (number(&digits[..2])?, number(&digits[2..])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    Some((if sign == b'-' { -seconds } else { seconds }, is_close && is_whole))
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
