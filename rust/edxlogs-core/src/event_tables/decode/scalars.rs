//! Single values, each as a type of column.

use std::borrow::Cow;

use super::json::push_compact;
use super::members::members;
use super::{At, Flag, Flags};
use crate::json::path::{Segment, Step};
use crate::json::scanner::{Kind, Scanner};
use crate::json::text::decode;
use crate::time;

#[cfg(test)]
mod tests;

/// Names of keys, at most.
const MOST_KEYS: usize = 32;

/// Text bare, anything else as compact JSON text.
pub fn text(at: At<'_>) -> Option<Cow<'_, str>> {
    if at.span.kind == Kind::String { only_text(at) } else { json(at) }
}

/// Text, and nothing else.
pub fn only_text(at: At<'_>) -> Option<Cow<'_, str>> {
    (at.span.kind == Kind::String).then(|| decode(at.text, at.span))
}

/// Any value but null as compact JSON text.
pub fn json(at: At<'_>) -> Option<Cow<'_, str>> {
    match at.span.kind {
        Kind::Absent | Kind::Null => None,
        Kind::True | Kind::False | Kind::Number => Some(Cow::Borrowed(at.raw())),
        Kind::String | Kind::Object | Kind::Array => {
            let mut json = String::with_capacity(at.span.end - at.span.start + 2);
            push_compact(at, &mut json);
            Some(Cow::Owned(json))
        }
    }
}

/// Text; of a list its texts, or `text` of its objects, a line each.
pub fn lines(at: At<'_>) -> Option<Cow<'_, str>> {
    if at.span.kind != Kind::Array {
        return only_text(at);
    }
    let mut lines: Option<String> = None;
    for_each(at, |item| {
        let own = only_text(item).filter(|text| !text.is_empty());
        let Some(line) = own.or_else(|| only_text(item.find([Step::Key("text")]))) else {
            return;
        };
        match &mut lines {
            Some(lines) => {
                lines.push('\n');
                lines.push_str(&line);
            }
            None => lines = Some(line.into_owned()),
        }
    });
    lines.filter(|lines| !lines.is_empty()).map(Cow::Owned)
}

/// A finite number, or text that is wholly one; flagged where it is outside the bounds.
pub fn float(at: At<'_>, min: f64, max: f64, flags: &mut Flags) -> Option<f64> {
    let (written, is_whole) = number(at)?;
    let value: f64 = written.parse().ok()?;
    // Whole numbers are exact, however large; others of that size are infinite, and none.
    if value.is_infinite() && !is_whole {
        return None;
    }
    if value.is_infinite() || value < min || value > max {
        flags.insert(Flag::OutOfRange);
        return None;
    }
    // There is no whole number -0.
    Some(if is_whole { value + 0.0 } else { value })
}

/// The same of whole numbers; a fraction is out of range, too.
pub fn integer(at: At<'_>, min: i64, max: i64, flags: &mut Flags) -> Option<i64> {
    let (written, is_whole) = number(at)?;
    let value = if is_whole {
        written.parse().ok()
    } else {
        let value: f64 = written.parse().ok()?;
        if value.is_infinite() {
            return None;
        }
        // Each number below the bound has a place in 64 bits, and the bound has none.
        let bound = -(i64::MIN as f64);
        (value.fract() == 0.0 && value >= -bound && value < bound).then_some(value as i64)
    };
    let value = value.filter(|value| (min..=max).contains(value));
    if value.is_none() {
        flags.insert(Flag::OutOfRange);
    }
    value
}

/// The number that a value is, as it is written, and whether it has neither fraction nor exponent.
fn number(at: At<'_>) -> Option<(Cow<'_, str>, bool)> {
    let written = match at.span.kind {
        Kind::Number => Cow::Borrowed(at.raw()),
        Kind::String => decode(at.text, at.span),
        _ => return None,
    };
    let is_whole = number_form(written.as_bytes())?;
    Some((written, is_whole))
}

/// Whether a decimal number is written as a whole one; `None` if a text is not wholly a number.
fn number_form(text: &[u8]) -> Option<bool> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = |text: &[u8]| usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let rest = &text[unsigned(text)..];
    let whole = digits(rest);
    let mut rest = &rest[whole..];
    if rest.is_empty() && whole > 0 {
        return Some(true);
    }
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        fraction = digits(after);
        rest = &after[fraction..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = &exponent[unsigned(exponent)..];
        let count = digits(exponent);
        rest = if count > 0 { &exponent[count..] } else { rest };
    }
    (rest.is_empty() && whole + fraction > 0).then_some(false)
}

/// A truth value, as text too; the numbers 1 and 0.
pub fn boolean(at: At<'_>) -> Option<bool> {
    match at.span.kind {
        Kind::True => Some(true),
        Kind::False => Some(false),
        Kind::Number => match at.raw().parse::<f64>() {
            Ok(0.0) => Some(false),
            Ok(1.0) => Some(true),
            _ => None,
        },
        Kind::String => match &*decode(at.text, at.span) {
            "true" | "True" => Some(true),
            "false" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A time in microseconds since 1970, UTC, from RFC 3339 or as Python shows it, in quotes or not;
/// flagged where it has no zone.
pub fn instant(at: At<'_>, flags: &mut Flags) -> Option<i64> {
    const MOMENT_BYTES: usize = "2014-10-05T12:00:01".len();

    let written = only_text(at)?;
    let written = written.trim().trim_matches(['"', '\'']).trim();
    let time = time::parse(written)?;
    let zone = &written[MOMENT_BYTES..];
    if !zone.ends_with(['Z', 'C']) && !zone.contains(['+', '-']) {
        flags.insert(Flag::NaiveTime);
    }
    Some(time.micros)
}

/// How many items a list has.
pub fn length(at: At<'_>) -> Option<i64> {
    let mut count = 0;
    (at.span.kind == Kind::Array).then(|| {
        for_each(at, |_| count += 1);
        count
    })
}

/// How many characters a text has.
pub fn chars(at: At<'_>) -> Option<i64> {
    only_text(at).map(|text| text.chars().count() as i64)
}

/// Whether a key of an object has a value that is not null; nothing where there is no object.
pub fn is_set(object: At<'_>, value: At<'_>) -> Option<bool> {
    (object.span.kind == Kind::Object).then(|| value.is_some())
}

/// Whether there is a value, neither null nor false nor an empty list.
pub fn holds(at: At<'_>) -> bool {
    match at.span.kind {
        Kind::Absent | Kind::Null | Kind::False => false,
        Kind::Array => !is_empty(at),
        _ => true,
    }
}

/// Whether an object or list has nothing in it.
fn is_empty(at: At<'_>) -> bool {
    at.raw()[1..].trim_start().len() == 1
}

/// The names of the first 32 keys of an object, with a blank between two; text as it stands. A blank in
/// a name is `_`, and a name that is the JSON text of a body is `{}`.
pub fn keys(at: At<'_>) -> Option<Cow<'_, str>> {
    if at.span.kind == Kind::String {
        return only_text(at);
    }
    let mut words = String::new();
    for (number, &(key, _)) in members(at).iter().take(MOST_KEYS).enumerate() {
        if number > 0 {
            words.push(' ');
        }
        let name = decode(at.text, key);
        if name.starts_with(['{', '[']) {
            words.push_str("{}");
        } else {
            let is_blank = |sign: char| sign.is_whitespace() || ('\x1c'..='\x1f').contains(&sign);
            for (number, piece) in name.split(is_blank).enumerate() {
                if number > 0 {
                    words.push('_');
                }
                words.push_str(piece);
            }
        }
    }
    (!words.is_empty()).then_some(Cow::Owned(words))
}

/// Whether an object, list or text holds anything.
pub fn not_empty(at: At<'_>) -> Option<bool> {
    match at.span.kind {
        Kind::Object | Kind::Array => Some(!is_empty(at)),
        Kind::String => Some(!at.raw().is_empty()),
        _ => None,
    }
}

/// Text, or the first item of a list that is text.
pub fn first_text(at: At<'_>) -> Option<Cow<'_, str>> {
    if at.span.kind != Kind::Array {
        return only_text(at);
    }
    let mut first = None;
    for_each(at, |item| {
        if first.is_none() {
            first = only_text(item);
        }
    });
    first
}

/// How many files a list names; one for a text that is not empty.
pub fn files(at: At<'_>) -> Option<i64> {
    match at.span.kind {
        Kind::String => (!at.raw().is_empty()).then_some(1),
        _ => length(at),
    }
}

/// The sum of a number of each item of a list, from the first of some paths inside it that leads to
/// one; nothing where no item has one.
pub fn sum(at: At<'_>, items: &[Vec<Segment>]) -> Option<f64> {
    let mut sum = None;
    if at.span.kind == Kind::Array {
        for_each(at, |item| {
            let number = items.iter().find_map(|path| {
                let found = item.find(path.iter().map(Segment::step));
                float(found, f64::NEG_INFINITY, f64::INFINITY, &mut Flags::default())
            });
            if let Some(number) = number {
                sum = Some(sum.unwrap_or(0.0) + number);
            }
        });
    }
    sum
}

/// Calls for each item of a list.
pub(super) fn for_each<'a>(list: At<'a>, mut each: impl FnMut(At<'a>)) {
    // It was scanned before: nothing in it can fail.
    let _ = Scanner::new(list.text.as_bytes(), list.span.start).array(|scanner, _| {
        each(At { text: list.text, span: scanner.value()? });
        Ok(())
    });
}
