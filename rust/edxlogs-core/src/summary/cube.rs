//! Events told apart by some keys, and counted.

use ahash::AHashMap;

use super::people::{Exactness, People};
use crate::frame::names::names;

/// Most keys of a cube.
pub const MOST_KEYS: usize = 6;

/// Most groups of a cube.
pub const MOST_GROUPS: usize = 500_000;

/// A value that there is not.
pub(super) const NULL: u32 = u32::MAX;

names! {
    /// What events are told apart by.
    Key {
        /// The course.
        CourseId = "course_id",
        /// Its organisation; without a course, that of the context.
        OrgId = "org_id",
        /// The site in the name of the source.
        Site = "site",
        /// The type; `(url)` for implicit events.
        EventType = "event_type",
        /// The group of types.
        Category = "category",
        /// Who sent it: server, browser, mobile or task.
        EventSource = "event_source",
        /// The day.
        Date = "date",
        /// The Monday of its week.
        Week = "week",
        /// The first day of its month.
        Month = "month",
        /// The year.
        Year = "year",
        /// The hour, 0 to 23, UTC.
        Hour = "hour",
        /// The day of the week, 1 for Monday to 7.
        Weekday = "weekday",
    }
}

/// The values of the keys of a group; those of keys that a cube lacks are 0. Texts have numbers,
/// days and years are moved up by their middle.
pub(super) type Values = [u32; MOST_KEYS];

/// What is counted of events that share their keys.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub values: Values,
    pub events: u64,
    /// The first and the last time, in microseconds; the first is after the last where none has one.
    pub first: i64,
    pub last: i64,
    pub people: People,
}

/// A way to tell events apart, and what is counted so.
#[derive(Clone, Debug)]
pub struct CubeQuery {
    /// Its name.
    pub name: String,
    /// The keys, in order.
    pub keys: Vec<Key>,
    /// How people are counted, if they are.
    pub people: Option<Exactness>,
}

/// Events counted by group.
#[derive(Debug, Default)]
pub(super) struct Cube {
    places: AHashMap<Values, u32>,
    pub groups: Vec<Group>,
    last: u32,
    pub has_too_many: bool,
}

impl Cube {
    /// The number of a group.
    #[inline]
    pub fn place(&mut self, values: Values) -> u32 {
        if self.groups.get(self.last as usize).is_some_and(|last| last.values == values) {
            return self.last;
        }
        let next = self.groups.len() as u32;
        self.last = match self.places.get(&values) {
            Some(&place) => place,
            None if next as usize == MOST_GROUPS => {
                self.has_too_many = true;
                0
            }
            None => {
                self.places.insert(values, next);
                let people = People::default();
                let (first, last) = (i64::MAX, i64::MIN);
                self.groups.push(Group { values, events: 0, first, last, people });
                next
            }
        };
        self.last
    }
}

impl Group {
    #[inline]
    pub fn count(&mut self, time: Option<i64>) {
        self.events += 1;
        if let Some(time) = time {
            self.first = self.first.min(time);
            self.last = self.last.max(time);
        }
    }

    pub fn merge(&mut self, other: &Self, people: Option<Exactness>) {
        self.events += other.events;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        if let Some(exactness) = people {
            self.people.merge(&other.people, exactness);
        }
    }
}
