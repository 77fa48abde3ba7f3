//! The known fields of a line, located in one walk.

use self::names::Names;
use crate::json::path::{Step, find};
use crate::json::quotes::Quotes;
use crate::json::scanner::{Fault, Kind, Oddities, Scanner, Span};
use crate::json::text;

mod names;
mod plain;

/// The fields that the scanner locates.
///
/// Source: EdX Research Guide, "Events in the Tracking Logs", and the platform's public code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[allow(missing_docs, reason = "each is named for the key it stands for")]
pub enum Field {
    AcceptLanguage,
    Agent,
    Event,
    EventSource,
    EventType,
    Host,
    Ip,
    Name,
    Page,
    Referer,
    Session,
    Time,
    Username,
    CourseId,
    /// `data`: the payload of an event in the platform's in-process shape.
    Data,
    /// `timestamp`: the time of an event in the in-process shape.
    Timestamp,
    Context,
    ContextAcceptLanguage,
    ContextAgent,
    ContextCourseId,
    ContextEventSource,
    ContextHost,
    ContextIp,
    ContextModule,
    ContextOrgId,
    ContextPage,
    ContextPath,
    ContextReceivedAt,
    ContextReferer,
    ContextSession,
    ContextUserId,
    ContextUsername,
}

const FIELDS: usize = Field::ContextUsername as usize + 1;

/// The keys that are known in a line, and those in its `context`.
static TOP: Names = Names::new(&[
    ("accept_language", Field::AcceptLanguage),
    ("agent", Field::Agent),
    ("context", Field::Context),
    ("course_id", Field::CourseId),
    ("data", Field::Data),
    ("event", Field::Event),
    ("event_source", Field::EventSource),
    ("event_type", Field::EventType),
    ("host", Field::Host),
    ("ip", Field::Ip),
    ("name", Field::Name),
    ("page", Field::Page),
    ("referer", Field::Referer),
    ("session", Field::Session),
    ("time", Field::Time),
    ("timestamp", Field::Timestamp),
    ("username", Field::Username),
]);

static CONTEXT: Names = Names::new(&[
    ("accept_language", Field::ContextAcceptLanguage),
    ("agent", Field::ContextAgent),
    ("course_id", Field::ContextCourseId),
    ("event_source", Field::ContextEventSource),
    ("host", Field::ContextHost),
    ("ip", Field::ContextIp),
    ("module", Field::ContextModule),
    ("org_id", Field::ContextOrgId),
    ("page", Field::ContextPage),
    ("path", Field::ContextPath),
    ("received_at", Field::ContextReceivedAt),
    ("referer", Field::ContextReferer),
    ("session", Field::ContextSession),
    ("user_id", Field::ContextUserId),
    ("username", Field::ContextUsername),
]);

/// Keys of a context that are looked for.
#[derive(Clone, Debug, Default)]
pub struct ContextKeys {
    fields: Vec<Field>,
    /// Those that are no known fields.
    others: Vec<String>,
}

impl ContextKeys {
    /// Adds one; without a key, the context itself.
    pub fn add(&mut self, key: Option<&str>) {
        let context = Some(Field::Context);
        match key.map_or(context, |key| CONTEXT.find(key.as_bytes(), 0, key.len())) {
            Some(field) if self.fields.contains(&field) => {}
            Some(field) => self.fields.push(field),
            None => self.others.extend(key.map(str::to_owned)),
        }
    }
}

/// Where the known fields of one object stand.
#[derive(Clone, Debug)]
pub struct Fields {
    places: [SmallSpan; FIELDS],
    duplicate: bool,
    others: Others,
}

/// Keys that are no fields, as far as there is room for them.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    count: u32,
    keys: [OtherKey; MOST_OTHERS],
}

/// More are looked for once more, by those who want them.
const MOST_OTHERS: usize = 6;

/// A key that is no field: where it stands, and whether that is in the context.
#[derive(Clone, Copy, Debug, Default)]
struct OtherKey {
    start: u32,
    end: u32,
    in_context: bool,
}

/// A [`Span`] in little room: every line has one for each known field, and a line is far shorter
/// than 4 GiB.
#[derive(Clone, Copy, Debug, Default)]
struct SmallSpan {
    start: u32,
    end: u32,
    kind: Kind,
    escaped: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self { places: [SmallSpan::default(); FIELDS], duplicate: false, others: Others::default() }
    }
}

impl Fields {
    /// Scans the object that starts at the first byte of `text`; the offset after it and what was
    /// met. The last of duplicate keys counts.
    ///
    /// # Errors
    /// The [`Fault`] that ends the object.
    pub fn scan(text: &[u8]) -> Result<(Self, usize, Oddities), Fault> {
        let mut fields = Self::default();
        let mut scanner = Scanner::new(text, 0);
        scanner.object(|scanner, key| {
            let field = known(text, key, &TOP);
            if field == Some(Field::Context) {
                return fields.context(text, scanner);
            }
            let span = scanner.value()?;
            fields.put(field, span);
            if field.is_none() {
                fields.other(key.start, key.end, false);
            }
            Ok(())
        })?;
        Ok((fields, scanner.position(), scanner.odd))
    }

    /// As [`Fields::scan`] of a text that is one object and nothing else; `quotes` is room for the
    /// fast pass.
    pub fn scan_whole(text: &[u8], quotes: &mut Quotes) -> Option<(Self, Oddities)> {
        if quotes.map(text).is_some()
            && let Some(fields) = plain::locate(text, quotes)
        {
            return Some((fields, Oddities::default()));
        }
        let (fields, length, odd) = Self::scan(text).ok()?;
        (length == text.len()).then_some((fields, odd))
    }

    pub(crate) fn context(&mut self, text: &[u8], scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let start = scanner.position();
        self.places[Field::Context as usize + 1..].fill(SmallSpan::default());
        let span = if scanner.byte()? == b'{' {
            scanner.object(|scanner, key| {
                let span = scanner.value()?;
                let field = known(text, key, &CONTEXT);
                self.put(field, span);
                if field.is_none() {
                    self.other(key.start, key.end, true);
                }
                Ok(())
            })?;
            Span { start, end: scanner.position(), kind: Kind::Object, escaped: false }
        } else {
            scanner.value()?
        };
        self.put(Some(Field::Context), span);
        Ok(())
    }

    fn put(&mut self, field: Option<Field>, span: Span) {
        if let Some(field) = field {
            let place = &mut self.places[field as usize];
            self.duplicate |= place.kind != Kind::Absent;
            let Span { start, end, kind, escaped } = span;
            *place = SmallSpan { start: start as u32, end: end as u32, kind, escaped };
        }
    }

    #[inline(always)]
    fn other(&mut self, start: usize, end: usize, in_context: bool) {
        if let Some(key) = self.others.keys.get_mut(self.others.count as usize) {
            *key = OtherKey { start: start as u32, end: end as u32, in_context };
        }
        self.others.count += 1;
    }

    /// The keys of the line and of its context that are no fields, as they are written; `text` is
    /// what was scanned. Told with each is whether it stands in the context.
    pub fn each_other<'t>(&self, text: &'t [u8], take: &mut dyn FnMut(&'t [u8], bool)) {
        if self.others.count as usize <= MOST_OTHERS {
            for key in &self.others.keys[..self.others.count as usize] {
                take(&text[key.start as usize..key.end as usize], key.in_context);
            }
            return;
        }
        let mut scanner = Scanner::new(text, 0);
        let of_line = scanner.object(|scanner, key| {
            let field = known(text, key, &TOP);
            if field == Some(Field::Context) && scanner.byte()? == b'{' {
                return scanner.object(|scanner, key| {
                    if known(text, key, &CONTEXT).is_none() {
                        take(&text[key.start..key.end], true);
                    }
                    scanner.value().map(drop)
                });
            }
            if field.is_none() {
                take(&text[key.start..key.end], false);
            }
            scanner.value().map(drop)
        });
        debug_assert!(of_line.is_ok(), "it was scanned before");
    }

    /// Whether the context may hold one of those keys; `text` is what was scanned.
    pub fn may_hold(&self, text: &[u8], keys: &ContextKeys) -> bool {
        let Others { count, keys: others } = &self.others;
        let is_asked = |key: &OtherKey| {
            let key = &text[key.start as usize..key.end as usize];
            key.contains(&b'\\') || keys.others.iter().any(|asked| asked.as_bytes() == key)
        };
        let may_be_other = || match others.get(..*count as usize) {
            Some(others) => others.iter().any(|key| key.in_context && is_asked(key)),
            None => true,
        };
        keys.fields.iter().any(|&field| self.get(field).is_present())
            || !keys.others.is_empty() && may_be_other()
    }

    /// Where a field stands.
    pub fn get(&self, field: Field) -> Span {
        self.span(field as usize)
    }

    fn span(&self, number: usize) -> Span {
        let SmallSpan { start, end, kind, escaped } = self.places[number];
        Span { start: start as usize, end: end as usize, kind, escaped }
    }

    /// Whether the object is a tracking event: it has a type or a source; or a name beside a payload or
    /// a context; or a time beside what else every event has. A name or a time alone tells nothing:
    /// the wrappers of log shippers and the lines of other loggers have them, too.
    pub fn is_event(&self) -> bool {
        use Field::{
            Context, Data, Event, EventSource, EventType, Name, Page, Session, Time, Username,
        };
        let has = |field: Field| self.places[field as usize].kind != Kind::Absent;
        let has_any = |fields: &[Field]| fields.iter().any(|&field| has(field));
        has(EventType)
            || has(EventSource)
            || has(Name) && has_any(&[Event, Data, Context])
            || has(Time) && has_any(&[Username, Event, Context, Page, Session])
    }

    /// Whether it has both a type and a source, which no payload or context has.
    pub fn is_surely_event(&self) -> bool {
        self.get(Field::EventSource).is_present()
            && (self.get(Field::EventType).is_present() || self.get(Field::Name).is_present())
    }

    /// Whether a known key stood twice in its object.
    pub fn has_duplicate(&self) -> bool {
        self.duplicate
    }

    /// Whether the event is in the in-process shape, before the platform's logger reshapes it:
    /// `data` or `timestamp` where a line has `event` or `time`.
    pub fn is_prelog(&self) -> bool {
        let stands_for =
            |field, usual| self.get(field).is_present() && !self.get(usual).is_present();
        stands_for(Field::Timestamp, Field::Time) || stands_for(Field::Data, Field::Event)
    }

    /// Whether the time is MongoDB's extended JSON. `text` is what was scanned.
    pub fn is_mongo_export(&self, text: &[u8]) -> bool {
        let time = self.get(Field::Time);
        time.kind == Kind::Object && find(text, time, [Step::Key("$date")]).is_some()
    }
}

fn known(text: &[u8], key: Span, names: &Names) -> Option<Field> {
    if !key.escaped {
        return names.find(text, key.start, key.end);
    }
    let mut decoded = Vec::with_capacity(key.end - key.start);
    text::unescape(&text[key.start..key.end], &mut decoded);
    names.find(&decoded, 0, decoded.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_that_may_hold_keys() {
        let may_hold = |line: &str, keys: &[Option<&str>]| {
            let (fields, ..) = Fields::scan(line.as_bytes()).expect("an object");
            let mut asked = ContextKeys::default();
            keys.iter().for_each(|key| asked.add(*key));
            fields.may_hold(line.as_bytes(), &asked)
        };
        let module = r#"{"context": {"module": {}, "x": 1}, "y": 2}"#;
        assert!(may_hold(module, &[Some("module")]));
        assert!(may_hold(module, &[Some("path"), Some("x")]));
        assert!(!may_hold(module, &[Some("y"), Some("xx")]));
        assert!(!may_hold(module, &[Some("path")]));
        assert!(!may_hold(module, &[]));
        assert!(may_hold(module, &[None]));
        assert!(!may_hold(r#"{"y": 2}"#, &[Some("y"), None]), "beside a context");
        assert!(may_hold(r#"{"context": {"\u0078": 1}}"#, &[Some("x")]), "however it is spelled");
        let many =
            r#"{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "context": {"x": 1}}"#;
        assert!(may_hold(many, &[Some("x")]), "more than are noted");
    }
}
