//! One line as an event: where each known field stands, decoded on demand. Beside it, how an odd line
//! is made an event, how one that was wrapped is opened, and which course an event belongs to.

mod attribution;
pub mod column;
pub mod course;
pub(crate) mod envelope;
pub mod fields;
pub mod mend;
pub mod paths;
mod payload;
pub(crate) mod piece;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use self::course::CourseSource;
use self::fields::{ContextKeys, Field, Fields};
use self::paths::{EventPaths, Root};
use self::payload::Payload;
use crate::frame::counts::{Odd, OddSet};
use crate::json::path::{Segment, Step, find};
use crate::json::scanner::{Kind, Oddities, Scanner, Span};
use crate::json::text;
use crate::time;

/// The course of an event, and the rule that said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course<'a> {
    /// The course id, in its own form.
    pub key: Cow<'a, str>,
    /// Where it was found.
    pub source: CourseSource,
    /// Whether the id had to be repaired.
    pub repaired: bool,
}

/// One event: its text and where its fields stand in it.
pub struct Event<'a> {
    text: &'a str,
    fields: Fields,
    course_from_context: bool,
    context_text: OnceCell<Option<ContextText<'a>>>,
    payload: OnceCell<Payload<'a>>,
    course: OnceCell<Option<Course<'a>>>,
    time: OnceCell<Option<time::Time>>,
    /// Where its time is looked for first, and what an envelope around it has there.
    time_from: Option<&'a Arc<[Segment]>>,
    time_around: Option<time::Time>,
    paths: &'a EventPaths,
    /// What stands at the paths behind each root.
    found: [OnceCell<Vec<Span>>; 3],
}

/// A context that was written as JSON text, decoded.
struct ContextText<'a> {
    text: Cow<'a, str>,
    fields: Fields,
}

impl<'a> Event<'a> {
    /// An event over a scanned object. With `course_from_context` only `context.course_id` names a
    /// course. `paths` are all that will be asked of it.
    pub fn new(
        text: &'a str,
        fields: Fields,
        course_from_context: bool,
        paths: &'a EventPaths,
    ) -> Self {
        Self {
            text,
            fields,
            course_from_context,
            context_text: OnceCell::new(),
            payload: OnceCell::new(),
            course: OnceCell::new(),
            time: OnceCell::new(),
            time_from: None,
            time_around: None,
            paths,
            found: Default::default(),
        }
    }

    /// The same event, whose time is looked for at one of its paths first; `around` is what an
    /// envelope has there.
    pub fn with_time_from(
        mut self,
        path: Option<&'a Arc<[Segment]>>,
        around: Option<time::Time>,
    ) -> Self {
        (self.time_from, self.time_around) = (path, around);
        self
    }

    /// Where its fields stand.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The object, byte for byte.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The text that a span of `field` refers to, and the span. A context that is JSON text is
    /// decoded once.
    pub(crate) fn located(&self, field: Field) -> (&str, Span) {
        let span = self.fields.get(field);
        if span.is_present()
            || (field as usize) <= Field::Context as usize
            || self.fields.get(Field::Context).kind != Kind::String
        {
            return (self.text, span);
        }
        match self.context_text() {
            Some(context) => (&context.text, context.fields.get(field)),
            None => (self.text, Span::default()),
        }
    }

    fn context_text(&self) -> Option<&ContextText<'a>> {
        self.context_text
            .get_or_init(|| {
                let text = text::decode(self.text, self.fields.get(Field::Context));
                let mut fields = Fields::default();
                let mut scanner = Scanner::new(text.as_bytes(), 0);
                scanner.space();
                fields.context(text.as_bytes(), &mut scanner).ok()?;
                let object = fields.get(Field::Context).kind == Kind::Object;
                (object && scanner.at_end()).then_some(ContextText { text, fields })
            })
            .as_ref()
    }

    /// The text of a field: strings decoded, anything else as written, `None` for null or absent.
    pub fn text(&self, field: Field) -> Option<Cow<'_, str>> {
        let (text, span) = self.located(field);
        as_text(text, span)
    }

    /// The text of a field that is a string.
    pub(crate) fn string(&self, field: Field) -> Option<Cow<'_, str>> {
        let (text, span) = self.located(field);
        if span.kind == Kind::String { as_text(text, span) } else { None }
    }

    pub(crate) fn payload(&self) -> &Payload<'a> {
        self.payload.get_or_init(|| Payload::new(self.text, self.payload_span()))
    }

    /// As [`Event::text`], borrowed from the line where that is possible.
    fn line_text(&self, field: Field) -> Option<Cow<'a, str>> {
        let span = self.fields.get(field);
        if span.kind == Kind::String {
            as_text(self.text, span)
        } else {
            self.string(field).map(|text| Cow::Owned(text.into_owned()))
        }
    }

    /// The text of a field that can be a name: lists and objects are none. So what a condition
    /// compares is what stands in the line, and can be searched for.
    pub fn name_text(&self, field: Field) -> Option<Cow<'_, str>> {
        let (text, span) = self.located(field);
        if matches!(span.kind, Kind::Array | Kind::Object) { None } else { as_text(text, span) }
    }

    /// As [`Event::name_text`], of the copy in `context` where the top level lacks the key.
    pub fn name_text_or_context(&self, field: Field, copy: Field) -> Option<Cow<'_, str>> {
        self.name_text(if self.fields.get(field).is_present() { field } else { copy })
    }

    /// The text of a field, or of its copy in `context` where the top level lacks the key.
    pub fn text_or_context(&self, field: Field, copy: Field) -> Option<Cow<'_, str>> {
        if self.fields.get(field).is_present() { self.text(field) } else { self.text(copy) }
    }

    /// As [`Event::text_or_context`], where that is a string that stands in the line as it is.
    #[inline(always)]
    pub(crate) fn plain_text(&self, field: Field, copy: Field) -> Option<&'a str> {
        let mut span = self.fields.get(field);
        if !span.is_present() {
            span = self.fields.get(copy);
        }
        let plain = span.kind == Kind::String && !span.escaped;
        if plain { Some(&self.text[span.start..span.end]) } else { None }
    }

    /// `event_type`; where it is absent or empty, `name`; `None` where both are.
    pub fn event_type(&self) -> Option<Cow<'_, str>> {
        self.text(Field::EventType).filter(|text| !text.is_empty()).or_else(|| self.name())
    }

    /// `name`, `None` where it is empty.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.text(Field::Name).filter(|text| !text.is_empty())
    }

    /// The acting user's name, trimmed.
    pub fn username(&self) -> Option<Cow<'_, str>> {
        let name = self.text_or_context(Field::Username, Field::ContextUsername)?;
        if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
            return Some(Cow::Owned(name.trim().to_owned()));
        }
        Some(name)
    }

    /// The acting user's number: integers, whole floats and digit text that fit 64 bits.
    pub fn user_id(&self) -> Option<i64> {
        let (text, span) = self.located(Field::ContextUserId);
        match span.kind {
            Kind::Number => integer(&text[span.start..span.end]),
            Kind::String => integer_text(&text::decode(text, span)),
            _ => None,
        }
    }

    /// What stands at the path that was asked for it, if one was; else `time`, else `timestamp`.
    pub fn time(&self) -> Option<time::Time> {
        *self.time.get_or_init(|| {
            if let Some(path) = self.time_from {
                let found = self.at_path(path).and_then(|(text, span)| as_time(text, span));
                if let Some(time) = found.or(self.time_around) {
                    return Some(time);
                }
            }
            let usual = self.fields.get(Field::Time);
            let span = if usual.is_present() { usual } else { self.fields.get(Field::Timestamp) };
            as_time(self.text, span)
        })
    }

    /// `context.received_at`: when the server got the event.
    pub fn received_at(&self) -> Option<time::Time> {
        let (text, span) = self.located(Field::ContextReceivedAt);
        as_time(text, span)
    }

    /// The course, by the rules of [`course::attribute`].
    pub fn course(&self) -> Option<&Course<'a>> {
        self.course
            .get_or_init(|| {
                let context = self.line_text(Field::ContextCourseId);
                if let Some(course) = context.and_then(course_from_context) {
                    return Some(course);
                }
                if self.course_from_context {
                    return None;
                }
                let (found, source) = course::attribute(self)?;
                let key = Cow::Owned(found.key.into_owned());
                Some(Course { key, source, repaired: found.repaired })
            })
            .as_ref()
    }

    /// The organisation: of the course, else the context's.
    pub fn org_id(&self) -> Option<Cow<'_, str>> {
        if let Some(org) = self.course().and_then(|course| course::org(&course.key)) {
            return Some(Cow::Borrowed(org));
        }
        self.text(Field::ContextOrgId).filter(|org| !org.is_empty())
    }

    /// The payload as JSON text.
    pub fn payload_json(&self) -> Option<Cow<'_, str>> {
        self.payload().json()
    }

    /// The context as JSON text.
    pub fn context_json(&self) -> Option<Cow<'_, str>> {
        let context = self.fields.get(Field::Context);
        if context.kind == Kind::Object {
            return Some(Cow::Borrowed(&self.text[context.start..context.end]));
        }
        Payload::new(self.text, context).json().map(|text| Cow::Owned(text.into_owned()))
    }

    /// The payload, decoded once, if it is a string.
    pub(crate) fn payload_string(&self) -> Option<Cow<'_, str>> {
        let span = self.payload_span();
        if span.kind == Kind::String { as_text(self.text, span) } else { None }
    }

    /// The context, decoded if it is JSON text, and the text that holds it.
    pub(crate) fn context_value(&self) -> Option<(&str, Span)> {
        self.behind(Root::Context)
    }

    /// Whether its context may hold one of those keys.
    pub(crate) fn context_may_hold(&self, keys: &ContextKeys) -> bool {
        // What is JSON text was not looked into.
        self.fields.get(Field::Context).kind == Kind::String
            || self.fields.may_hold(self.text.as_bytes(), keys)
    }

    /// Where the payload stands in the line.
    pub(crate) fn payload_span(&self) -> Span {
        let usual = self.fields.get(Field::Event);
        if usual.is_present() { usual } else { self.fields.get(Field::Data) }
    }

    /// The value at a path, one of those that the event was made for; `event` and `context` are
    /// decoded where they are JSON text. Gives the text that holds the value, and where it stands
    /// there.
    pub fn at_path(&self, path: &Arc<[Segment]>) -> Option<(&str, Span)> {
        let (root, number) = self.paths.place(path)?;
        let (text, value) = self.behind(root)?;
        let found = self.found[root as usize].get_or_init(|| {
            let mut found = Vec::new();
            self.paths.behind(root).find_all(text.as_bytes(), value, &mut found);
            found
        });
        found[number].is_present().then_some((text, found[number]))
    }

    /// The text that holds what is behind a root, and where it stands there.
    fn behind(&self, root: Root) -> Option<(&str, Span)> {
        Some(match (root, self.fields.get(Field::Context)) {
            (Root::Payload, _) => self.payload().value(),
            (Root::Context, Span { kind: Kind::String, .. }) => {
                let context = self.context_text()?;
                (&context.text, context.fields.get(Field::Context))
            }
            (Root::Context, context) => (self.text, context),
            (Root::Line, _) => {
                let end = self.text.len();
                (self.text, Span { start: 0, end, kind: Kind::Object, escaped: false })
            }
        })
    }

    /// What is odd about the values of this event, though it is one.
    pub fn odd_values(&self, oddities: Oddities) -> OddSet {
        let mut odd = OddSet::default();
        let mut mark = |is: bool, what: Odd| {
            if is {
                odd.insert(what);
            }
        };
        mark(oddities.big_number, Odd::NumberRange);
        mark(self.event_type().is_none(), Odd::NoEventType);
        match self.time() {
            Some(time) => mark(!time.usual, Odd::TimeFormat),
            None => mark(true, Odd::NoTime),
        }
        let context = self.fields.get(Field::Context);
        let context_is_odd = context.is_present() && context.kind != Kind::Object;
        mark(context_is_odd, Odd::ContextType);
        let (text, user_id) = self.located(Field::ContextUserId);
        let empty = matches!(user_id.kind, Kind::Absent | Kind::Null)
            || (user_id.kind == Kind::String && user_id.start == user_id.end);
        let digits = || text[user_id.start..user_id.end].bytes().all(|byte| byte.is_ascii_digit());
        mark(!empty && !digits(), Odd::UserId);
        if let Some(course) = self.course() {
            use CourseSource::{Context, Payload, Top};
            let written = matches!(course.source, Context | Top | Payload);
            mark(written && course.repaired, Odd::CourseRepaired);
            if let Some(org) = self.text(Field::ContextOrgId).filter(|org| !org.is_empty()) {
                mark(course::org(&course.key) != Some(&*org), Odd::OrgDiffers);
            }
        }
        mark(self.payload().is_broken(), Odd::PayloadNotJson);
        odd
    }
}

/// The text of a value: strings decoded, anything else as written, `None` for null or absent.
pub(crate) fn as_text(text: &str, span: Span) -> Option<Cow<'_, str>> {
    match span.kind {
        Kind::Absent | Kind::Null => None,
        Kind::String => Some(text::decode(text, span)),
        _ => Some(Cow::Borrowed(&text[span.start..span.end])),
    }
}

/// A time in any of the forms that logs hold, MongoDB's `{"$date": …}` included.
pub fn as_time(text: &str, span: Span) -> Option<time::Time> {
    match span.kind {
        Kind::String => {
            let text = text::decode(text, span);
            time::parse(&text).or_else(|| time::parse_digits(&text))
        }
        Kind::Number => time::parse_number(&text[span.start..span.end]),
        Kind::Object => {
            let date = find(text.as_bytes(), span, [Step::Key("$date")])?;
            let date = match date.kind {
                Kind::Object => find(text.as_bytes(), date, [Step::Key("$numberLong")])?,
                _ => date,
            };
            match date.kind {
                Kind::Number => time::parse_millis(&text[date.start..date.end]),
                Kind::String => {
                    let text = text::decode(text, date);
                    time::parse(&text).or_else(|| time::parse_millis(&text))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// A JSON number that is whole and fits 64 bits.
fn integer(number: &str) -> Option<i64> {
    if let Ok(value) = number.parse() {
        return Some(value);
    }
    if !number.contains(['.', 'e', 'E']) {
        return None;
    }
    let value: f64 = number.parse().ok()?;
    // From 2^53 on a float may stand for another number than the one that was written: no id.
    (value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0).then_some(value as i64)
}

fn integer_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The course that `context.course_id` names: two thirds of all events stop here, so the key is
/// borrowed where it stands as it is.
fn course_from_context(text: Cow<'_, str>) -> Option<Course<'_>> {
    let (key, repaired) = match text {
        Cow::Borrowed(text) => {
            let found = course::from_field(text, true)?;
            (found.key, found.repaired)
        }
        Cow::Owned(text) => {
            let found = course::from_field(&text, true)?;
            (Cow::Owned(found.key.into_owned()), found.repaired)
        }
    };
    Some(Course { key, source: CourseSource::Context, repaired })
}
