//! Texts that stand in many events, each with a number.

use ahash::AHashMap;

/// Texts by their numbers. One that is asked for again at once is found by a glance.
#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: AHashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
    last: u32,
}

impl Texts {
    /// The number of a text, and whether it is met for the first time.
    #[inline]
    pub fn number(&mut self, text: &str) -> (u32, bool) {
        if self.texts.get(self.last as usize).is_some_and(|last| **last == *text) {
            return (self.last, false);
        }
        let known = self.numbers.get(text).copied();
        let number = known.unwrap_or_else(|| {
            let number = self.texts.len() as u32;
            self.texts.push(text.into());
            self.numbers.insert(text.into(), number);
            number
        });
        self.last = number;
        (number, known.is_none())
    }

    /// All of them, in the order of their numbers.
    pub fn all(&self) -> &[Box<str>] {
        &self.texts
    }
}
