use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::cube::NULL;
use super::*;
use crate::event::fields::Fields;
use crate::event::paths::EventPaths;
use crate::frame::counts::{Mend, Reason};
use crate::frame::source::SourceInfo;

fn query() -> Arc<SummaryQuery> {
    let cube = |name: &str, keys: &[Key], people| CubeQuery {
        name: name.to_owned(),
        keys: keys.to_vec(),
        people,
    };
    let few = people::Exactness { exact: 3, precision: 6 };
    let cubes = vec![
        cube("days", &[Key::Site, Key::Date], Some(few)),
        cube("types", &[Key::Category, Key::EventType, Key::CourseId], None),
        cube("clock", &[Key::Hour, Key::Weekday, Key::Week, Key::Month, Key::Year], Some(few)),
    ];
    let categories = [("play_video", "video"), (URL, "implicit")];
    let categories = categories.map(|(one, of)| (one.to_owned(), of.to_owned()));
    Arc::new(SummaryQuery { cubes, by_received_at: false, categories: categories.into() })
}

fn count(summary: &mut Summary, line: &str, site: Option<&str>) {
    let (fields, ..) = Fields::scan(line.as_bytes()).expect("an object");
    let paths = EventPaths::default();
    let event = Event::new(line, fields, false, &paths);
    let source = SourceInfo { site: site.map(str::to_owned), ..SourceInfo::default() };
    let place =
        EventPlace { source: &source, line: 1, item: 0, text: line.as_bytes(), wanted: u64::MAX };
    summary.event(&event, place);
}

fn tables(summary: &Summary) -> Vec<RecordBatch> {
    let names = ["days", "types", "clock"];
    names.iter().map(|name| summary.table(name).expect("a table").rows).collect()
}

fn lines() -> impl Strategy<Value = (String, Option<&'static str>)> {
    let day = select(vec![
        "1970-01-01T00:00:00Z",
        "2014-12-31T23:59:59.999999Z",
        "2015-01-01T00:00:00Z",
        "2038-01-19T03:14:07Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "never",
    ]);
    let event_type = select(vec!["play_video", "/a", "/b", "mine", "<b>"]);
    let site = select(vec![None, Some("prod"), Some("edge")]);
    let key = select(vec!["mode", "more", "m\\u00e9"]);
    (day, event_type, 0..9u8, key, site).prop_map(|(day, event_type, user, key, site)| {
        let line = format!(
            r#"{{"time": "{day}", "event_type": "{event_type}", "username": "u{user}", "{key}": 1,
            "context": {{"user_id": {user}, "course_id": "course-v1:a+b+c{user}", "{key}": 2}}}}"#
        );
        (line, site)
    })
}

proptest! {
    #[test]
    fn parts_in_any_order_make_the_whole(
        lines in proptest::collection::vec(lines(), 0..40),
        cuts in proptest::collection::vec(any::<Index>(), 0..3),
    ) {
        let mut whole = Summary::new(query());
        lines.iter().for_each(|(line, site)| count(&mut whole, line, *site));
        let counted = Counted::new(query());
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(lines.len() + 1)).collect();
        ends.extend([0, lines.len()]);
        ends.sort_unstable();
        for ends in ends.windows(2).rev() {
            let mut part = Summary::new(query());
            lines[ends[0]..ends[1]].iter().for_each(|(line, site)| count(&mut part, line, *site));
            counted.leave(part);
        }
        let joined = counted.whole();
        prop_assert_eq!(tables(&joined), tables(&whole));
        prop_assert_eq!(joined.other_keys(), whole.other_keys());
    }

    #[test]
    fn keys_that_are_no_fields_are_all_told(
        top in proptest::collection::btree_map("[a-z\"\\\\é]{1,6}", 0..9u8, 0..12),
        inside in proptest::collection::btree_map("[a-z\"\\\\é]{1,6}", 0..9u8, 0..12),
    ) {
        let known = ["host", "ip", "name", "page", "agent", "time", "event", "data"];
        let is_other = |key: &&String| !known.contains(&key.as_str());
        let mut expected: BTreeMap<(bool, String), u64> = BTreeMap::new();
        for key in top.keys().filter(is_other) {
            expected.insert((false, key.clone()), 1);
        }
        for key in inside.keys().filter(is_other).filter(|key| !["mode", "label"].contains(&&***key)) {
            expected.insert((true, key.clone()), 1);
        }
        let mut line: serde_json::Map<_, _> =
            top.into_iter().map(|(key, value)| (key, value.into())).collect();
        line.insert("context".to_owned(), serde_json::json!(inside));
        line.insert("event_type".to_owned(), "a".into());
        let mut summary = Summary::new(query());
        count(&mut summary, &serde_json::to_string(&line).expect("JSON"), None);
        let told = summary.other_keys().into_iter();
        let told: BTreeMap<_, _> = told.map(|(of, key, n)| ((of, key.to_owned()), n)).collect();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn the_first_places_are_told_whatever_comes_first(
        noted in proptest::collection::vec((select(vec!["a", "b"]), 1..30u64), 0..30),
        cut in any::<Index>(),
    ) {
        let what = Noted::Rejected(Reason::Truncated);
        let of = |noted: &[(&str, u64)]| {
            let mut summary = Summary::new(query());
            noted.iter().for_each(|(source, line)| summary.note(what, source, *line));
            summary
        };
        let (head, tail) = noted.split_at(cut.index(noted.len() + 1));
        let mut joined = of(tail);
        joined.merge(&of(head));
        let mut first: Vec<(Box<str>, u64)> =
            noted.iter().map(|(source, line)| ((*source).into(), *line)).collect();
        first.sort();
        first.dedup();
        first.truncate(5);
        let told: Vec<_> = joined.notes().map(|(what, n, at)| (what, n, at.to_vec())).collect();
        let expected = (!noted.is_empty()).then_some((what, noted.len() as u64, first));
        prop_assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn more_groups_than_there_may_be_are_refused() {
    let mut summary = Summary::new(query());
    summary.note(Noted::Mended(Mend::Prefix), "a", 1);
    for number in 0..=MOST_GROUPS as u32 {
        let mut values: Values = [NULL; MOST_KEYS];
        values[1] = number ^ MIDDLE;
        summary.cubes[0].place(values);
    }
    let refused = summary.table("days").err().expect("too many");
    assert_eq!(
        refused.to_string(),
        "summary: more than 500000 groups; use fewer keys, or ask for fewer events"
    );
    assert!(summary.table("types").is_ok());
    assert!(summary.table("none").is_err());
}
