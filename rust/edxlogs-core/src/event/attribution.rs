//! The places of an event where a course may be named, for [`course::attribute`].

use std::borrow::Cow;

use crate::event::course;
use crate::event::fields::Field;
use crate::event::{Event, as_text};
use crate::json::path::{Step, find, key_is};
use crate::json::scanner::{Kind, Scanner, Span};

/// The members of those names in the object at `object` of `text`, the last of duplicates.
fn members<const N: usize>(text: &str, object: Span, names: [&'static str; N]) -> [Span; N] {
    let mut found = [Span::default(); N];
    if object.kind != Kind::Object {
        return found;
    }
    let bytes = text.as_bytes();
    let mut scanner = Scanner::new(bytes, object.start);
    // The text was scanned before, so it scans again.
    let _ = scanner.object(|scanner, key| {
        let place = names.iter().position(|name| key_is(bytes, key, name));
        let value = scanner.value()?;
        if let Some(place) = place {
            found[place] = value;
        }
        Ok(())
    });
    found
}

/// The text of a string; other kinds of values name no course.
fn string(text: &str, span: Span) -> Option<Cow<'_, str>> {
    if span.kind == Kind::String { as_text(text, span) } else { None }
}

impl course::CourseFields for Event<'_> {
    fn context_course_id(&self) -> Option<Cow<'_, str>> {
        self.string(Field::ContextCourseId)
    }

    fn top_course_id(&self) -> Option<Cow<'_, str>> {
        self.string(Field::CourseId)
    }

    fn payload<const N: usize>(&self, names: [&'static str; N]) -> [Option<Cow<'_, str>>; N] {
        let (text, payload) = self.payload().value();
        members(text, payload, names).map(|span| string(text, span))
    }

    fn module_usage_key(&self) -> Option<Cow<'_, str>> {
        let (text, module) = self.located(Field::ContextModule);
        let span = find(text.as_bytes(), module, [Step::Key("usage_key")])?;
        string(text, span)
    }

    fn event_type(&self) -> Option<Cow<'_, str>> {
        self.string(Field::EventType)
    }

    fn name(&self) -> Option<Cow<'_, str>> {
        self.string(Field::Name)
    }

    fn path(&self) -> Option<Cow<'_, str>> {
        self.string(Field::ContextPath)
    }

    fn page(&self) -> Option<Cow<'_, str>> {
        self.text_or_context(Field::Page, Field::ContextPage)
    }

    fn request<const N: usize>(
        &self,
        method: &'static str,
        names: [&'static str; N],
    ) -> [Option<Cow<'_, str>>; N] {
        let (text, payload) = self.payload().value();
        let [parameters] = members(text, payload, [method]);
        members(text, parameters, names).map(|span| {
            let first = match span.kind {
                Kind::Array => find(text.as_bytes(), span, [Step::Index(0)])?,
                _ => span,
            };
            string(text, first)
        })
    }
}
