//! Which course an event belongs to, and which rule said so.
//!
//! Keys are compared byte for byte and kept in their own form: `course-v1:Org+Number+Run` and
//! `Org/Number/Run` are different courses, and so are a CCX and its parent. A new-style key is
//! unmistakable and found anywhere in a path; a slash key has no marker, so only its place (a
//! field for course ids, or after `/courses/`) makes it one.
//!
//! The order in which places are asked is that of [`attribute`]: what the platform itself wrote
//! first, what must be guessed from an address last. A value that is no key never stops the
//! search. Facts: the platform's key library (`edx-opaque-keys`) and the EdX Research Guide,
//! "Events in the Tracking Logs".

mod key;
mod percent;
#[cfg(test)]
mod tests;
mod url;

use std::borrow::Cow;

pub use key::org;
use key::{NAMESPACES, USAGE_NAMESPACES, is_slash_key, library, new_style};
use percent::decode;
pub use url::from_url;

/// The rule that decided an event's course, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CourseSource {
    /// `context.course_id`: the platform's own attribution.
    Context,
    /// `course_id` beside `event_type`; other tools add it.
    Top,
    /// A field of the payload for course ids.
    Payload,
    /// A new-style block or asset key in `context.module` or the payload.
    UsageKey,
    /// The address of the request or of the page.
    Url,
    /// A `POST` or `GET` parameter of the request.
    Request,
}

impl CourseSource {
    /// The word that the column `course_source` holds.
    pub fn as_str(self) -> &'static str {
        match self {
            CourseSource::Context => "context",
            CourseSource::Top => "top",
            CourseSource::Payload => "payload",
            CourseSource::UsageKey => "usage_key",
            CourseSource::Url => "url",
            CourseSource::Request => "request",
        }
    }
}

/// A legal course, CCX or library key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey<'a> {
    /// The key in its own form; a slice of the text it was found in wherever it stands there.
    pub key: Cow<'a, str>,
    /// Whether the key is not simply the text given: trimmed, decoded, its tail cut, or the
    /// course of a block. Of an address: whether the key does not stand in it as it is.
    pub repaired: bool,
}

impl FoundKey<'_> {
    fn into_owned(self) -> FoundKey<'static> {
        FoundKey { key: Cow::Owned(self.key.into_owned()), repaired: self.repaired }
    }
}

/// The places of an event that may name its course, for [`attribute`].
///
/// Each is read at most once, and only when the places before it gave nothing. A value that is
/// absent or no string is `None`. Strings come with JSON's escapes resolved.
pub trait CourseFields {
    /// `context.course_id`.
    fn context_course_id(&self) -> Option<Cow<'_, str>>;
    /// `course_id` at the top level.
    fn top_course_id(&self) -> Option<Cow<'_, str>>;
    /// The named fields of the payload `event`, an object or the JSON text of one. All are asked
    /// for at once, so that one pass over the payload serves.
    fn payload<const N: usize>(&self, names: [&'static str; N]) -> [Option<Cow<'_, str>>; N];
    /// `context.module.usage_key`.
    fn module_usage_key(&self) -> Option<Cow<'_, str>>;
    /// `event_type`.
    fn event_type(&self) -> Option<Cow<'_, str>>;
    /// `name`.
    fn name(&self) -> Option<Cow<'_, str>>;
    /// `context.path`.
    fn path(&self) -> Option<Cow<'_, str>>;
    /// `page`.
    fn page(&self) -> Option<Cow<'_, str>>;
    /// The first value of each named parameter in the object `method` (`POST` or `GET`) of the
    /// payload, where a parameter is a list of strings.
    fn request<const N: usize>(
        &self,
        method: &'static str,
        names: [&'static str; N],
    ) -> [Option<Cow<'_, str>>; N];
}

/// Payload fields for course ids, then payload fields for usage keys, each in order of trust.
const PAYLOAD: [&str; COURSE_FIELDS + 9] = [
    "course_id",
    "course_key",
    "context_key",
    "course",
    "problem_id",
    "module_id",
    "usage_key",
    "block_id",
    "item_id",
    "component_usage_id",
    "id",
    "problem",
    "location",
];
const COURSE_FIELDS: usize = 4;

/// The course of an event and the rule that found it; `None` if no place names one.
///
/// Order: `context.course_id`, `course_id`, payload fields for course ids, usage keys,
/// addresses (`event_type` and `name` if they are paths, `context.path`, `page`), parameters of
/// the request. `referer` is never asked: it is the page before.
pub fn attribute<'a>(fields: &'a impl CourseFields) -> Option<(FoundKey<'a>, CourseSource)> {
    if let Some(found) = read(fields.context_course_id(), |text| from_field(text, true)) {
        return Some((found, CourseSource::Context));
    }
    if let Some(found) = read(fields.top_course_id(), |text| from_field(text, true)) {
        return Some((found, CourseSource::Top));
    }
    let mut payload = fields.payload(PAYLOAD).into_iter();
    for text in payload.by_ref().take(COURSE_FIELDS) {
        if let Some(found) = read(text, |text| from_field(text, true)) {
            return Some((found, CourseSource::Payload));
        }
    }
    if let Some(found) = read(fields.module_usage_key(), from_usage_key) {
        return Some((found, CourseSource::UsageKey));
    }
    if let Some(found) = payload.find_map(|text| read(text, from_usage_key)) {
        return Some((found, CourseSource::UsageKey));
    }
    if let Some(found) = from_addresses(fields) {
        return Some((found, CourseSource::Url));
    }
    ["POST", "GET"]
        .into_iter()
        .flat_map(|method| fields.request(method, ["course_id", "course_key"]))
        .find_map(|text| read(text, |text| from_field(text, false)))
        .map(|found| (found, CourseSource::Request))
}

fn from_addresses<'a>(fields: &'a impl CourseFields) -> Option<FoundKey<'a>> {
    let is_path = |text: &Cow<str>| text.starts_with('/');
    let event_type = fields.event_type().filter(is_path);
    if let Some(found) = read(event_type.clone(), from_url) {
        return Some(found);
    }
    // An implicit event holds one path three times: what gave nothing is not asked again.
    let name = fields.name().filter(|name| is_path(name) && event_type.as_ref() != Some(name));
    if let Some(found) = read(name, from_url) {
        return Some(found);
    }
    let path = fields.path().filter(|path| event_type.as_ref() != Some(path));
    read(path, from_url).or_else(|| read(fields.page(), from_url))
}

fn read<'a>(
    text: Option<Cow<'a, str>>,
    rule: impl Fn(&str) -> Option<FoundKey<'_>>,
) -> Option<FoundKey<'a>> {
    match text? {
        Cow::Borrowed(text) => rule(text),
        Cow::Owned(text) => rule(&text).map(FoundKey::into_owned),
    }
}

/// The key in a field that is meant for a course id; a library's only if `libraries`.
///
/// Surrounding white space is trimmed. A text that is no key as it stands is percent-decoded,
/// at most twice; one that is stays as it is, since `%` is legal in slash keys. A block or asset
/// key gives its course, a key's `+branch@…`, `+version@…` or `+type@…` is cut, and single
/// spaces that form decoding left for `+` are turned back.
///
/// # Examples
///
/// ```
/// use edxlogs_core::event::course::from_field;
///
/// let found = from_field("course-v1%3AUnivX%2BCS101%2B2015\n", false).unwrap();
/// assert_eq!(found.key, "course-v1:UnivX+CS101+2015");
/// assert!(found.repaired);
/// assert_eq!(from_field("UnivX/CS101", false), None);
/// ```
pub fn from_field(text: &str, libraries: bool) -> Option<FoundKey<'_>> {
    first_decoded(text, |text| {
        new_style(text, &NAMESPACES)
            .or_else(|| is_slash_key(text).then_some(Cow::Borrowed(text)))
            .or_else(|| if libraries { library(text) } else { None })
    })
}

/// The course of a new-style block or asset key (`block-v1:`, `ccx-block-v1:`, `asset-v1:`).
///
/// Trimmed and decoded like [`from_field`]. Old keys (`i4x://…`) name no run, library blocks no
/// course: `None`.
pub fn from_usage_key(text: &str) -> Option<FoundKey<'_>> {
    first_decoded(text, |text| new_style(text, &NAMESPACES[..USAGE_NAMESPACES]))
}

/// `rule` on the text as it stands, then decoded once, then twice: the first answer.
fn first_decoded(text: &str, rule: impl Fn(&str) -> Option<Cow<'_, str>>) -> Option<FoundKey<'_>> {
    let trimmed = text.trim();
    if let Some(key) = rule(trimmed) {
        let repaired = key.len() != text.len() || matches!(key, Cow::Owned(_));
        return Some(FoundKey { key, repaired });
    }
    let once = decode(trimmed)?;
    let key = match rule(once.trim()) {
        Some(key) => key.into_owned(),
        None => rule(decode(&once)?.trim())?.into_owned(),
    };
    Some(FoundKey { key: Cow::Owned(key), repaired: true })
}
