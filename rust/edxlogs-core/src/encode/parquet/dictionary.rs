//! The distinct values of one column of text.

use std::ops::Range;

use ahash::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Places for values that were met lately.
const RECENT: usize = 64;

/// The distinct values of a column.
pub(super) struct Dictionary {
    /// As the dictionary's page: each behind its length, four bytes.
    pub(super) page: Vec<u8>,
    pub(super) values: Vec<Range<usize>>,
    table: HashTable<u32>,
    hasher: RandomState,
    /// Of values that were met lately, the index, at [`recent_place`]: most values need no hash.
    recent: [u32; RECENT],
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            page: Vec::new(),
            values: Vec::new(),
            table: HashTable::new(),
            hasher: RandomState::new(),
            recent: [u32::MAX; RECENT],
        }
    }
}

/// The place of a value among those that were met lately, by a few of its bytes. Where two values
/// share one, the later takes it.
#[inline(always)]
fn recent_place(value: &[u8]) -> usize {
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let ends = match (value.first_chunk(), value.last_chunk()) {
        (None, _) => value.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        (first, last) => {
            let middle = value[value.len() / 2..].first_chunk().or(last);
            word(first) ^ word(middle).rotate_left(21) ^ word(last).rotate_left(42)
        }
    };
    let mixed = (ends ^ value.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - RECENT.ilog2())) as usize
}

impl Dictionary {
    #[inline(always)]
    pub(super) fn intern(&mut self, value: &[u8]) -> u32 {
        let place = recent_place(value);
        let index = self.recent[place];
        if let Some(known) = self.values.get(index as usize)
            && self.page[known.clone()] == *value
        {
            return index;
        }
        let index = self.look_up(value);
        self.recent[place] = index;
        index
    }

    fn look_up(&mut self, value: &[u8]) -> u32 {
        let Self { page, values, table, hasher, .. } = self;
        let at = |index: u32| &page[values[index as usize].clone()];
        let hash = hasher.hash_one(value);
        let entry =
            table.entry(hash, |&index| at(index) == value, |&index| hasher.hash_one(at(index)));
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let index = values.len() as u32;
                entry.insert(index);
                push_plain(page, value);
                values.push(page.len() - value.len()..page.len());
                index
            }
        }
    }

    /// Forgets the values, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.page.clear();
        self.values.clear();
        self.table.clear();
        self.recent.fill(u32::MAX);
    }

    /// Bits that an index takes.
    pub(super) fn index_bits(&self) -> u32 {
        usize::BITS - self.values.len().saturating_sub(1).leading_zeros()
    }
}

/// Appends a value as plain pages and dictionaries have it.
pub(super) fn push_plain(page: &mut Vec<u8>, value: &[u8]) {
    let end = page.len() + 4 + value.len();
    if end > page.capacity() {
        // Many pages are under way at once: none has room that it will not need.
        page.reserve_exact(end.next_power_of_two() - page.len());
    }
    page.extend_from_slice(&(value.len() as u32).to_le_bytes());
    page.extend_from_slice(value);
}
