//! Values found by paths of keys and indexes.

use crate::json::scanner::{Fault, Kind, Scanner, Span};

/// One step of a path into a JSON value.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The member of that name.
    Key(&'a str),
    /// The element at that place, from 0.
    Index(usize),
}

/// One step of a path that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// The value of this key in an object.
    Key(String),
    /// The item of an array, counted from 0.
    Index(usize),
}

impl Segment {
    /// The step it is.
    pub fn step(&self) -> Step<'_> {
        match self {
            Self::Key(key) => Step::Key(key),
            Self::Index(index) => Step::Index(*index),
        }
    }
}

/// The value at `path` inside `value`, the last of duplicate keys; `None` where there is none.
pub fn find<'p>(
    text: &[u8],
    value: Span,
    path: impl IntoIterator<Item = Step<'p>>,
) -> Option<Span> {
    let mut value = value;
    for step in path {
        let mut found = Span::default();
        let mut scanner = Scanner::new(text, value.start);
        match step {
            Step::Key(name) if value.kind == Kind::Object => scanner.object(|scanner, key| {
                let span = scanner.value()?;
                if key_is(text, key, name) {
                    found = span;
                }
                Ok(())
            }),
            Step::Index(index) if value.kind == Kind::Array => scanner.array(|scanner, at| {
                let span = scanner.value()?;
                if at == index {
                    found = span;
                }
                Ok(())
            }),
            _ => return None,
        }
        .ok()?;
        if !found.is_present() {
            return None;
        }
        value = found;
    }
    Some(value)
}

/// Paths joined at what they share, so that one walk over a value finds what stands at all of them.
#[derive(Debug, Default)]
pub struct Paths {
    root: Branch,
    /// How many paths there are; each has a number below that.
    len: usize,
}

/// What is wanted of a value.
#[derive(Debug, Default)]
struct Branch {
    /// The number of the path that ends here.
    end: Option<usize>,
    keys: Vec<(String, Branch)>,
    /// Of each of these the [`tag`], which tells most of them apart.
    tags: Vec<u32>,
    /// How long these are: a bit for each length, the last for all that are longer.
    lengths: u64,
    items: Vec<(usize, Branch)>,
}

impl Paths {
    /// Adds a path; its number. Equal paths share one.
    pub fn add<'p>(&mut self, path: impl IntoIterator<Item = Step<'p>>) -> usize {
        let mut branch = &mut self.root;
        for step in path {
            branch = match step {
                Step::Key(name) => {
                    if branch.keys.iter().all(|(key, _)| key != name) {
                        branch.lengths |= length_bit(name.len());
                        branch.tags.push(tag(name.as_bytes()));
                    }
                    child(&mut branch.keys, |key| key == name, name.to_owned())
                }
                Step::Index(index) => child(&mut branch.items, |item| *item == index, index),
            };
        }
        *branch.end.get_or_insert_with(|| {
            self.len += 1;
            self.len - 1
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value at each path inside `value`, which was checked before, as [`find`] gives it, by the
    /// numbers of the paths: absent where there is none.
    pub fn find_all(&self, text: &[u8], value: Span, found: &mut Vec<Span>) {
        if matches!(value.kind, Kind::Object | Kind::Array) {
            self.walk::<false>(&mut Scanner::new(text, value.start), found, |_| true);
        } else {
            found.clear();
            found.resize(self.len, Span::default());
        }
        if let Some(number) = self.root.end {
            found[number] = value;
        }
    }

    /// The same of a text that is one value and nothing else, which is checked on the way: all are
    /// absent where it is not.
    pub fn find_in_whole(&self, text: &[u8], found: &mut Vec<Span>) {
        let mut scanner = Scanner::new(text, 0);
        scanner.space();
        self.walk::<true>(&mut scanner, found, Scanner::at_end);
    }

    fn walk<'t, const CHECKS: bool>(
        &self,
        scanner: &mut Scanner<'t>,
        found: &mut Vec<Span>,
        is_right: impl FnOnce(&mut Scanner<'t>) -> bool,
    ) {
        found.clear();
        found.resize(self.len, Span::default());
        if self.root.walk::<CHECKS>(scanner, found).is_err() || !is_right(scanner) {
            found.fill(Span::default());
        }
    }
}

/// The branch behind a step, made if there is none yet.
fn child<S>(branches: &mut Vec<(S, Branch)>, is_it: impl Fn(&S) -> bool, step: S) -> &mut Branch {
    let at = branches.iter().position(|(step, _)| is_it(step)).unwrap_or_else(|| {
        branches.push((step, Branch::default()));
        branches.len() - 1
    });
    &mut branches[at].1
}

/// The bit of a length.
fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// What tells most keys apart: their length, and three of their bytes.
fn tag(key: &[u8]) -> u32 {
    match (key.first(), key.last()) {
        (Some(&first), Some(&last)) => {
            let middle = key[key.len() / 2];
            u32::from_le_bytes([first, middle, last, key.len() as u8])
        }
        _ => 0,
    }
}

impl Branch {
    /// The branch behind a key; most keys have none, and most of these not even its length.
    #[inline]
    fn branch(&self, text: &[u8], key: Span) -> Option<&Self> {
        if !key.escaped && self.lengths & length_bit(key.end - key.start) == 0 {
            return None;
        }
        let raw = &text[key.start..key.end];
        let found = if key.escaped {
            self.keys.iter().find(|(name, _)| key_is(text, key, name))
        } else {
            let tag = tag(raw);
            let tagged = self.tags.iter().zip(&self.keys).filter(|(one, _)| **one == tag);
            tagged.map(|(_, one)| one).find(|(name, _)| raw == name.as_bytes())
        };
        found.map(|(_, branch)| branch)
    }

    /// Walks the value that starts at the next byte, which it consumes.
    fn walk<const CHECKS: bool>(
        &self,
        scanner: &mut Scanner<'_>,
        found: &mut [Span],
    ) -> Result<(), Fault> {
        let other = if CHECKS { Scanner::value } else { Scanner::skip };
        let (text, start) = (scanner.text(), scanner.position());
        let kind = match scanner.byte()? {
            b'{' if !self.keys.is_empty() => {
                scanner.object(|scanner, key| {
                    match self.branch(text, key) {
                        Some(branch) => {
                            // What an earlier key of that name led to does not count.
                            branch.forget(found);
                            branch.walk::<CHECKS>(scanner, found)
                        }
                        None => other(scanner).map(drop),
                    }
                })?;
                Kind::Object
            }
            b'[' if !self.items.is_empty() => {
                scanner.array(|scanner, at| {
                    match self.items.iter().find(|(item, _)| *item == at) {
                        Some((_, branch)) => branch.walk::<CHECKS>(scanner, found),
                        None => other(scanner).map(drop),
                    }
                })?;
                Kind::Array
            }
            _ => {
                let span = other(scanner)?;
                if let Some(number) = self.end {
                    found[number] = span;
                }
                return Ok(());
            }
        };
        if let Some(number) = self.end {
            found[number] = Span { start, end: scanner.position(), kind, escaped: false };
        }
        Ok(())
    }

    fn forget(&self, found: &mut [Span]) {
        if let Some(number) = self.end {
            found[number] = Span::default();
        }
        let items = self.items.iter().map(|(_, branch)| branch);
        self.keys.iter().map(|(_, branch)| branch).chain(items).for_each(|one| one.forget(found));
    }
}

/// Whether the key at `key` of `text` is `name`, whatever way it is spelled.
pub fn key_is(text: &[u8], key: Span, name: &str) -> bool {
    let raw = &text[key.start..key.end];
    if key.escaped {
        let mut decoded = Vec::new();
        crate::json::text::unescape(raw, &mut decoded);
        decoded == name.as_bytes()
    } else {
        raw == name.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::text::whole_value;

    #[test]
    fn finds_by_path() {
        let text = br#"{"a": {"x.y": [10, {"z": "w"}]}, "\u0061": {"b": 2}}"#;
        let whole = Span { start: 0, end: text.len(), kind: Kind::Object, escaped: false };
        let at = |path: &[Step<'_>]| {
            find(text, whole, path.iter().copied()).map(|span| &text[span.start..span.end])
        };
        assert_eq!(at(&[Step::Key("a"), Step::Key("b")]), Some(&b"2"[..]), "the last duplicate");
        assert_eq!(at(&[Step::Key("a"), Step::Key("x.y")]), None);
        let text = br#"[10, {"z": "w"}]"#;
        let whole = Span { start: 0, end: text.len(), kind: Kind::Array, escaped: false };
        let path = [Step::Index(1), Step::Key("z")];
        assert_eq!(find(text, whole, path).map(|span| span.start), Some(12));
        assert_eq!(find(text, whole, [Step::Index(2)]), None);
    }

    /// The text of a value whose keys are few, so that some stand twice.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec!["1", "null", "\"a\\\"b\"", "\"é\"", "{}", "[]"]);
        leaf.prop_map(str::to_owned).prop_recursive(4, 24, 4, |inner| {
            let key = prop::sample::select(vec!["\"a\"", "\"b\"", "\"\\u0061\"", "\"\""]);
            let member = (key, inner.clone()).prop_map(|(key, value)| format!("{key} :{value} "));
            prop_oneof![
                prop::collection::vec(inner, 0..4)
                    .prop_map(|items| format!("[{}]", items.join(", "))),
                prop::collection::vec(member, 0..4)
                    .prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    fn path() -> impl Strategy<Value = Vec<Step<'static>>> {
        let key = prop::sample::select(vec!["a", "b", "", "c"]).prop_map(Step::Key);
        prop::collection::vec(prop_oneof![3 => key, 1 => (0usize..3).prop_map(Step::Index)], 0..4)
    }

    proptest! {
        #[test]
        fn one_walk_finds_what_look_ups_find(
            text in json(), paths in prop::collection::vec(path(), 0..8),
        ) {
            let text = text.as_bytes();
            let (whole, _) = whole_value(text).expect("JSON");
            let mut tree = Paths::default();
            let numbers: Vec<usize> =
                paths.iter().map(|path| tree.add(path.iter().copied())).collect();
            let mut found = vec![whole; 3];
            tree.find_all(text, whole, &mut found);
            for (path, number) in paths.iter().zip(numbers) {
                let expected = find(text, whole, path.iter().copied()).unwrap_or_default();
                prop_assert_eq!(found[number], expected, "{:?}", path);
            }
            let mut in_whole = Vec::new();
            tree.find_in_whole(text, &mut in_whole);
            prop_assert_eq!(&in_whole, &found);
            tree.find_in_whole(&text[..text.len() - 1], &mut in_whole);
            prop_assert!(in_whole.iter().all(|span| !span.is_present()));
        }
    }
}
