//! The default columns: their names, types and meaning, defined once. The Arrow schema, the
//! documentation page and the tests follow from [`COLUMNS`].

use std::borrow::Cow;

use crate::event::Event;
use crate::event::fields::Field;
use crate::frame::source::SourceInfo;
use crate::frame::types::{Column, ColumnType, Hint, Role, Value};

/// Where an event stands.
#[derive(Clone, Copy, Debug)]
pub struct EventPlace<'a> {
    /// Its source.
    pub source: &'a SourceInfo,
    /// Number of its line in the source, from 1.
    pub line: u64,
    /// Its number in the line, from 0; more than one only in lines that hold several events.
    pub item: u32,
    /// What JSON Lines write of it: its line as it stood, or its text as mended.
    pub text: &'a [u8],
    /// Which of several queries want it: a bit for each; all bits where there is one query.
    pub wanted: u64,
}

macro_rules! columns {
    ($(
        $item:ident, $name:literal, $type:ident, $hint:ident, $statistics:literal, $role:expr,
        $from:literal, $null:literal;
    )*) => {
        /// A default column.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventColumn { $(#[doc = $from] $item,)* }

        /// The default columns, in order.
        pub const COLUMNS: &[EventColumn] = &[$(EventColumn::$item,)*];

        impl EventColumn {
            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$item => $name,)* }
            }

            /// Its type.
            pub fn column_type(self) -> ColumnType {
                match self { $(Self::$item => ColumnType::$type,)* }
            }

            /// What it tells of a person, if anything.
            pub fn role(self) -> Option<Role> {
                match self { $(Self::$item => $role,)* }
            }

            /// What it holds, and where that comes from.
            pub fn from_where(self) -> &'static str {
                match self { $(Self::$item => $from,)* }
            }

            /// When it is null; empty for never.
            pub fn null_when(self) -> &'static str {
                match self { $(Self::$item => $null,)* }
            }

            /// All that an output need know of it.
            pub(crate) fn definition(self) -> Column {
                let (hint, statistics) = match self { $(Self::$item => (Hint::$hint, $statistics),)* };
                Column {
                    nullable: !self.null_when().is_empty(),
                    hint,
                    statistics,
                    role: self.role(),
                    ..Column::new(self.name(), self.column_type())
                }
            }
        }
    };
}

// Name, type, how its values lie, whether ranges are asked of it, role, origin, null rule.
columns! {
    Time, "time", Timestamp, Grows, true, None, "When it happened: `time` (UTC). The device's clock for mobile events", "no readable time";
    ReceivedAt, "received_at", Timestamp, Plain, true, None, "When the server received it: `context.received_at`; decides the day of the file", "absent or unreadable (all but mobile events)";
    EventType, "event_type", Text, Plain, true, None, "`event_type`; a URL path for implicit events; `name` where `event_type` is absent or empty", "both are absent or empty";
    Name, "name", Text, Plain, true, None, "`name`: the modern name, beside the older one in `event_type`", "absent or empty (older lines)";
    EventSource, "event_source", Text, Plain, true, None, "`event_source`: server, browser, mobile or task", "absent";
    CourseId, "course_id", Text, Plain, true, None, "The course, in its own form, by the rules of `course_source`", "no rule finds one";
    CourseSource, "course_source", Text, Plain, true, None, "Which rule found the course: context, top, payload, usage_key, url or request", "no course";
    OrgId, "org_id", Text, Plain, true, None, "Organisation of `course_id`; without a course, `context.org_id`", "neither";
    Site, "site", Text, Plain, true, None, "Site in the name of the source: prod, edge, …; user ids of two sites are different people", "the name has none";
    UserId, "user_id", Int64, Plain, true, Some(Role::PersonId), "Who acted: `context.user_id`", "anonymous, or not a 64-bit integer";
    Username, "username", Text, Plain, true, Some(Role::Username), "Who acted: `username`, white space trimmed; empty for anonymous", "absent or null";
    Session, "session", Text, Plain, false, Some(Role::PersonId), "`session`", "absent or null";
    Ip, "ip", Text, Plain, false, Some(Role::Address), "`ip`", "absent or null";
    Agent, "agent", Text, Plain, false, Some(Role::FreeText), "`agent`: the browser's own description", "absent or null";
    Host, "host", Text, Plain, false, Some(Role::Address), "`host`", "absent or null";
    Page, "page", Text, Plain, false, Some(Role::Address), "`page`: URL of the page, or `x_module`", "absent or null (most server events)";
    Referer, "referer", Text, Plain, false, Some(Role::Address), "`referer`", "absent or null (before 2015)";
    AcceptLanguage, "accept_language", Text, Plain, false, Some(Role::FreeText), "`accept_language`", "absent or null (before 2015)";
    Path, "path", Text, Plain, false, Some(Role::Address), "`context.path`: path of the request", "absent or null (before 2014)";
    Context, "context", Text, Long, false, Some(Role::FreeText), "`context` as JSON text", "absent or null (before late 2013)";
    Event, "event", Text, Long, false, Some(Role::FreeText), "The payload `event` as JSON text: an object or array as written; a string is decoded once: if that is JSON, it is kept as it is, else it becomes a JSON string", "absent or null";
    Source, "source", Text, Plain, true, None, "The file that held the line, as named below", "";
    Line, "line", Int64, Grows, true, None, "Number of the line in its source, from 1", "";
    LineItem, "line_item", Int64, Plain, true, None, "Number of the event in its line, from 0: above 0 only where a line holds several events", "";
}

impl EventColumn {
    /// The field that it copies, and the one in `context` that stands in where the line lacks the
    /// first.
    pub(crate) fn copies(self) -> Option<(Field, Field)> {
        Some(match self {
            Self::EventSource => (Field::EventSource, Field::ContextEventSource),
            Self::Session => (Field::Session, Field::ContextSession),
            Self::Ip => (Field::Ip, Field::ContextIp),
            Self::Agent => (Field::Agent, Field::ContextAgent),
            Self::Host => (Field::Host, Field::ContextHost),
            Self::Page => (Field::Page, Field::ContextPage),
            Self::Referer => (Field::Referer, Field::ContextReferer),
            Self::AcceptLanguage => (Field::AcceptLanguage, Field::ContextAcceptLanguage),
            Self::Path => (Field::ContextPath, Field::ContextPath),
            _ => return None,
        })
    }

    /// The value for an event.
    pub fn value<'e>(self, event: &'e Event<'_>, place: EventPlace<'e>) -> Value<'e> {
        if let Some((field, copy)) = self.copies() {
            return event.text_or_context(field, copy).into();
        }
        match self {
            Self::Time => event.time().map_or(Value::Null, |time| Value::Time(time.micros)),
            Self::ReceivedAt => {
                event.received_at().map_or(Value::Null, |time| Value::Time(time.micros))
            }
            Self::EventType => event.event_type().into(),
            Self::Name => event.name().into(),
            Self::CourseId => {
                event.course().map(|course| Cow::Borrowed(course.key.as_ref())).into()
            }
            Self::CourseSource => {
                event.course().map(|course| Cow::Borrowed(course.source.as_str())).into()
            }
            Self::OrgId => event.org_id().into(),
            Self::Site => place.source.site.as_deref().map(Cow::Borrowed).into(),
            Self::UserId => event.user_id().map_or(Value::Null, Value::Int),
            Self::Username => event.username().into(),
            Self::Context => event.context_json().into(),
            Self::Event => event.payload_json().into(),
            Self::Source => Value::Text(Cow::Borrowed(&place.source.name)),
            Self::Line => Value::Int(place.line as i64),
            Self::LineItem => Value::Int(i64::from(place.item)),
            // These copy a field, above.
            Self::EventSource
            | Self::Session
            | Self::Ip
            | Self::Agent
            | Self::Host
            | Self::Page
            | Self::Referer
            | Self::AcceptLanguage
            | Self::Path => Value::Null,
        }
    }
}
