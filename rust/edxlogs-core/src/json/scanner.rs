//! JSON text, walked once: values are checked and skipped, or handed out as spans.
//!
//! The scanner is iterative and bounded in depth, so no line can exhaust the stack. It accepts the
//! grammar of RFC 8259 and, with a flag raised, what Python's `json` writes or what is seen in real
//! logs beside it: `NaN` and the infinities, raw control characters in strings, lone surrogates.
//! Whoever needs strict JSON rewrites a flagged text with [`push_strict`](crate::json::text::push_strict).

use self::scalars::scalar_end;
use crate::json::lanes::{self, LANES};

mod scalars;
mod skip;
#[cfg(test)]
mod tests;

/// Deepest nesting that is read; a deeper line is rejected.
pub const MAX_DEPTH: usize = 500;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The text ends inside a value.
    End,
    /// A byte that the grammar does not allow here.
    Syntax,
    /// More than [`MAX_DEPTH`] levels.
    TooDeep,
}

/// What kind of value a span holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// There is no value.
    #[default]
    Absent,
    /// A string; the span excludes the quotes.
    String,
    /// An object, braces included.
    Object,
    /// An array, brackets included.
    Array,
    /// A number.
    Number,
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`, `NaN`, `Infinity` or `-Infinity`.
    Null,
}

/// Where a value stands in its text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
    /// Whether a string holds a backslash.
    pub escaped: bool,
}

impl Span {
    /// Whether there is a value.
    pub fn is_present(&self) -> bool {
        self.kind != Kind::Absent
    }
}

/// What a text held beside strict JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// `NaN`, `Infinity` or `-Infinity`.
    pub nan: bool,
    /// A raw control character inside a string.
    pub control: bool,
    /// A `\uD800`–`\uDFFF` escape without its partner.
    pub surrogate: bool,
    /// A number of more than 18 digits, or with an exponent of three digits or more.
    pub big_number: bool,
}

impl Oddities {
    /// Whether the text is not strict JSON.
    pub fn needs_rewriting(&self) -> bool {
        self.nan || self.control || self.surrogate
    }
}

/// A position in a JSON text, and what was met so far.
pub struct Scanner<'a> {
    text: &'a [u8],
    pub(crate) at: usize,
    depth: usize,
    /// What was met so far.
    pub odd: Oddities,
}

impl<'a> Scanner<'a> {
    /// A scanner at byte `at` of `text`.
    pub fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at, depth: 0, odd: Oddities::default() }
    }

    /// The text that it walks.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The byte offset of the next unread byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Skips JSON white space.
    pub fn space(&mut self) {
        self.at = space_end(self.text, self.at);
    }

    /// Whether nothing but white space is left.
    pub fn at_end(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    /// The next byte, not consumed.
    ///
    /// # Errors
    /// [`Fault::End`] at the end of the text.
    pub fn byte(&self) -> Result<u8, Fault> {
        self.text.get(self.at).copied().ok_or(Fault::End)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.byte()? != byte {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    /// Checks and skips one value, which starts at the next byte.
    ///
    /// # Errors
    /// The [`Fault`] that ends the value.
    pub fn value(&mut self) -> Result<Span, Fault> {
        let start = self.at;
        let kind = match self.byte()? {
            b'"' => return self.string(),
            b'{' => {
                self.at = container_end(self.text, start, self.depth, &mut self.odd)?;
                Kind::Object
            }
            b'[' => {
                self.at = container_end(self.text, start, self.depth, &mut self.odd)?;
                Kind::Array
            }
            _ => {
                let (end, kind) = scalar_end(self.text, start, &mut self.odd)?;
                self.at = end;
                kind
            }
        };
        Ok(Span { start, end: self.at, kind, escaped: false })
    }

    /// Skips one value that was checked before, which starts at the next byte.
    ///
    /// # Errors
    /// A [`Fault`], where it was not.
    pub fn skip(&mut self) -> Result<Span, Fault> {
        let start = self.at;
        let kind = match self.byte()? {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            _ => return self.value(),
        };
        self.at = skip::container_end(self.text, start)?;
        Ok(Span { start, end: self.at, kind, escaped: false })
    }

    /// Walks an object that starts at the next byte. `member` is called with the span of each key,
    /// at the first byte of its value, which it must consume.
    ///
    /// # Errors
    /// The [`Fault`] that ends the object, or that `member` returns.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Span) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.elements(b'{', b'}', |scanner, _| {
            let key = scanner.key()?;
            member(scanner, key)
        })
    }

    /// Walks an array that starts at the next byte. `item` is called with the number of each, from
    /// 0, at its first byte, and must consume it.
    ///
    /// # Errors
    /// The [`Fault`] that ends the array, or that `item` returns.
    pub fn array(
        &mut self,
        item: impl FnMut(&mut Self, usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.elements(b'[', b']', item)
    }

    #[inline(always)]
    fn elements(
        &mut self,
        opening: u8,
        closing: u8,
        mut element: impl FnMut(&mut Self, usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.expect(opening)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.space();
        if self.byte()? == closing {
            self.at += 1;
        } else {
            for number in 0.. {
                element(self, number)?;
                self.space();
                match self.byte()? {
                    b',' => self.at += 1,
                    byte if byte == closing => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(Fault::Syntax),
                }
                self.space();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// A key, its colon, and the white space around them.
    fn key(&mut self) -> Result<Span, Fault> {
        if self.byte()? != b'"' {
            return Err(Fault::Syntax);
        }
        let key = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(key)
    }

    /// A string that starts at the next byte, which is its quote.
    #[inline(always)]
    fn string(&mut self) -> Result<Span, Fault> {
        let start = self.at + 1;
        let (end, escaped) = string_end(self.text, start, &mut self.odd)?;
        self.at = end;
        Ok(Span { start, end: end - 1, kind: Kind::String, escaped })
    }
}

// What follows walks a text by its position alone, which stays in a register.

fn byte(text: &[u8], at: usize) -> Result<u8, Fault> {
    text.get(at).copied().ok_or(Fault::End)
}

#[inline(always)]
fn space_end(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Skips the object or array at `at` with everything inside, without recursion: one bit a level
/// tells an object from an array.
fn container_end(
    text: &[u8],
    mut at: usize,
    depth: usize,
    odd: &mut Oddities,
) -> Result<usize, Fault> {
    let mut nest = Nest { bits: [0; MAX_DEPTH.div_ceil(64)], levels: 0, base: depth };
    loop {
        match byte(text, at)? {
            b'"' => at = string_end(text, at + 1, odd)?.0,
            b'{' => {
                nest.push(true)?;
                at = space_end(text, at + 1);
                if byte(text, at)? != b'}' {
                    at = key_end(text, at, odd)?;
                    continue;
                }
                at += 1;
                nest.levels -= 1;
            }
            b'[' => {
                nest.push(false)?;
                at = space_end(text, at + 1);
                if byte(text, at)? != b']' {
                    continue;
                }
                at += 1;
                nest.levels -= 1;
            }
            _ => at = scalar_end(text, at, odd)?.0,
        }
        // A value has ended: close what ends here, or go to the next one.
        loop {
            if nest.levels == 0 {
                return Ok(at);
            }
            at = space_end(text, at);
            match (byte(text, at)?, nest.in_object()) {
                (b',', true) => {
                    at = key_end(text, space_end(text, at + 1), odd)?;
                    break;
                }
                (b',', false) => {
                    at = space_end(text, at + 1);
                    break;
                }
                (b'}', true) | (b']', false) => {
                    at += 1;
                    nest.levels -= 1;
                }
                _ => return Err(Fault::Syntax),
            }
        }
    }
}

/// Skips a key, its colon, and the white space around them.
#[inline]
fn key_end(text: &[u8], at: usize, odd: &mut Oddities) -> Result<usize, Fault> {
    if byte(text, at)? != b'"' {
        return Err(Fault::Syntax);
    }
    let at = space_end(text, string_end(text, at + 1, odd)?.0);
    if byte(text, at)? != b':' {
        return Err(Fault::Syntax);
    }
    Ok(space_end(text, at + 1))
}

/// Where the string ends whose inside begins at `at`, its quote included, and whether it holds a
/// backslash.
#[inline(always)]
fn string_end(text: &[u8], at: usize, odd: &mut Oddities) -> Result<(usize, bool), Fault> {
    let end = plain_end(text, at);
    if text.get(end) == Some(&b'"') {
        return Ok((end + 1, false));
    }
    odd_string_end(text, end, odd)
}

/// The same, from the first byte on that is not plain.
fn odd_string_end(text: &[u8], mut at: usize, odd: &mut Oddities) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        match byte(text, at)? {
            b'"' => return Ok((at + 1, escaped)),
            b'\\' => {
                escaped = true;
                at = escape_end(text, at + 1, odd)?;
            }
            _ => {
                odd.control = true;
                at += 1;
            }
        }
        at = plain_end(text, at);
    }
}

/// Skips what follows a backslash.
#[inline]
fn escape_end(text: &[u8], at: usize, odd: &mut Oddities) -> Result<usize, Fault> {
    match byte(text, at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 1),
        b'u' => {
            let unit = hex4(text, at + 1)?;
            let end = at + 5;
            if (0xD800..0xDC00).contains(&unit) && text[end..].starts_with(b"\\u") {
                if (0xDC00..0xE000).contains(&hex4(text, end + 2)?) {
                    return Ok(end + 6);
                }
                odd.surrogate = true;
            } else {
                odd.surrogate |= (0xD800..0xE000).contains(&unit);
            }
            Ok(end)
        }
        _ => Err(Fault::Syntax),
    }
}

fn hex4(text: &[u8], at: usize) -> Result<u32, Fault> {
    (at..at + 4).try_fold(0, |unit, at| {
        let digit = char::from(byte(text, at)?).to_digit(16).ok_or(Fault::Syntax)?;
        Ok(unit * 16 + digit)
    })
}

/// Open containers of [`container_end`]: one bit a level, set for objects.
struct Nest {
    bits: [u64; MAX_DEPTH.div_ceil(64)],
    levels: usize,
    base: usize,
}

impl Nest {
    fn push(&mut self, object: bool) -> Result<(), Fault> {
        if self.base + self.levels >= MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        let (word, bit) = (self.levels / 64, self.levels % 64);
        self.bits[word] = self.bits[word] & !(1 << bit) | u64::from(object) << bit;
        self.levels += 1;
        Ok(())
    }

    fn in_object(&self) -> bool {
        let top = self.levels - 1;
        self.bits[top / 64] >> (top % 64) & 1 == 1
    }
}

/// Where, from `at` on, the first quote, backslash or control character is, or the text ends.
#[inline(always)]
pub(crate) fn plain_end(text: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(bytes) = text[at..].first_chunk() {
        let stops = stops(bytes);
        if stops != 0 {
            return at + stops.trailing_zeros() as usize;
        }
        at += LANES;
    }
    plain_end_of_last(text, at)
}

/// The same, where less than [`LANES`] is left.
fn plain_end_of_last(text: &[u8], at: usize) -> usize {
    let Some(bytes) = text.last_chunk() else {
        let is_stop = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < 0x20;
        return text[at..].iter().position(is_stop).map_or(text.len(), |found| at + found);
    };
    let seen = LANES - (text.len() - at);
    let stops = stops(bytes) >> seen;
    if stops == 0 { text.len() } else { at + stops.trailing_zeros() as usize }
}

/// The quotes, backslashes and control characters.
#[inline(always)]
fn stops(bytes: &[u8; LANES]) -> u32 {
    let stops = lanes::equal(bytes, b'"') | lanes::equal(bytes, b'\\') | lanes::control(bytes);
    u32::from(stops)
}
