//! The values of a row: what the plan of its act finds in an event.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use crate::event::Event;
use crate::event::column::{EventColumn, EventPlace};
use crate::frame::types::Value;
use crate::json::path::{Segment, find};
use crate::json::scanner::{Kind, Span};

use super::Table;
use super::decode::members::members;
use super::decode::payload::Body;
use super::decode::request::{Request, request};
use super::decode::{At, Flag, Flags, block, input, scalars};
use super::definition::{Decoder, NoValue};
use super::plan::{ActPlan, ColumnPlan, Lookup, Root, Source};
use super::values::{decode, decode_value};

const MOBILE: &str = "mobile";

/// An event on its way into rows.
pub(super) struct View<'v, 'e> {
    pub event: &'v Event<'e>,
    pub place: EventPlace<'v>,
    body: &'v Body<'v>,
    context: Option<At<'v>>,
    /// Of the body, the home, and the form.
    flags: Cell<Flags>,
    /// Its form, once it was asked for.
    form: OnceCell<Body<'v>>,
    /// The address of its request, likewise.
    address: OnceCell<Cow<'v, str>>,
}

/// What stands at the paths of an act.
pub(super) struct Found<'v> {
    payload: At<'v>,
    payload_spans: Vec<Span>,
    context: At<'v>,
    context_spans: Vec<Span>,
}

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

/// The own columns of a row, and what every table has of them.
pub(super) struct Row<'v> {
    pub values: Vec<Value<'v>>,
    pub flags: Flags,
}

/// A value that a column is read from.
enum Given<'v> {
    Json(At<'v>),
    Value(Value<'v>),
}

impl<'v, 'e> View<'v, 'e> {
    pub fn new(
        event: &'v Event<'e>,
        place: EventPlace<'v>,
        body: &'v Body<'v>,
        flags: Flags,
    ) -> Self {
        let context = event.context_value().map(|(text, span)| At { text, span });
        Self {
            event,
            place,
            body,
            context,
            flags: Cell::new(flags),
            form: OnceCell::new(),
            address: OnceCell::new(),
        }
    }

    /// The flags of the event as a whole, so far.
    pub fn flags(&self) -> Flags {
        self.flags.get()
    }

    /// Whether nobody sent it: a worker of the server wrote it.
    pub fn is_of_worker(&self) -> bool {
        let columns = [EventColumn::Username, EventColumn::Ip, EventColumn::Session];
        let is_empty = |column: &EventColumn| match column.value(self.event, self.place) {
            Value::Text(text) => text.is_empty(),
            _ => true,
        };
        self.source().as_deref() == Some("server") && columns.iter().all(is_empty)
    }

    /// What a rule asks for.
    fn look_up(&self, lookup: &Lookup) -> Option<At<'_>> {
        let steps = lookup.steps.iter().map(Segment::step);
        let at = match lookup.root {
            Root::Payload => self.body.root(),
            Root::Context => self.context?,
            Root::Line | Root::Form => return Some(self.in_line(&lookup.steps)),
        };
        Some(at.find(steps))
    }

    /// Whether there is a value, neither false nor an empty list, where a rule asks for one.
    pub fn holds(&self, lookup: &Lookup) -> bool {
        self.look_up(lookup).is_some_and(scalars::holds)
    }

    fn in_line(&self, steps: &[Segment]) -> At<'_> {
        let text = self.event.as_str();
        let line = Span { start: 0, end: text.len(), kind: Kind::Object, escaped: false };
        let span = find(text.as_bytes(), line, steps.iter().map(Segment::step));
        At { text, span: span.unwrap_or_default() }
    }

    /// What stands at the paths of an act: one walk over the payload, and one over the context.
    pub fn find(&self, act: &ActPlan) -> Found<'_> {
        let payload = self.body.root();
        let none = At { text: "", span: Span::default() };
        let context = self.context.unwrap_or(none);
        let (mut payload_spans, mut context_spans) = (Vec::new(), Vec::new());
        for (paths, value, spans) in [
            (&act.payload, payload, &mut payload_spans),
            (&act.context, context, &mut context_spans),
        ] {
            if !paths.is_empty() {
                paths.find_all(value.text.as_bytes(), value.span, spans);
            }
        }
        Found { payload, payload_spans, context, context_spans }
    }

    /// The own columns of a row.
    pub fn row<'s>(
        &'s self,
        act: &'s ActPlan,
        table: &Table,
        found: &Found<'s>,
        child: Option<&'s ChildRow<'s>>,
    ) -> Row<'s> {
        let values = vec![Value::Null; table.own.width];
        let mut row = Row { values, flags: Flags::default() };
        for column in &act.columns {
            // Most paths of a table lead nowhere in an event.
            if !column.is_of_path || column.sources.iter().any(|source| found.may_have(source)) {
                self.fill(column, act, table, found, child, &mut row);
            }
        }
        for column in &act.columns {
            if column.needs.is_some_and(|needed| row.values[needed] == Value::Null) {
                row.values[column.at] = Value::Null;
            }
            if column.unequal_to.is_some_and(|other| row.values[other] == row.values[column.at])
                && row.values[column.at] != Value::Null
            {
                row.values[column.at] = Value::Null;
                row.flags.insert(Flag::SeekFromUnknown);
            }
            if let Some(flag) = column.flag
                && row.values[column.at] == Value::Bool(true)
            {
                row.flags.insert(flag);
            }
        }
        row
    }

    /// Adds the flags that rules give to a row of an act.
    pub fn flag(&self, act: &ActPlan, flags: &mut Flags) {
        for rule in &act.flags {
            let is_then = !rule.is_dated()
                || self
                    .event
                    .time()
                    .is_some_and(|time| (rule.since..rule.until).contains(&time.micros));
            let is_its = rule.source.is_empty() || self.source().as_deref() == Some(&rule.source);
            if is_then && is_its && rule.has.as_ref().is_none_or(|has| self.holds(has)) {
                flags.insert(rule.flag);
            }
        }
    }

    /// `event_source`.
    pub fn source(&self) -> Option<Cow<'_, str>> {
        match EventColumn::EventSource.value(self.event, self.place) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn given<'s>(
        &'s self,
        source: &Source,
        found: &Found<'s>,
        child: Option<&'s ChildRow<'s>>,
    ) -> Given<'s> {
        Given::Json(match source {
            Source::Payload(number) => found.payload(*number),
            Source::Context(number) => {
                At { text: found.context.text, span: found.context_spans[*number] }
            }
            Source::Column(column) => return Given::Value(column.value(self.event, self.place)),
            Source::Line(steps) => self.in_line(steps),
            Source::Place(place, number) => child.map_or(found.none(), |row| At {
                text: row.values[*place].text,
                span: row.inside[*place].get(*number).copied().unwrap_or_default(),
            }),
            Source::Row(number) => child.map_or(found.none(), |row| At {
                text: row.value().text,
                span: row.of_row.get(*number).copied().unwrap_or_default(),
            }),
        })
    }

    /// The object whose key a column asks for: of a row the value at its place, else the root.
    fn object_of<'s>(&'s self, source: &Source, child: Option<&'s ChildRow<'s>>) -> At<'s> {
        let none = At { text: "", span: Span::default() };
        match (source, child) {
            (Source::Place(place, _), Some(row)) => row.values[*place],
            (Source::Row(_), Some(row)) => row.value(),
            (Source::Context(_), _) => self.context.unwrap_or(none),
            _ => self.body.root(),
        }
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
            Decoder::Request => return fill_request(&self.request(), column.at, row),
            Decoder::InputId => return fill_input(column.at, child, row),
            Decoder::Kind => text(Some(&*act.kind).filter(|kind| !kind.is_empty())),
            Decoder::FormInputs => {
                Value::Int(input::inputs(self.form(), without).unwrap_or_default())
            }
            Decoder::ByOther => self.by_other(table, row),
            Decoder::Payload => self.event.payload_json().into(),
            Decoder::PayloadChars => self.payload_chars(),
            Decoder::LookupId => {
                let name = self.request().lookup_name;
                let digits = |name: &Cow<'_, str>| {
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
                            decode(column, at, without, &mut row.flags)
                        }
                        Given::Json(_) => Value::Null,
                        Given::Value(value) => decode_value(column, value, without, &mut row.flags),
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
        row.values[column.at] = if is_none { Value::Null } else { value };
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
        let values = &mut row.values[column.at..column.at + 4];
        for (value, cell) in values.iter_mut().zip(cells) {
            *value = cell.into();
        }
        values[3] = Value::Text(Cow::Borrowed(from));
    }

    /// The form of a browser's event, as an object; absent where there is none.
    pub fn form(&self) -> At<'_> {
        let form = self.form.get_or_init(|| {
            let mut flags = self.flags.get();
            let form = self.body.form(&mut flags);
            self.flags.set(flags);
            form
        });
        form.root()
    }

    /// The problem that the first input of the form belongs to.
    fn first_input(&self, without: &[String]) -> Option<String> {
        let form = self.form();
        members(form).into_iter().find_map(|(key, _)| {
            let key = scalars::only_text(At { text: form.text, span: key })?;
            input::is_input(&key, without).then(|| input::problem_of(&key).to_owned())
        })
    }

    fn request(&self) -> Request<'_> {
        // What is asked for is the type of such an event; its context says the same.
        request(self.address.get_or_init(|| {
            match EventColumn::EventType.value(self.event, self.place) {
                Value::Text(text) => text,
                _ => Cow::Borrowed(""),
            }
        }))
    }

    fn payload_chars(&self) -> Value<'_> {
        self.event
            .payload_string()
            .map_or(Value::Null, |text| Value::Int(text.chars().count() as i64))
    }

    /// Whether the subject is not the actor; null if either is not known.
    fn by_other(&self, table: &Table, row: &Row<'_>) -> Value<'static> {
        match (table.own.subject_id.map(|at| &row.values[at]), self.event.user_id()) {
            (Some(Value::Int(subject)), Some(actor)) => Value::Bool(*subject != actor),
            _ => Value::Null,
        }
    }
}

impl<'v> Found<'v> {
    /// What stands at a path behind the payload.
    pub fn payload(&self, number: usize) -> At<'v> {
        At { text: self.payload.text, span: self.payload_spans[number] }
    }

    /// What stands at a path behind the context.
    pub fn context(&self, number: usize) -> At<'v> {
        At { text: self.context.text, span: self.context_spans[number] }
    }

    /// Whether there may be a value at a source.
    fn may_have(&self, source: &Source) -> bool {
        match source {
            Source::Payload(number) => self.payload_spans[*number].is_present(),
            Source::Context(number) => self.context_spans[*number].is_present(),
            _ => true,
        }
    }

    fn none(&self) -> At<'v> {
        At { text: "", span: Span::default() }
    }
}

impl<'v> ChildRow<'v> {
    /// Its own value: that at the first place which has one.
    pub fn value(&self) -> At<'v> {
        let there = self.values.iter().find(|value| value.span.is_present());
        there.copied().unwrap_or(At { text: "", span: Span::default() })
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
    row.values[at] = Value::Text(Cow::Borrowed(&child.key));
    let (part, number) = input::numbers(&child.key, &mut row.flags);
    row.values[at + 1] = part.map_or(Value::Null, Value::Int);
    row.values[at + 2] = number.map_or(Value::Null, Value::Int);
}

fn fill_request<'v>(request: &Request<'v>, at: usize, row: &mut Row<'v>) {
    let borrowed = |text: Option<&'v str>| text.map(Cow::Borrowed).into();
    let values = [
        borrowed(request.path),
        borrowed(Some(request.route)),
        request.chapter.clone().into(),
        request.section.clone().into(),
        request.position.map_or(Value::Null, Value::Int),
        request.handler.clone().into(),
        request.suffix.clone().into(),
        borrowed(request.forum_action),
        request.thread_id.clone().into(),
        request.comment_id.clone().into(),
        request.commentable_id.clone().into(),
        request.lookup_name.clone().into(),
    ];
    for (cell, value) in row.values[at..].iter_mut().zip(values) {
        *cell = value;
    }
}
