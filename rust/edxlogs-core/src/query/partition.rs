//! Partitions of a dataset: which one an event belongs to, and the folder it has.
//!
//! A folder is a chain of `key=value`, as Hive, Spark, DuckDB, Polars and pyarrow read it. Values are
//! percent-encoded but for ASCII letters, digits, `.`, `_` and `-`, so that no value leaves its
//! folder and every value can be read back.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::column::{EventColumn, EventPlace};
use crate::frame::names::names;
use crate::frame::types::Value;
use crate::json::text::hex;
use crate::time;

/// Most partitions of a run.
pub const MOST_PARTITIONS: usize = 20_000;

/// What Hive calls a null, or an empty value.
pub const NULL_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Where all types of implicit events go, which are URLs without number.
const URL_VALUE: &str = "(url)";

/// Marks them among values, to tell them from a type that is called so.
const URL_MARK: u8 = 1;

/// Longest name of a folder, in bytes.
const MOST_NAME_BYTES: usize = 255;

/// Of a name that would be longer, the bytes that stay in front of its digest.
const HEAD_BYTES: usize = 200;

names! {
    /// What a dataset is partitioned by.
    #[allow(missing_docs, reason = "each is the key of its name")]
    PartitionKey {
        CourseId = "course_id",
        OrgId = "org_id",
        Site = "site",
        Date = "date",
        Month = "month",
        Year = "year",
        EventType = "event_type",
        EventSource = "event_source",
    }
}

impl PartitionKey {
    /// How many characters of an ISO day it shows; none for keys that are columns.
    fn day_characters(self) -> Option<usize> {
        match self {
            Self::Date => Some("2014-10-01".len()),
            Self::Month => Some("2014-10".len()),
            Self::Year => Some("2014".len()),
            _ => None,
        }
    }

    fn column(self) -> EventColumn {
        match self {
            Self::CourseId => EventColumn::CourseId,
            Self::OrgId => EventColumn::OrgId,
            Self::Site => EventColumn::Site,
            Self::EventType => EventColumn::EventType,
            Self::EventSource => EventColumn::EventSource,
            Self::Date | Self::Month | Self::Year => EventColumn::Time,
        }
    }
}

impl FromStr for PartitionKey {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::named(name).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|key| key.as_str()).collect();
            Error::config(format!(
                "partition-by: '{name}': is not a partition key; use {}",
                known.join(", ")
            ))
        })
    }
}

/// The partitions that a run has met, each with its number. Shared by all threads.
#[derive(Debug)]
pub struct Partitions {
    keys: Vec<PartitionKey>,
    known_courses: Option<HashSet<String>>,
    encodes_case: bool,
    most: usize,
    met: RwLock<MetPartitions>,
}

#[derive(Debug, Default)]
struct MetPartitions {
    /// By the bytes of the values.
    numbers: HashMap<Vec<u8>, u32>,
    folders: Vec<String>,
    too_many: bool,
}

impl Partitions {
    /// Partitions by `keys`. Courses that are not among those known count as none.
    /// `encodes_case` is for file systems that take `MITx` and `mitx` for one name: there, capital
    /// letters are percent-encoded too.
    ///
    /// # Errors
    /// `Config` for a key given twice, or none.
    pub fn new(
        keys: Vec<PartitionKey>,
        known_courses: Option<HashSet<String>>,
        encodes_case: bool,
        most: usize,
    ) -> Result<Self> {
        if keys.is_empty() {
            return Err(Error::config("partition-by: no key named; name one or more".to_owned()));
        }
        for (at, key) in keys.iter().enumerate() {
            if keys[..at].contains(key) {
                let why = format!("partition-by: {}: named twice; name it once", key.as_str());
                return Err(Error::config(why));
            }
        }
        Ok(Self { keys, known_courses, encodes_case, most, met: RwLock::default() })
    }

    /// The number of an event's partition. Beyond the most there may be, `check` fails.
    pub(crate) fn number(&self, event: &Event<'_>, place: EventPlace<'_>) -> u32 {
        let mut values = Vec::with_capacity(64);
        for key in &self.keys {
            self.push_value(*key, event, place, &mut values);
            values.push(0);
        }
        let met = self.met.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(&number) = met.numbers.get(&values) {
            return number;
        }
        drop(met);
        let mut met = self.met.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&number) = met.numbers.get(&values) {
            return number;
        }
        if met.folders.len() == self.most {
            met.too_many = true;
            return 0;
        }
        let number = met.folders.len() as u32;
        met.folders.push(self.folder_of(&values));
        met.numbers.insert(values, number);
        number
    }

    /// Appends the value of a key as it is told apart: nothing for null. NUL ends a value and 0x01
    /// marks a URL, so in the values themselves, where they have no business, they become blanks.
    fn push_value(
        &self,
        key: PartitionKey,
        event: &Event<'_>,
        place: EventPlace<'_>,
        out: &mut Vec<u8>,
    ) {
        match key.column().value(event, place) {
            Value::Time(micros) => {
                let start = out.len();
                time::push_iso(micros, out);
                let day = key.day_characters().unwrap_or_default();
                out.truncate(start + day);
            }
            Value::Text(text) => {
                let unknown = |courses: &HashSet<String>| !courses.contains(&*text);
                match key {
                    PartitionKey::CourseId if self.known_courses.as_ref().is_some_and(unknown) => {}
                    PartitionKey::EventType if text.starts_with('/') => out.push(URL_MARK),
                    _ => out.extend(text.bytes().map(without_marks)),
                }
            }
            _ => {}
        }
    }

    fn folder_of(&self, values: &[u8]) -> String {
        let mut folder = String::new();
        for (key, value) in self.keys.iter().zip(values.split(|&byte| byte == 0)) {
            if !folder.is_empty() {
                folder.push('/');
            }
            folder += &folder_name(key.as_str(), value, self.encodes_case);
        }
        folder
    }

    /// The folder of a partition, relative to the dataset's.
    pub fn folder(&self, number: u32) -> String {
        let met = self.met.read().unwrap_or_else(PoisonError::into_inner);
        met.folders.get(number as usize).cloned().unwrap_or_default()
    }

    /// Fails if there were too many.
    ///
    /// # Errors
    /// `Config`.
    pub fn check(&self) -> Result<()> {
        if self.met.read().unwrap_or_else(PoisonError::into_inner).too_many {
            return Err(Error::config(format!(
                "partition-by: the events belong to more than {} partitions, which is more than \
                 readers bear: name the courses that exist with --known-courses FILE, keep to the \
                 platform's own attribution with --course-from context, or use fewer keys",
                self.most
            )));
        }
        Ok(())
    }
}

/// What stands in a value for a byte of it: see [`Partitions::push_value`].
fn without_marks(byte: u8) -> u8 {
    if byte < 2 { b' ' } else { byte }
}

/// The folder of what is of one course, or of none that is known, though no event tells it; as that
/// of events.
pub fn course_folder(course: Option<&str>, encodes_case: bool) -> String {
    let value: Vec<u8> = course.unwrap_or_default().bytes().map(without_marks).collect();
    folder_name(PartitionKey::CourseId.as_str(), &value, encodes_case)
}

/// `key=value` as the name of a folder. Of a value that makes it too long, the first characters and
/// a digest of it.
fn folder_name(key: &str, value: &[u8], encodes_case: bool) -> String {
    let mut name = format!("{key}=");
    match value {
        b"" => name += NULL_VALUE,
        [URL_MARK] => name += URL_VALUE,
        _ => {
            let is_reserved = value == NULL_VALUE.as_bytes();
            for (at, &byte) in value.iter().enumerate() {
                let plain = match byte {
                    b'A'..=b'Z' => !encodes_case,
                    b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => true,
                    b'_' => !(is_reserved && at == 0),
                    _ => false,
                };
                if plain {
                    name.push(char::from(byte));
                } else {
                    // Writing to memory does not fail.
                    let _ = write!(name, "%{byte:02X}");
                }
            }
            if name.len() > MOST_NAME_BYTES {
                let mut head = HEAD_BYTES;
                while name[..head].rfind('%').is_some_and(|at| at + 3 > head) {
                    head -= 1;
                }
                name.truncate(head);
                let digest = Sha256::digest(value);
                let _ = write!(name, "~{}", hex(&digest[..16]));
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = name.as_bytes();
        while let Some((&first, more)) = rest.split_first() {
            if first == b'%' {
                let code = std::str::from_utf8(&more[..2]).expect("ASCII");
                bytes.push(u8::from_str_radix(code, 16).expect("hex"));
                rest = &more[2..];
            } else {
                bytes.push(first);
                rest = more;
            }
        }
        bytes
    }

    #[test]
    fn names_are_those_that_readers_know() {
        let name = |value: &str| folder_name("course_id", value.as_bytes(), false);
        assert_eq!(
            name("course-v1:MITx+6.002x+2T2015"),
            "course_id=course-v1%3AMITx%2B6.002x%2B2T2015"
        );
        assert_eq!(name("MITx/6.002x/2012_Fall"), "course_id=MITx%2F6.002x%2F2012_Fall");
        assert_eq!(name(""), "course_id=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(name(NULL_VALUE), "course_id=%5F_HIVE_DEFAULT_PARTITION__");
        assert_eq!(folder_name("event_type", b"\x01", false), "event_type=(url)");
        assert_eq!(folder_name("event_type", b"(url)", false), "event_type=%28url%29");
        assert_eq!(folder_name("org_id", b"MITx", true), "org_id=%4D%49%54x");
    }

    proptest! {
        #[test]
        fn a_name_is_safe_and_tells_its_value(value in ".{1,80}", encodes_case: bool) {
            prop_assume!(!value.contains(['\0', '\u{1}']));
            let name = folder_name("site", value.as_bytes(), encodes_case);
            prop_assert!(name.len() <= MOST_NAME_BYTES);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'));
            if !name.contains('~') {
                prop_assert_eq!(decoded(&name["site=".len()..]), value.as_bytes());
            }
        }

        #[test]
        fn long_names_differ_as_their_values_do(value in "[а-я]{60,90}", other in "[а-я]{60,90}") {
            let name = |value: &str| folder_name("course_id", value.as_bytes(), false);
            prop_assert_eq!(name(&value) == name(&other), value == other);
            prop_assert!(name(&value).len() <= MOST_NAME_BYTES);
        }
    }
}
