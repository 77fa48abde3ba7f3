//! The rows of children: what repeats in an event.

use std::borrow::Cow;

use ahash::AHashMap;

use super::Table;
use super::decode::members::members;
use super::decode::{At, input, scalars};
use super::plan::{ActPlan, PlacePlan, Root};
use super::row::ChildRow;
use super::view::{Found, View};
use crate::json::scanner::{Kind, Scanner};

/// The rows of an event in a table of children, in order.
pub(super) fn keys<'v>(
    view: &'v View<'_, '_>,
    act: &ActPlan,
    table: &Table,
    found: &Found<'v>,
) -> Vec<ChildRow<'v>> {
    let places = act.places.iter().enumerate();
    let places = places.map(|(at, place)| (at, value_at(view, place, found)));
    let mut rows = Vec::new();
    if table.has_items {
        for (at, list) in places {
            for (number, item) in (1..).zip(items(list)) {
                rows.push(ChildRow::new(Cow::Borrowed(""), number, act, at, item));
            }
        }
        return rows;
    }
    let mut numbers: AHashMap<Cow<'v, str>, usize> = AHashMap::new();
    for (at, object) in places {
        for (key, value) in members(object) {
            let key = scalars::only_text(At { text: object.text, span: key }).unwrap_or_default();
            if !input::is_input(&key, &table.without) {
                continue;
            }
            let value = At { text: object.text, span: value };
            match numbers.get(&key) {
                Some(&number) => rows[number].add(act, at, value),
                None => {
                    numbers.insert(key.clone(), rows.len());
                    let number = rows.len() as i64 + 1;
                    rows.push(ChildRow::new(key, number, act, at, value));
                }
            }
        }
    }
    rows
}

fn value_at<'v>(view: &'v View<'_, '_>, place: &PlacePlan, found: &Found<'v>) -> At<'v> {
    match place.root {
        Root::Payload => found.payload(place.number),
        Root::Context => found.context(place.number),
        Root::Form => view.form(),
        Root::Line => At::NONE,
    }
}

/// The items of a list.
fn items(list: At<'_>) -> Vec<At<'_>> {
    let mut items = Vec::new();
    if list.span.kind == Kind::Array {
        let mut scanner = Scanner::new(list.text.as_bytes(), list.span.start);
        // It was scanned before.
        let _ = scanner.array(|scanner, _| {
            items.push(At { text: list.text, span: scanner.value()? });
            Ok(())
        });
    }
    items
}

impl<'v> ChildRow<'v> {
    fn new(key: Cow<'v, str>, number: i64, act: &ActPlan, place: usize, value: At<'v>) -> Self {
        let places = act.places.len();
        let mut row = Self {
            key,
            number,
            values: vec![At::NONE; places],
            inside: vec![Vec::new(); places],
            of_row: Vec::new(),
        };
        row.add(act, place, value);
        row
    }

    /// Notes its value at a place.
    fn add(&mut self, act: &ActPlan, place: usize, value: At<'v>) {
        let plan = &act.places[place];
        if self.of_row.is_empty() {
            plan.of_row.find_all(value.text.as_bytes(), value.span, &mut self.of_row);
        }
        plan.paths.find_all(value.text.as_bytes(), value.span, &mut self.inside[place]);
        self.values[place] = value;
    }
}
