//! How many different people a group holds: exactly while they are few, then by a sketch.

/// Of the hash of a person, which is the same on any machine.
const MULTIPLIERS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93, 0xa076_1d64_78bd_642f];

/// How many people are counted exactly, and how fine the sketch is that counts more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exactness {
    /// Most people that are counted exactly.
    pub exact: usize,
    /// The sketch has two to the power of this registers.
    pub precision: u32,
}

impl Exactness {
    /// Of one of many groups: 10 kB at most.
    pub const OF_GROUP: Self = Self { exact: 1000, precision: 12 };
    /// Of one of a few groups, such as a site: 1 MB at most.
    pub const OF_WHOLE: Self = Self { exact: 100_000, precision: 16 };

    /// The standard error of the sketch, of its count.
    pub fn error(self) -> f64 {
        1.04 / f64::from(1u32 << self.precision).sqrt()
    }
}

/// Different people. They are known by 64 bits of a hash, which two of a million people share once
/// in forty million sets of them.
#[derive(Clone, Debug)]
pub enum People {
    /// Each of them: a table with free places, which are 0.
    Exact {
        /// The table.
        slots: Vec<u64>,
        /// Places taken.
        count: usize,
    },
    /// A register for each part of the hashes: how rare the rarest was (HyperLogLog).
    Sketch(Vec<u8>),
}

impl Default for People {
    fn default() -> Self {
        Self::Exact { slots: Vec::new(), count: 0 }
    }
}

impl People {
    /// Adds one, by its hash.
    pub fn insert(&mut self, hash: u64, exactness: Exactness) {
        match self {
            Self::Sketch(registers) => note(registers, hash, exactness),
            Self::Exact { slots, count } => {
                if *count == exactness.exact {
                    if !holds(slots, hash) {
                        self.sketch(exactness);
                        self.insert(hash, exactness);
                    }
                    return;
                }
                if *count * 5 >= slots.len() * 4 {
                    grow(slots, exactness);
                }
                *count += usize::from(put(slots, hash));
            }
        }
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self, exactness: Exactness) {
        match other {
            Self::Exact { slots, .. } => {
                let taken = slots.iter().filter(|&&hash| hash != 0);
                taken.for_each(|&hash| self.insert(hash, exactness));
            }
            Self::Sketch(theirs) => {
                if matches!(self, Self::Exact { .. }) {
                    self.sketch(exactness);
                }
                if let Self::Sketch(mine) = self {
                    mine.iter_mut().zip(theirs).for_each(|(mine, &more)| *mine = (*mine).max(more));
                }
            }
        }
    }

    /// How many there are, about where they are not counted exactly.
    pub fn count(&self) -> u64 {
        match self {
            Self::Exact { count, .. } => *count as u64,
            Self::Sketch(registers) => estimate(registers).round() as u64,
        }
    }

    /// Whether the count is exact.
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Exact { .. })
    }

    fn sketch(&mut self, exactness: Exactness) {
        let Self::Exact { slots, .. } = self else {
            return;
        };
        let mut registers = vec![0; 1 << exactness.precision];
        let taken = slots.iter().filter(|&&hash| hash != 0);
        taken.for_each(|&hash| note(&mut registers, hash, exactness));
        *self = Self::Sketch(registers);
    }
}

/// The hash of a person: a text, or a number as its bytes. It is never 0.
pub fn person(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = fold(seed ^ bytes.len() as u64, MULTIPLIERS[0]);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = fold(state ^ u64::from_le_bytes(word), MULTIPLIERS[1]);
    }
    fold(state ^ MULTIPLIERS[2], MULTIPLIERS[0]).max(1)
}

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

/// Where a hash stands, or the free place where it would.
fn place(slots: &[u64], hash: u64) -> usize {
    let mut at = ((u128::from(hash) * slots.len() as u128) >> 64) as usize;
    while slots[at] != 0 && slots[at] != hash {
        at = if at + 1 == slots.len() { 0 } else { at + 1 };
    }
    at
}

fn holds(slots: &[u64], hash: u64) -> bool {
    !slots.is_empty() && slots[place(slots, hash)] == hash
}

/// Whether it was not there.
fn put(slots: &mut [u64], hash: u64) -> bool {
    let at = place(slots, hash);
    let is_new = slots[at] == 0;
    slots[at] = hash;
    is_new
}

fn grow(slots: &mut Vec<u64>, exactness: Exactness) {
    // A fifth of the places stays free, and one at least.
    let most = exactness.exact + exactness.exact / 4 + 1;
    let length = (slots.len() * 2).clamp(4, most.max(4));
    let before = std::mem::replace(slots, vec![0; length]);
    for hash in before.into_iter().filter(|&hash| hash != 0) {
        put(slots, hash);
    }
}

fn note(registers: &mut [u8], hash: u64, Exactness { precision, .. }: Exactness) {
    let register = &mut registers[(hash >> (64 - precision)) as usize];
    let rest = hash << precision | 1 << (precision - 1);
    *register = (*register).max(rest.leading_zeros() as u8 + 1);
}

/// How many people a sketch holds, about.
///
/// Source: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), the
/// improved raw estimator. It needs no tables of its bias.
fn estimate(registers: &[u8]) -> f64 {
    let size = registers.len() as f64;
    let most = 64 - registers.len().ilog2() as usize;
    let mut counts = vec![0.0; most + 2];
    for &register in registers {
        counts[usize::from(register).min(most + 1)] += 1.0;
    }
    let mut sum = size * tau(1.0 - counts[most + 1] / size);
    for &count in counts[1..=most].iter().rev() {
        sum = 0.5 * (sum + count);
    }
    sum += size * sigma(counts[0] / size);
    size * size / (2.0 * std::f64::consts::LN_2 * sum)
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const SMALL: Exactness = Exactness { exact: 20, precision: 8 };

    fn hashes(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|number| person(7, &number.to_le_bytes()))
    }

    fn of(hashes: impl IntoIterator<Item = u64>, exactness: Exactness) -> People {
        let mut people = People::default();
        hashes.into_iter().for_each(|hash| people.insert(hash, exactness));
        people
    }

    fn state(people: &People) -> (bool, Vec<u64>) {
        match people {
            People::Exact { slots, .. } => {
                let mut held: Vec<u64> = slots.iter().copied().filter(|&hash| hash != 0).collect();
                held.sort_unstable();
                (true, held)
            }
            People::Sketch(registers) => (false, registers.iter().map(|&r| r.into()).collect()),
        }
    }

    #[test]
    fn few_are_counted_exactly_and_many_within_the_error() {
        for exactness in [SMALL, Exactness::OF_GROUP, Exactness::OF_WHOLE] {
            let most = exactness.exact as u64;
            for count in [0, 1, 4, 5, most - 1, most] {
                let people = of(hashes(count).chain(hashes(count)), exactness);
                assert_eq!((people.count(), people.is_exact()), (count, true));
            }
            for count in [most + 1, 10 * most, 300_000] {
                let people = of(hashes(count), exactness);
                let off = (people.count() as f64 / count as f64 - 1.0).abs();
                assert!(off < 4.0 * exactness.error(), "{count}: {}", people.count());
                assert_eq!(people.is_exact(), count <= most);
            }
        }
    }

    #[test]
    fn the_error_is_what_is_said() {
        let (sets, size) = (200, 3000);
        let squares = (0..sets).map(|set: u64| {
            let people = of((0..size).map(|n: u64| person(set, &n.to_le_bytes())), SMALL);
            (people.count() as f64 / size as f64 - 1.0).powi(2)
        });
        let error = (squares.sum::<f64>() / sets as f64).sqrt();
        assert!((0.8..1.2).contains(&(error / SMALL.error())), "{error}");
    }

    #[test]
    fn names_that_differ_have_hashes_that_do() {
        let names = ["", "a", "\0", "a\0", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaa\0"];
        let told: HashSet<u64> = names.iter().map(|name| person(1, name.as_bytes())).collect();
        assert_eq!(told.len(), names.len());
        assert_ne!(person(1, b"a"), person(2, b"a"));
    }

    proptest! {
        /// Whatever is counted where, and whichever comes first: the whole is the same.
        #[test]
        fn parts_make_the_whole(
            numbers in proptest::collection::vec(0u64..60, 0..120),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let hashes: Vec<u64> = numbers.iter().map(|n| person(3, &n.to_le_bytes())).collect();
            let whole = of(hashes.iter().copied(), SMALL);
            let distinct = numbers.iter().collect::<HashSet<_>>().len();
            prop_assert_eq!(whole.is_exact(), distinct <= SMALL.exact);
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(hashes.len() + 1)).collect();
            ends.extend([0, hashes.len()]);
            ends.sort_unstable();
            let parts = ends.windows(2).map(|ends| hashes[ends[0]..ends[1]].iter().copied());
            let parts: Vec<People> = parts.map(|part| of(part, SMALL)).collect();
            let mut joined = People::default();
            parts.iter().rev().for_each(|part| joined.merge(part, SMALL));
            prop_assert_eq!(state(&joined), state(&whole));
        }
    }
}
