//! Which field a key names, without a branch for each name.

use super::Field;

/// Longest name, in bytes.
const LONGEST: usize = 15;

const SLOTS: usize = 64;

/// For each length of a name, the bits of its bytes in a number, and what it adds on top.
const LENGTHS: [(u128, u128); LONGEST + 1] = {
    let mut lengths = [(0, 0); LONGEST + 1];
    let mut length = 0;
    while length <= LONGEST {
        lengths[length] = ((1 << (8 * length)) - 1, (length as u128) << (8 * LONGEST));
        length += 1;
    }
    lengths
};

/// Short names, each in a slot of its own: a perfect hash, found when this is compiled.
pub(super) struct Names {
    slots: [(u128, Option<Field>); SLOTS],
    multiplier: u64,
}

impl Names {
    pub(super) const fn new(list: &[(&str, Field)]) -> Self {
        let mut multiplier = 0x9e37_79b9_7f4a_7c15;
        loop {
            if let Some(names) = Self::with(list, multiplier) {
                return names;
            }
            multiplier = multiplier.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(2);
        }
    }

    /// The names in their slots; `None` where two share one.
    const fn with(list: &[(&str, Field)], multiplier: u64) -> Option<Self> {
        let mut slots = [(0, None); SLOTS];
        let mut at = 0;
        while at < list.len() {
            let packed = pack(list[at].0.as_bytes());
            let slot = slot(packed, multiplier);
            if slots[slot].0 != 0 {
                return None;
            }
            slots[slot] = (packed, Some(list[at].1));
            at += 1;
        }
        Some(Self { slots, multiplier })
    }

    /// The field that `text[start..end]` names.
    #[inline(always)]
    pub(super) fn find(&self, text: &[u8], start: usize, end: usize) -> Option<Field> {
        let length = end - start;
        if length > LONGEST {
            return None;
        }
        let packed = match text[start..].first_chunk() {
            Some(bytes) => {
                let (mask, packed_length) = LENGTHS[length];
                u128::from_le_bytes(*bytes) & mask | packed_length
            }
            None => pack(&text[start..end]),
        };
        let (name, field) = self.slots[slot(packed, self.multiplier)];
        if name == packed { field } else { None }
    }
}

/// A name as a number: its bytes, the first lowest, and its length on top.
const fn pack(name: &[u8]) -> u128 {
    assert!(name.len() <= LONGEST);
    let mut packed = (name.len() as u128) << (8 * LONGEST);
    let mut at = 0;
    while at < name.len() {
        packed |= (name[at] as u128) << (8 * at);
        at += 1;
    }
    packed
}

const fn slot(packed: u128, multiplier: u64) -> usize {
    let folded = packed as u64 ^ (packed >> 64) as u64;
    (folded.wrapping_mul(multiplier) >> (64 - SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::super::{CONTEXT, TOP};
    use super::*;

    #[test]
    fn names_are_found_and_nothing_else() {
        for text in ["event", "event\": {\"a\": \"0123456789\"}"] {
            assert_eq!(TOP.find(text.as_bytes(), 0, 5), Some(Field::Event));
            assert_eq!(TOP.find(text.as_bytes(), 0, 4), None);
            assert_eq!(TOP.find(text.as_bytes(), 1, 5), None);
        }
        assert_eq!(CONTEXT.find(b"user_id", 0, 7), Some(Field::ContextUserId));
        assert_eq!(TOP.find(b"accept_language", 0, 15), Some(Field::AcceptLanguage));
        for none in ["", "Event", "event_", "accept_languages", "time\0", "\0", "user_id"] {
            assert_eq!(TOP.find(none.as_bytes(), 0, none.len()), None, "{none:?}");
        }
    }
}
