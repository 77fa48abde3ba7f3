//! JSON text, walked once: values are checked and skipped, or handed out as spans.
//!
//! The scanner is iterative and bounded in depth, so no line can exhaust the stack. It accepts the
//! grammar of RFC 8259 and, with a flag raised, what Python's `json` writes or what is seen in real
//! logs beside it: `NaN` and the infinities, raw control characters in strings, lone surrogates.
//! Whoever needs strict JSON rewrites a flagged text with [`push_strict`](crate::text::push_strict).

use crate::lanes::{self, LANES};

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

    /// The byte offset of the next unread byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Skips JSON white space.
    pub fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
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
                self.container()?;
                Kind::Object
            }
            b'[' => {
                self.container()?;
                Kind::Array
            }
            _ => self.scalar()?,
        };
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
        self.expect(b'{')?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.space();
        if self.byte()? == b'}' {
            self.at += 1;
        } else {
            loop {
                let key = self.key()?;
                member(self, key)?;
                self.space();
                match self.byte()? {
                    b',' => self.at += 1,
                    b'}' => {
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

    /// Skips an object or array with everything inside, without recursion: one bit a level tells
    /// an object from an array.
    fn container(&mut self) -> Result<(), Fault> {
        let mut nest = Nest { bits: [0; MAX_DEPTH.div_ceil(64)], levels: 0, base: self.depth };
        loop {
            match self.byte()? {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    self.at += 1;
                    nest.push(true)?;
                    self.space();
                    if self.byte()? != b'}' {
                        self.key()?;
                        continue;
                    }
                    self.at += 1;
                    nest.levels -= 1;
                }
                b'[' => {
                    self.at += 1;
                    nest.push(false)?;
                    self.space();
                    if self.byte()? != b']' {
                        continue;
                    }
                    self.at += 1;
                    nest.levels -= 1;
                }
                _ => {
                    self.scalar()?;
                }
            }
            // A value has ended: close what ends here, or go to the next one.
            loop {
                if nest.levels == 0 {
                    return Ok(());
                }
                self.space();
                match (self.byte()?, nest.in_object()) {
                    (b',', true) => {
                        self.at += 1;
                        self.space();
                        self.key()?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        self.space();
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        nest.levels -= 1;
                    }
                    _ => return Err(Fault::Syntax),
                }
            }
        }
    }

    /// A string that starts at the next byte, which is its quote.
    #[inline(always)]
    fn string(&mut self) -> Result<Span, Fault> {
        let start = self.at + 1;
        self.at = plain_end(self.text, start);
        if self.text.get(self.at) != Some(&b'"') {
            return self.odd_string(start);
        }
        self.at += 1;
        Ok(Span { start, end: self.at - 1, kind: Kind::String, escaped: false })
    }

    /// A string of which all before the next byte is plain.
    fn odd_string(&mut self, start: usize) -> Result<Span, Fault> {
        let mut escaped = false;
        loop {
            match self.byte()? {
                b'"' => {
                    self.at += 1;
                    return Ok(Span { start, end: self.at - 1, kind: Kind::String, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => {
                    self.odd.control = true;
                    self.at += 1;
                }
            }
            self.at = plain_end(self.text, self.at);
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                let unit = self.hex4()?;
                if (0xD800..0xDC00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
                    let before = self.at;
                    self.at += 2;
                    if !(0xDC00..0xE000).contains(&self.hex4()?) {
                        self.odd.surrogate = true;
                        self.at = before;
                    }
                } else {
                    self.odd.surrogate |= (0xD800..0xE000).contains(&unit);
                }
            }
            _ => return Err(Fault::Syntax),
        }
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = (self.byte()? as char).to_digit(16).ok_or(Fault::Syntax)?;
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn scalar(&mut self) -> Result<Kind, Fault> {
        match self.byte()? {
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            b'N' => {
                self.odd.nan = true;
                self.word(b"NaN", Kind::Null)
            }
            b'I' => {
                self.odd.nan = true;
                self.word(b"Infinity", Kind::Null)
            }
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(Fault::Syntax),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Kind, Fault> {
        let rest = &self.text[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(kind)
        } else if word.starts_with(rest) {
            Err(Fault::End)
        } else {
            Err(Fault::Syntax)
        }
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        if self.byte()? == b'-' {
            self.at += 1;
            if self.byte()? == b'I' {
                self.odd.nan = true;
                return self.word(b"Infinity", Kind::Null);
            }
        }
        let mut digits = 1;
        if self.byte()? == b'0' {
            self.at += 1;
        } else {
            digits = self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let b'+' | b'-' = self.byte()? {
                self.at += 1;
            }
            self.odd.big_number |= self.digits()? > 2;
        }
        self.odd.big_number |= digits > 18;
        Ok(Kind::Number)
    }

    /// One digit or more; how many.
    fn digits(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start {
            Ok(self.at - start)
        } else if self.at == self.text.len() {
            Err(Fault::End)
        } else {
            Err(Fault::Syntax)
        }
    }
}

/// Open containers of [`Scanner::container`]: one bit a level, set for objects.
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
fn plain_end(text: &[u8], at: usize) -> usize {
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
