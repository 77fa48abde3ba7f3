//! Keys of blocks, in all forms that logs hold.

use std::borrow::Cow;

/// What a key says of its block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block<'a> {
    /// Its type, such as `problem`.
    pub block_type: Option<Cow<'a, str>>,
    /// Its id inside the course.
    pub id: Option<Cow<'a, str>>,
    /// Whether the key has several readings, or none.
    pub is_guess: bool,
}

/// Type and id of a block, from a key in any form; of an HTML id by the course, if that is known.
pub fn block<'a>(_key: &'a str, _course: Option<&str>) -> Block<'a> {
    todo!()
}

/// The username before the comma of a bookmark's id, if there is one, and the key after it.
pub fn owner(_key: &str) -> (Option<&str>, &str) {
    todo!()
}

/// The first of the keys that `/` joins, and what follows it.
pub fn joined_keys(_key: &str) -> (&str, Option<&str>) {
    todo!()
}

/// The first key of a block in an address, as it stands there; else after percent-decoding.
pub fn usage_key_in(_address: &str) -> Option<Cow<'_, str>> {
    todo!()
}
