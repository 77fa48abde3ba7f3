//! The values of a row: what the plan of its act finds in an event.

use std::borrow::Cow;

use crate::event::column::EventColumn;
use crate::frame::types::Value;
use crate::json::scanner::Span;

use super::Table;
use super::decode::input::Verdicts;
use super::decode::request::Request;
use super::decode::{At, Flag, Flags, block, input, scalars};
use super::definition::{Decoder, NoValue};
use super::plan::{ActPlan, ColumnPlan, Source};
use super::values::{decode, decode_value};
use super::view::{Found, View};

const MOBILE: &str = "mobile";

/// A row of a table of children: its key, and its values by the places where they stand.
pub(super) struct ChildRow<'v> {
    pub key: Cow<'v, str>,
    /// Its number in its list, from 1.
    pub number: i64,
    /// Of each place, the value there; absent where there is none.
    pub values: Vec<At<'v>>,
    /// Of each place, what stands at the paths inside its value.
    pub inside: Vec<Vec<Span>>,
    /// Behind its own value.
    pub of_row: Vec<Span>,
}

/// The own columns of a row that are not null, and what is said of it.
pub(super) struct Row<'v> {
    /// Each with its number, in order.
    values: Vec<(usize, Value<'v>)>,
    pub flags: Flags,
}

/// A value that a column is read from.
enum Given<'v> {
    Json(At<'v>),
    Value(Value<'v>),
}

impl<'v, 'e> View<'v, 'e> {
    /// The own columns of a row.
    pub fn row<'s>(
        &'s self,
        act: &'s ActPlan,
        table: &Table,
        found: &Found<'s>,
        child: Option<&'s ChildRow<'s>>,
    ) -> Row<'s> {
        let values = Vec::with_capacity(act.columns.len());
        let mut row = Row { values, flags: Flags::default() };
        for column in &act.columns {
            // Most paths of a table lead nowhere in an event.
            if column.asks.is_none_or(|asks| asks.meets(found.there)) {
                self.fill(column, act, table, found, child, &mut row);
            }
        }
        for &number in &act.checked {
            row.check(&act.columns[number]);
        }
        row
    }

    fn given<'s>(
        &'s self,
        source: &Source,
        found: &Found<'s>,
        child: Option<&'s ChildRow<'s>>,
    ) -> Given<'s> {
        Given::Json(match source {
            Source::Payload(number) => found.payload(*number),
            Source::Context(number) => found.context(*number),
            Source::Column(column) => return Given::Value(column.value(self.event, self.place)),
            Source::Line(steps) => self.in_line(steps),
            Source::Place(place, number) => child.map_or(At::NONE, |row| At {
                text: row.values[*place].text,
                span: row.inside[*place].get(*number).copied().unwrap_or_default(),
            }),
            Source::Row(number) => child.map_or(At::NONE, |row| At {
                text: row.value().text,
                span: row.of_row.get(*number).copied().unwrap_or_default(),
            }),
        })
    }

    /// Fills a column, or those of one decoder.
    fn fill<'s>(
        &'s self,
        column: &'s ColumnPlan,
        act: &'s ActPlan,
        table: &Table,
        found: &Found<'s>,
        child: Option<&'s ChildRow<'s>>,
        row: &mut Row<'s>,
    ) {
        let without = &table.without;
        let text = |text: Option<&'s str>| text.map(Cow::Borrowed).into();
        let value = match column.decoder {
            Decoder::BlockId => return self.fill_block(column, without, found, child, row),
            Decoder::Request => return fill_request(self.request(), column.at, row),
            Decoder::InputId => return fill_input(column.at, child, row),
            Decoder::Kind => text(Some(&*act.kind).filter(|kind| !kind.is_empty())),
            Decoder::FormInputs => {
                Value::Int(found.verdicts(self.form(), without).map_or(0, |all| all.inputs))
            }
            Decoder::ByOther => self.by_other(table, row),
            Decoder::Payload => self.event.payload_json().into(),
            Decoder::PayloadChars => self.payload_chars(),
            Decoder::LookupId => {
                let name = self.request().lookup_name.as_deref();
                let digits = |name: &&str| {
                    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
                };
                let id = name.filter(digits).and_then(|name| name.parse().ok());
                id.map_or(Value::Null, Value::Int)
            }
            Decoder::RowKey => text(child.map(|row| &*row.key)),
            Decoder::ItemNumber => child.map_or(Value::Null, |row| Value::Int(row.number)),
            Decoder::FoundIn | Decoder::Place => {
                let marks = child.map(|row| {
                    let both = act.places.iter().zip(&row.values);
                    both.filter(|(_, value)| value.span.is_present()).map(|(place, _)| &*place.mark)
                });
                marks.map(|marks| Cow::Owned(marks.collect())).into()
            }
            Decoder::Player => {
                let is_mobile = |source| match self.given(source, found, child) {
                    Given::Json(at) => scalars::text(at).as_deref() == Some(MOBILE),
                    Given::Value(value) => value == Value::Text(Cow::Borrowed(MOBILE)),
                };
                let is_app = column.sources.iter().any(is_mobile);
                text(Some(if is_app { MOBILE } else { "browser" }))
            }
            _ => {
                let mut value = Value::Null;
                for source in &column.sources {
                    value = match self.given(source, found, child) {
                        Given::Json(at) if column.decoder == Decoder::IsSet => {
                            let object = self.object_of(source, child);
                            scalars::is_set(object, at).map_or(Value::Null, Value::Bool)
                        }
                        Given::Json(at) if at.is_some() => {
                            let count = |count: fn(Verdicts) -> i64| {
                                let verdicts = found.verdicts(at, without);
                                verdicts.map_or(Value::Null, |all| Value::Int(count(all)))
                            };
                            match column.decoder {
                                Decoder::Inputs => count(|all| all.inputs),
                                Decoder::CorrectInputs => count(|all| all.correct),
                                Decoder::PartialInputs => count(|all| all.partial),
                                _ => decode(column, at, &mut row.flags),
                            }
                        }
                        Given::Json(_) => Value::Null,
                        Given::Value(value) => decode_value(column, value, &mut row.flags),
                    };
                    if value != Value::Null {
                        break;
                    }
                }
                value
            }
        };
        let is_none = column.nulls.iter().any(|null| match (null, &value) {
            (NoValue::Text(null), Value::Text(text)) => text == null,
            (NoValue::Number(null), Value::Float(number)) => number == null,
            (NoValue::Number(null), Value::Int(number)) => *number as f64 == *null,
            _ => false,
        });
        if !is_none {
            row.push(column.at, value);
        }
    }

    /// The four columns of a block: its key is at a path, in the form, in the context, or in an
    /// address. Of a row of children that has a block of its own, nothing but the row tells it.
    fn fill_block<'s>(
        &'s self,
        column: &'s ColumnPlan,
        without: &[String],
        found: &Found<'s>,
        child: Option<&'s ChildRow<'s>>,
        row: &mut Row<'s>,
    ) {
        let key_of = |source| match self.given(source, found, child) {
            Given::Json(at) => scalars::text(at),
            Given::Value(Value::Text(text)) => Some(text),
            Given::Value(_) => None,
        };
        let key_of = |source| key_of(source).filter(|key| !key.is_empty());
        let mut sources = column.sources.iter().zip(&column.names);
        let of_context = if column.is_of_row { None } else { sources.next_back() };
        let mut key = sources.find_map(|(source, name)| Some((key_of(source)?, &**name)));
        if key.is_none() && column.has_form {
            key = self.first_input(without).map(|id| (Cow::Owned(id), "input_id"));
        }
        if key.is_none() {
            key = of_context.and_then(|(source, name)| Some((key_of(source)?, &**name)));
        }
        if key.is_none() && !column.is_of_row {
            let places =
                [(EventColumn::Path, "context.path"), (EventColumn::EventType, "event_type")];
            key = places.into_iter().find_map(|(column, name)| {
                match column.value(self.event, self.place) {
                    Value::Text(address) => {
                        let key = block::usage_key_in(&address)?.into_owned();
                        Some((Cow::Owned(key), name))
                    }
                    _ => None,
                }
            });
        }
        let Some((key, from)) = key else {
            if column.is_required {
                row.flags.insert(Flag::NoBlock);
            }
            return;
        };
        let course = self.event.course().map(|course| &*course.key);
        let (cells, is_guess) = match key {
            Cow::Borrowed(key) => block_cells(key, course),
            Cow::Owned(key) => {
                let (cells, is_guess) = block_cells(&key, course);
                (cells.map(|cell| cell.map(|text| Cow::Owned(text.into_owned()))), is_guess)
            }
        };
        if is_guess || (column.is_required && cells[2].is_none()) {
            row.flags.insert(Flag::NoBlock);
        }
        for (at, cell) in (column.at..).zip(cells) {
            row.push(at, cell.into());
        }
        row.push(column.at + 3, Value::Text(Cow::Borrowed(from)));
    }

    /// Whether the subject is not the actor; null if either is not known.
    fn by_other(&self, table: &Table, row: &Row<'_>) -> Value<'static> {
        match (table.own.subject_id.map(|at| row.value(at)), self.event.user_id()) {
            (Some(Value::Int(subject)), Some(actor)) => Value::Bool(*subject != actor),
            _ => Value::Null,
        }
    }
}

impl<'v> Row<'v> {
    /// Takes the next column, which stands behind those that it has.
    fn push(&mut self, at: usize, value: Value<'v>) {
        if !value.is_null() {
            self.values.push((at, value));
        }
    }

    /// The value of a column.
    pub fn value(&self, at: usize) -> &Value<'v> {
        let value = self.values.iter().find(|(number, _)| *number == at);
        value.map_or(&Value::Null, |(_, value)| value)
    }

    /// Those that are not null, each with its number.
    pub fn values(&self) -> &[(usize, Value<'v>)] {
        &self.values
    }

    /// Applies what a column says of itself beside others.
    fn check(&mut self, column: &ColumnPlan) {
        if column.needs.is_some_and(|needed| self.value(needed).is_null()) {
            self.forget(column.at);
        }
        let value = self.value(column.at);
        let is_flagged = *value == Value::Bool(true);
        let is_equal =
            !value.is_null() && column.unequal_to.is_some_and(|other| self.value(other) == value);
        if is_equal {
            self.forget(column.at);
            self.flags.insert(Flag::SeekFromUnknown);
        } else if let Some(flag) = column.flag.filter(|_| is_flagged) {
            self.flags.insert(flag);
        }
    }

    fn forget(&mut self, at: usize) {
        self.values.retain(|(number, _)| *number != at);
    }
}

impl<'v> ChildRow<'v> {
    /// Its own value: that at the first place which has one.
    pub fn value(&self) -> At<'v> {
        let there = self.values.iter().find(|value| value.span.is_present());
        there.copied().unwrap_or(At::NONE)
    }
}

/// Key, type and id of a block, and whether they are guessed.
fn block_cells<'k>(key: &'k str, course: Option<&str>) -> ([Option<Cow<'k, str>>; 3], bool) {
    let key = block::joined_keys(block::owner(key).1).0;
    let block = block::block(key, course);
    ([Some(Cow::Borrowed(key)), block.block_type, block.id], block.is_guess)
}

fn fill_input<'v>(at: usize, child: Option<&'v ChildRow<'v>>, row: &mut Row<'v>) {
    let Some(child) = child else {
        return;
    };
    row.push(at, Value::Text(Cow::Borrowed(&child.key)));
    let (part, number) = input::numbers(&child.key, &mut row.flags);
    row.push(at + 1, part.map_or(Value::Null, Value::Int));
    row.push(at + 2, number.map_or(Value::Null, Value::Int));
}

fn fill_request<'v>(request: &'v Request<'_>, at: usize, row: &mut Row<'v>) {
    let text = |text: Option<&'v str>| text.map(Cow::Borrowed).into();
    let values = [
        text(request.path),
        text(Some(request.route)),
        text(request.chapter.as_deref()),
        text(request.section.as_deref()),
        request.position.map_or(Value::Null, Value::Int),
        text(request.handler.as_deref()),
        text(request.suffix.as_deref()),
        text(request.forum_action),
        text(request.thread_id.as_deref()),
        text(request.comment_id.as_deref()),
        text(request.commentable_id.as_deref()),
        text(request.lookup_name.as_deref()),
    ];
    for (at, value) in (at..).zip(values) {
        row.push(at, value);
    }
}
