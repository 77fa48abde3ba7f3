//! What is in logs: kept events told apart by day, course, type and the like, and counted, people
//! too. Every thread counts for itself; what several have counted is added up, in any order.

mod cube;
mod notes;
pub mod people;
mod table;
#[cfg(test)]
mod tests;
mod texts;

use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};

use self::cube::{Cube, NULL, Values};
pub use self::cube::{CubeQuery, Key, MOST_GROUPS, MOST_KEYS};
pub use self::notes::Noted;
use self::notes::{Notes, OtherKeys};
use self::people::person;
pub use self::table::Table;
use self::texts::Texts;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::column::EventPlace;
use crate::event::fields::Field;
use crate::time;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// What all types of implicit events count as, which are URLs without number.
const URL: &str = "(url)";

/// People that were met lately, and need not be looked for again; a power of two.
const RECENT: usize = 4096;

/// What is counted.
#[derive(Debug, Default)]
pub struct SummaryQuery {
    /// The ways to tell events apart.
    pub cubes: Vec<CubeQuery>,
    /// Whether days are those of receipt, where that is known.
    pub by_received_at: bool,
    /// The group of each known event type; of all implicit ones, that of `(url)`.
    pub categories: AHashMap<String, String>,
}

/// What is known of an event.
#[derive(Clone, Copy, Debug, Default)]
struct Facts<'a> {
    site: Option<&'a str>,
    course: Option<&'a str>,
    org: Option<&'a str>,
    event_type: Option<&'a str>,
    name: Option<&'a str>,
    event_source: Option<&'a str>,
    time: Option<i64>,
    username: Option<&'a str>,
    user_id: Option<i64>,
}

/// Events that were counted.
#[derive(Debug)]
pub struct Summary {
    query: Arc<SummaryQuery>,
    asks: Asks,
    cubes: Vec<Cube>,
    /// Texts of the keys that are texts, by [`Key`].
    texts: [Texts; TEXTS],
    /// Of each event type, its category.
    categories: Vec<u32>,
    /// The day of the last event, and the values of the keys that follow from it.
    day: (i64, [u32; 4]),
    /// The hash of the site of the last event.
    site: (u32, u64),
    /// Hashes of people, and with each the groups that it was counted in last.
    recent: Vec<u64>,
    recent_groups: Vec<u32>,
    notes: Notes,
    other_keys: OtherKeys,
}

/// The first keys are texts.
const TEXTS: usize = Key::EventSource as usize + 1;

/// What cubes ask of events.
#[derive(Clone, Copy, Debug, Default)]
struct Asks {
    keys: [bool; Key::ALL.len()],
    people: bool,
}

impl Asks {
    fn has(&self, key: Key) -> bool {
        self.keys[key as usize]
    }
}

impl Default for Summary {
    /// One of nothing.
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Summary {
    /// Nothing yet.
    pub fn new(query: Arc<SummaryQuery>) -> Self {
        let mut asks = Asks::default();
        for cube in &query.cubes {
            cube.keys.iter().for_each(|&key| asks.keys[key as usize] = true);
            asks.people |= cube.people.is_some();
        }
        // Categories follow from types.
        asks.keys[Key::EventType as usize] |= asks.has(Key::Category);
        let groups = query.cubes.len() * RECENT;
        Self {
            asks,
            cubes: query.cubes.iter().map(|_| Cube::default()).collect(),
            texts: Default::default(),
            categories: Vec::new(),
            day: (i64::MAX, [NULL; 4]),
            site: (NULL, 0),
            recent: if asks.people { vec![0; RECENT] } else { Vec::new() },
            recent_groups: if asks.people { vec![NULL; groups] } else { Vec::new() },
            notes: Notes::default(),
            other_keys: OtherKeys::default(),
            query,
        }
    }

    /// Counts an event.
    pub fn event(&mut self, event: &Event<'_>, place: EventPlace<'_>) {
        let asks = self.asks;
        let event_type = event.event_type().filter(|_| asks.has(Key::EventType));
        let name = event.name().filter(|_| asks.has(Key::Category));
        let course = event.course().filter(|_| asks.has(Key::CourseId));
        let org = if asks.has(Key::OrgId) { event.org_id() } else { None };
        let source = event.text_or_context(Field::EventSource, Field::ContextEventSource);
        let username = event.username().filter(|_| asks.people);
        let received = event.received_at().filter(|_| self.query.by_received_at);
        self.count(Facts {
            site: place.source.site.as_deref(),
            course: course.map(|course| &*course.key),
            org: org.as_deref(),
            event_type: event_type.as_deref(),
            name: name.as_deref(),
            event_source: source.as_deref(),
            time: received.or_else(|| event.time()).map(|time| time.micros),
            username: username.as_deref(),
            user_id: if asks.people { event.user_id() } else { None },
        });
        self.other_keys.event(event);
    }

    fn count(&mut self, facts: Facts<'_>) {
        let values = self.values(&facts);
        let person = self.person(&facts, values[Key::Site as usize]);
        let query = Arc::clone(&self.query);
        let cubes = query.cubes.len();
        let at = person.map(|person| person as usize % RECENT);
        let is_recent = at.is_some_and(|at| self.recent[at] == person.unwrap_or_default());
        for (number, (cube, asked)) in self.cubes.iter_mut().zip(&query.cubes).enumerate() {
            let mut its: Values = [0; MOST_KEYS];
            for (value, &key) in its.iter_mut().zip(&asked.keys) {
                *value = values[key as usize];
            }
            let place = cube.place(its);
            let group = &mut cube.groups[place as usize];
            group.count(facts.time);
            if let (Some(exactness), Some(person), Some(at)) = (asked.people, person, at) {
                let recent = &mut self.recent_groups[at * cubes + number];
                if !is_recent || *recent != place {
                    group.people.insert(person, exactness);
                    *recent = place;
                }
            }
        }
        if let (Some(at), Some(person)) = (at, person) {
            self.recent[at] = person;
        }
    }

    /// The values of all keys that are asked for.
    fn values(&mut self, facts: &Facts<'_>) -> [u32; Key::ALL.len()] {
        let mut values = [NULL; Key::ALL.len()];
        let event_type =
            facts.event_type.map(|text| if text.starts_with('/') { URL } else { text });
        for (key, text) in [
            (Key::CourseId, facts.course),
            (Key::OrgId, facts.org),
            (Key::Site, facts.site),
            (Key::EventSource, facts.event_source),
        ] {
            if let Some(text) = text.filter(|_| self.asks.has(key)) {
                values[key as usize] = self.number(key as usize, text);
            }
        }
        if let Some(text) = event_type.filter(|_| self.asks.has(Key::EventType)) {
            let number = self.number(Key::EventType as usize, text);
            values[Key::EventType as usize] = number;
            values[Key::Category as usize] = self.categories[number as usize];
        }
        if self.asks.has(Key::Category) {
            let is_known = values[Key::Category as usize] != NULL && event_type != Some(URL);
            if let Some(name) = facts.name.filter(|_| !is_known && facts.name != event_type) {
                let named = self.category(name);
                if named != NULL {
                    values[Key::Category as usize] = named;
                }
            }
        }
        if let Some(time) = facts.time {
            let day = time.div_euclid(DAY);
            if self.day.0 != day {
                self.day = (day, of_day(day));
            }
            let keys = [Key::Date, Key::Week, Key::Month, Key::Year];
            keys.iter().zip(self.day.1).for_each(|(&key, value)| values[key as usize] = value);
            values[Key::Hour as usize] = (time.rem_euclid(DAY) / HOUR) as u32;
            values[Key::Weekday as usize] = (day + 3).rem_euclid(7) as u32 + 1;
        }
        values
    }

    /// The number of a text of a key.
    fn number(&mut self, key: usize, text: &str) -> u32 {
        let (number, is_new) = self.texts[key].number(text);
        if is_new && key == Key::EventType as usize {
            let category = self.category(text);
            self.categories.push(category);
        }
        number
    }

    fn category(&mut self, event_type: &str) -> u32 {
        match self.query.categories.get(event_type) {
            Some(category) => self.texts[Key::Category as usize].number(category).0,
            None => NULL,
        }
    }

    /// The hash of who acted on a site: by the name; where that is empty, by the number.
    fn person(&mut self, facts: &Facts<'_>, site: u32) -> Option<u64> {
        if !self.asks.people {
            return None;
        }
        let named = facts.username.filter(|name| !name.is_empty());
        if named.is_none() && facts.user_id.is_none() {
            return None;
        }
        if self.site.0 != site || site == NULL {
            self.site = (site, person(0, facts.site.unwrap_or_default().as_bytes()));
        }
        let seed = self.site.1;
        Some(match (named, facts.user_id) {
            (Some(name), _) => person(seed, name.as_bytes()),
            (None, number) => person(!seed, &number.unwrap_or_default().to_le_bytes()),
        })
    }

    /// Notes that something was odd about a line of a source.
    pub fn note(&mut self, what: Noted, source: &str, line: u64) {
        self.notes.note(what, source, line, 1);
    }

    /// Counts rows of a dataset, by the columns that it has.
    ///
    /// # Errors
    /// `Internal`, should a column be of another type.
    pub fn rows(&mut self, rows: &RecordBatch) -> Result<()> {
        let column = |name: &str| rows.column_by_name(name);
        let wrong = || Error::internal("a column of another type");
        let texts = |name| match column(name) {
            Some(column) => column.as_string_opt::<i32>().map(Some).ok_or_else(wrong),
            None => Ok(None),
        };
        let times = |name| match column(name) {
            Some(column) => {
                column.as_primitive_opt::<TimestampMicrosecondType>().map(Some).ok_or_else(wrong)
            }
            None => Ok(None),
        };
        let (course, org, site) = (texts("course_id")?, texts("org_id")?, texts("site")?);
        let (event_type, name) = (texts("event_type")?, texts("name")?);
        let (source, username) = (texts("event_source")?, texts("username")?);
        let (time, received) = (times("time")?, times("received_at")?);
        let ids = match column("user_id") {
            Some(ids) => Some(ids.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?),
            None => None,
        };
        for row in 0..rows.num_rows() {
            let micros = |column: Option<&arrow_array::TimestampMicrosecondArray>| {
                column.filter(|column| !column.is_null(row)).map(|column| column.value(row))
            };
            let received = micros(received).filter(|_| self.query.by_received_at);
            self.count(Facts {
                site: text_at(site, row),
                course: text_at(course, row),
                org: text_at(org, row),
                event_type: text_at(event_type, row),
                name: text_at(name, row),
                event_source: text_at(source, row),
                time: received.or_else(|| micros(time)),
                username: text_at(username, row),
                user_id: ids.filter(|ids| !ids.is_null(row)).map(|ids| ids.value(row)),
            });
        }
        Ok(())
    }

    /// Adds what another one has counted, of the same query.
    pub fn merge(&mut self, other: &Self) {
        let mut numbers: [Vec<u32>; TEXTS] = Default::default();
        for (key, (numbers, texts)) in numbers.iter_mut().zip(&other.texts).enumerate() {
            numbers.extend(texts.all().iter().map(|text| self.number(key, text)));
        }
        let query = Arc::clone(&self.query);
        for ((mine, theirs), asked) in self.cubes.iter_mut().zip(&other.cubes).zip(&query.cubes) {
            mine.has_too_many |= theirs.has_too_many;
            for group in &theirs.groups {
                let mut values = group.values;
                for (value, &key) in values.iter_mut().zip(&asked.keys) {
                    if let Some(numbers) = numbers.get(key as usize).filter(|_| *value != NULL) {
                        *value = numbers[*value as usize];
                    }
                }
                let place = mine.place(values);
                mine.groups[place as usize].merge(group, asked.people);
            }
        }
        self.notes.merge(&other.notes);
        self.other_keys.merge(&other.other_keys);
    }

    /// The groups of a cube as a table, in the order of their keys.
    ///
    /// # Errors
    /// `Config` for too many groups; `Internal` for a name that no cube has.
    pub fn table(&self, name: &str) -> Result<Table> {
        let number = self.query.cubes.iter().position(|cube| cube.name == name);
        let number = number.ok_or_else(|| Error::internal("no cube of that name"))?;
        let (cube, asked) = (&self.cubes[number], &self.query.cubes[number]);
        if cube.has_too_many {
            return Err(Error::config(format!(
                "summary: more than {MOST_GROUPS} groups; use fewer keys, or ask for fewer events"
            )));
        }
        Table::new(asked, &cube.groups, &self.texts)
    }

    /// What was noted: how often, and of the first lines the source and the number.
    pub fn notes(&self) -> impl Iterator<Item = (Noted, u64, &[(Box<str>, u64)])> {
        self.notes.all()
    }

    /// Keys of events that are not documented: whether in the context, the key, and the events.
    pub fn other_keys(&self) -> Vec<(bool, &str, u64)> {
        self.other_keys.all()
    }
}

fn text_at(column: Option<&arrow_array::StringArray>, row: usize) -> Option<&str> {
    column.filter(|column| !column.is_null(row)).map(|column| column.value(row))
}

/// The values of the keys that follow from a day: the day, its Monday, its month and its year.
fn of_day(day: i64) -> [u32; 4] {
    let (year, _, of_month) = time::civil(day);
    let monday = day - (day + 3).rem_euclid(7);
    [day, monday, day - of_month + 1, year].map(|number| number as i32 as u32 ^ MIDDLE)
}

/// Moves days and years to where they have no sign, in their order.
const MIDDLE: u32 = 1 << 31;

/// Where threads that count one source leave what they have counted.
#[derive(Debug)]
pub struct Counted {
    query: Arc<SummaryQuery>,
    left: Mutex<Vec<Summary>>,
}

impl Counted {
    /// For what is counted so.
    pub fn new(query: Arc<SummaryQuery>) -> Self {
        Self { query, left: Mutex::default() }
    }

    /// Begins anew: what was left is forgotten.
    pub fn begin(&self) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Something to go on counting with, until it is left here.
    pub fn take(&self) -> Summary {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner).pop();
        left.unwrap_or_else(|| Summary::new(Arc::clone(&self.query)))
    }

    /// Leaves it.
    pub fn leave(&self, summary: Summary) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).push(summary);
    }

    /// All that was left, added up.
    pub fn whole(&self) -> Summary {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut whole = left.pop().unwrap_or_else(|| Summary::new(Arc::clone(&self.query)));
        left.drain(..).for_each(|more| whole.merge(&more));
        whole
    }
}
