//! The known fields of a line, located in one walk.

use crate::path::{Step, find};
use crate::scanner::{Fault, Kind, Oddities, Scanner, Span};
use crate::text;

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

fn top_field(key: &[u8]) -> Option<Field> {
    Some(match key {
        b"accept_language" => Field::AcceptLanguage,
        b"agent" => Field::Agent,
        b"context" => Field::Context,
        b"course_id" => Field::CourseId,
        b"data" => Field::Data,
        b"event" => Field::Event,
        b"event_source" => Field::EventSource,
        b"event_type" => Field::EventType,
        b"host" => Field::Host,
        b"ip" => Field::Ip,
        b"name" => Field::Name,
        b"page" => Field::Page,
        b"referer" => Field::Referer,
        b"session" => Field::Session,
        b"time" => Field::Time,
        b"timestamp" => Field::Timestamp,
        b"username" => Field::Username,
        _ => return None,
    })
}

fn context_field(key: &[u8]) -> Option<Field> {
    Some(match key {
        b"accept_language" => Field::ContextAcceptLanguage,
        b"agent" => Field::ContextAgent,
        b"course_id" => Field::ContextCourseId,
        b"event_source" => Field::ContextEventSource,
        b"host" => Field::ContextHost,
        b"ip" => Field::ContextIp,
        b"module" => Field::ContextModule,
        b"org_id" => Field::ContextOrgId,
        b"page" => Field::ContextPage,
        b"path" => Field::ContextPath,
        b"received_at" => Field::ContextReceivedAt,
        b"referer" => Field::ContextReferer,
        b"session" => Field::ContextSession,
        b"user_id" => Field::ContextUserId,
        b"username" => Field::ContextUsername,
        _ => return None,
    })
}

/// Where the known fields of one object stand.
#[derive(Clone, Debug)]
pub struct Fields {
    places: [Place; FIELDS],
    duplicate: bool,
}

/// A [`Span`] in little room: every line has one for each known field, and a line is far shorter
/// than 4 GiB.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    end: u32,
    kind: Kind,
    escaped: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self { places: [Place::default(); FIELDS], duplicate: false }
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
            let field = known(text, key, top_field);
            if field == Some(Field::Context) {
                return fields.context(text, scanner);
            }
            let span = scanner.value()?;
            fields.put(field, span);
            Ok(())
        })?;
        Ok((fields, scanner.position(), scanner.odd))
    }

    pub(crate) fn context(&mut self, text: &[u8], scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let start = scanner.position();
        self.places[Field::Context as usize + 1..].fill(Place::default());
        let span = if scanner.byte()? == b'{' {
            scanner.object(|scanner, key| {
                let span = scanner.value()?;
                self.put(known(text, key, context_field), span);
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
            *place = Place { start: start as u32, end: end as u32, kind, escaped };
        }
    }

    /// Where a field stands.
    pub fn get(&self, field: Field) -> Span {
        let Place { start, end, kind, escaped } = self.places[field as usize];
        Span { start: start as usize, end: end as usize, kind, escaped }
    }

    /// Whether the object is a tracking event: it has one of the four keys that every one has.
    pub fn is_event(&self) -> bool {
        [Field::EventType, Field::Name, Field::EventSource, Field::Time]
            .iter()
            .any(|&field| self.get(field).is_present())
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
    /// `data` and `timestamp` where a line has `event` and `time`.
    pub fn is_prelog(&self) -> bool {
        !self.get(Field::Time).is_present() && self.get(Field::Timestamp).is_present()
    }

    /// Whether the time is MongoDB's extended JSON. `text` is what was scanned.
    pub fn is_mongo_export(&self, text: &[u8]) -> bool {
        let time = self.get(Field::Time);
        time.kind == Kind::Object && find(text, time, [Step::Key("$date")]).is_some()
    }
}

fn known(text: &[u8], key: Span, field: impl Fn(&[u8]) -> Option<Field>) -> Option<Field> {
    let raw = &text[key.start..key.end];
    if key.escaped {
        let mut decoded = Vec::with_capacity(raw.len());
        text::unescape(raw, &mut decoded);
        field(&decoded)
    } else {
        field(raw)
    }
}
