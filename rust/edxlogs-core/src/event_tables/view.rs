//! An event on its way into rows, and what its payload and its context hold.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use crate::event::Event;
use crate::event::column::{EventColumn, EventPlace};
use crate::frame::types::Value;
use crate::json::path::{Segment, find};
use crate::json::scanner::{Kind, Span};

use super::decode::input::Verdicts;
use super::decode::members::members;
use super::decode::payload::Body;
use super::decode::request::{Request, request};
use super::decode::{At, Flags, input, scalars};
use super::plan::{ActPlan, Lookup, Numbers, Root, Source};
use super::row::ChildRow;

/// Where a value stands: the address of its text, and its first byte there.
type Place = (*const u8, usize);

/// An event on its way into rows.
pub(super) struct View<'v, 'e> {
    pub event: &'v Event<'e>,
    pub place: EventPlace<'v>,
    event_type: Option<&'v str>,
    body: &'v Body<'v>,
    context: Option<At<'v>>,
    /// Of the body, the home, and the form.
    flags: Cell<Flags>,
    /// Its form, once it was asked for.
    form: OnceCell<Body<'v>>,
    /// Its request, likewise.
    request: OnceCell<Request<'v>>,
}

/// What stands at the paths of an act, which is of one table.
pub(super) struct Found<'v> {
    payload: At<'v>,
    payload_spans: Vec<Span>,
    context: At<'v>,
    context_spans: Vec<Span>,
    /// Those at which something stands.
    pub there: Numbers,
    /// What was last counted of inputs, and where.
    verdicts: Cell<Option<(Place, Option<Verdicts>)>>,
}

impl<'v, 'e> View<'v, 'e> {
    pub fn new(
        event: &'v Event<'e>,
        place: EventPlace<'v>,
        event_type: Option<&'v str>,
        body: &'v Body<'v>,
        flags: Flags,
    ) -> Self {
        let context = event.context_value().map(|(text, span)| At { text, span });
        Self {
            event,
            place,
            event_type,
            body,
            context,
            flags: Cell::new(flags),
            form: OnceCell::new(),
            request: OnceCell::new(),
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

    pub fn in_line(&self, steps: &[Segment]) -> At<'_> {
        let text = self.event.as_str();
        let line = Span { start: 0, end: text.len(), kind: Kind::Object, escaped: false };
        let span = find(text.as_bytes(), line, steps.iter().map(Segment::step));
        At { text, span: span.unwrap_or_default() }
    }

    /// What stands at the paths of an act: one walk over the payload, and one over the context.
    pub fn find(&self, act: &ActPlan) -> Found<'_> {
        let payload = self.body.root();
        let context = self.context.unwrap_or(At::NONE);
        let (mut payload_spans, mut context_spans) = (Vec::new(), Vec::new());
        if !act.payload.is_empty() {
            act.payload.find_all(payload.text.as_bytes(), payload.span, &mut payload_spans);
        }
        // Most events have none of the keys of the context that a table asks for.
        let is_there = self.context.is_some() && self.event.context_may_hold(&act.context_keys);
        let context_span = if is_there { context.span } else { Span::default() };
        if !act.context.is_empty() {
            act.context.find_all(context.text.as_bytes(), context_span, &mut context_spans);
        }
        let there = Numbers::of(&payload_spans, &context_spans);
        let verdicts = Cell::default();
        Found { payload, payload_spans, context, context_spans, there, verdicts }
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

    /// The object whose key a column asks for: of a row the value at its place, else the root.
    pub fn object_of<'s>(&'s self, source: &Source, child: Option<&'s ChildRow<'s>>) -> At<'s> {
        match (source, child) {
            (Source::Place(place, _), Some(row)) => row.values[*place],
            (Source::Row(_), Some(row)) => row.value(),
            (Source::Context(_), _) => self.context.unwrap_or(At::NONE),
            _ => self.body.root(),
        }
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
    pub fn first_input(&self, without: &[String]) -> Option<String> {
        let form = self.form();
        members(form).into_iter().find_map(|(key, _)| {
            let key = scalars::only_text(At { text: form.text, span: key })?;
            input::is_input(&key, without).then(|| input::problem_of(&key).to_owned())
        })
    }

    pub fn request(&self) -> &Request<'v> {
        // What is asked for is the type of such an event; its context says the same.
        self.request.get_or_init(|| request(self.event_type.unwrap_or_default()))
    }

    pub fn payload_chars(&self) -> Value<'_> {
        self.event
            .payload_string()
            .map_or(Value::Null, |text| Value::Int(text.chars().count() as i64))
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

    /// The inputs of an object, by what the table takes for none; counted once for the several
    /// columns that ask for them.
    pub fn verdicts(&self, at: At<'_>, without: &[String]) -> Option<Verdicts> {
        let place = (at.text.as_ptr(), at.span.start);
        if let Some((last, verdicts)) = self.verdicts.get()
            && last == place
        {
            return verdicts;
        }
        let verdicts = input::verdicts(at, without);
        self.verdicts.set(Some((place, verdicts)));
        verdicts
    }
}
