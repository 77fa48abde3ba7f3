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

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};

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
pub struct Found<'a> {
    /// The key in its own form; a slice of the text it was found in wherever it stands there.
    pub key: Cow<'a, str>,
    /// Whether the key is not simply the text given: trimmed, decoded, its tail cut, or the
    /// course of a block. Of an address: whether the key does not stand in it as it is.
    pub repaired: bool,
}

impl Found<'_> {
    fn into_owned(self) -> Found<'static> {
        Found {
            key: Cow::Owned(self.key.into_owned()),
            repaired: self.repaired,
        }
    }
}

/// The places of an event that may name its course, for [`attribute`].
///
/// Each is read at most once, and only when the places before it gave nothing. A value that is
/// absent or no string is `None`. Strings come with JSON's escapes resolved.
pub trait Fields {
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
pub fn attribute<'a>(fields: &'a impl Fields) -> Option<(Found<'a>, CourseSource)> {
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

fn from_addresses<'a>(fields: &'a impl Fields) -> Option<Found<'a>> {
    let is_path = |text: &Cow<str>| text.starts_with('/');
    let event_type = fields.event_type().filter(is_path);
    if let Some(found) = read(event_type.clone(), from_url) {
        return Some(found);
    }
    // An implicit event holds one path three times: what gave nothing is not asked again.
    let name = fields
        .name()
        .filter(|name| is_path(name) && event_type.as_ref() != Some(name));
    if let Some(found) = read(name, from_url) {
        return Some(found);
    }
    let path = fields
        .path()
        .filter(|path| event_type.as_ref() != Some(path));
    read(path, from_url).or_else(|| read(fields.page(), from_url))
}

fn read<'a>(
    text: Option<Cow<'a, str>>,
    rule: impl Fn(&str) -> Option<Found<'_>>,
) -> Option<Found<'a>> {
    match text? {
        Cow::Borrowed(text) => rule(text),
        Cow::Owned(text) => rule(&text).map(Found::into_owned),
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
/// use edxlogs_core::course::from_field;
///
/// let found = from_field("course-v1%3AUnivX%2BCS101%2B2015\n", false).unwrap();
/// assert_eq!(found.key, "course-v1:UnivX+CS101+2015");
/// assert!(found.repaired);
/// assert_eq!(from_field("UnivX/CS101", false), None);
/// ```
pub fn from_field(text: &str, libraries: bool) -> Option<Found<'_>> {
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
pub fn from_usage_key(text: &str) -> Option<Found<'_>> {
    first_decoded(text, |text| {
        new_style(text, &NAMESPACES[..USAGE_NAMESPACES])
    })
}

/// The course that an address names: a path, or a URL with host, query and fragment.
///
/// First a new-style key anywhere in the path, as it stands, decoded once, decoded twice; else
/// the three segments after `/courses/`; else the query's `course_id` or `course_key`. What
/// copying a link leaves at its end is cut off a new-style key. `data:` URLs name nothing.
pub fn from_url(url: &str) -> Option<Found<'_>> {
    let url = url.trim();
    if url
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
    {
        return None;
    }
    let url = memchr(b'#', url.as_bytes()).map_or(url, |at| &url[..at]);
    let (address, query) = match memchr(b'?', url.as_bytes()) {
        Some(at) => (&url[..at], Some(&url[at + 1..])),
        None => (url, None),
    };
    from_path(path_of(address)).or_else(|| from_query(query?))
}

/// The organisation of a key: its first part, as written.
pub fn org(key: &str) -> Option<&str> {
    // A slash key holds no colon, so the first one ends a namespace.
    let body = memchr(b':', key.as_bytes()).map_or(key, |at| &key[at + 1..]);
    let end = body.find(['+', '/'])?;
    (end > 0).then(|| &body[..end])
}

/// A namespace of new-style keys, and the namespace of the courses that its keys name.
struct Namespace {
    prefix: &'static str,
    course: &'static str,
}

const COURSE: &str = "course-v1:";
const CCX: &str = "ccx-v1:";
const LIBRARY: &str = "library-v1:";

/// Those of usage keys first.
const NAMESPACES: [Namespace; USAGE_NAMESPACES + 2] = [
    Namespace {
        prefix: "block-v1:",
        course: COURSE,
    },
    Namespace {
        prefix: "ccx-block-v1:",
        course: CCX,
    },
    Namespace {
        prefix: "asset-v1:",
        course: COURSE,
    },
    Namespace {
        prefix: COURSE,
        course: COURSE,
    },
    Namespace {
        prefix: CCX,
        course: CCX,
    },
];
const USAGE_NAMESPACES: usize = 3;

/// What may follow the course in a key, and is cut.
const TAILS: [&str; 3] = ["type@", "branch@", "version@"];

/// `rule` on the text as it stands, then decoded once, then twice: the first answer.
fn first_decoded(text: &str, rule: impl Fn(&str) -> Option<Cow<'_, str>>) -> Option<Found<'_>> {
    let trimmed = text.trim();
    if let Some(key) = rule(trimmed) {
        let repaired = key.len() != text.len() || matches!(key, Cow::Owned(_));
        return Some(Found { key, repaired });
    }
    let once = decode(trimmed)?;
    let key = match rule(once.trim()) {
        Some(key) => key.into_owned(),
        None => rule(decode(&once)?.trim())?.into_owned(),
    };
    Some(Found {
        key: Cow::Owned(key),
        repaired: true,
    })
}

/// The course of a text that is a new-style key from its first byte to its last.
fn new_style<'a>(text: &'a str, namespaces: &[Namespace]) -> Option<Cow<'a, str>> {
    let namespace = namespaces
        .iter()
        .find(|namespace| text.starts_with(namespace.prefix))?;
    let course = Course::at_start(&text[namespace.prefix.len()..], namespace)?;
    (course.rest.is_empty() || course.has_tail()).then(|| course.key(text, namespace))
}

fn library(text: &str) -> Option<Cow<'_, str>> {
    let body = text.strip_prefix(LIBRARY)?;
    let (len, separator) = leading_parts(body, NEW_STYLE, 2)?;
    let rest = &body[len..];
    if !rest.is_empty() && !is_tail(rest, separator) {
        return None;
    }
    let key = &text[..LIBRARY.len() + len];
    Some(if separator == b' ' {
        Cow::Owned(key.replace(' ', "+"))
    } else {
        Cow::Borrowed(key)
    })
}

/// The course at the start of the body of a new-style key.
struct Course<'a> {
    body: &'a str,
    rest: &'a str,
    separator: u8,
}

impl<'a> Course<'a> {
    fn at_start(text: &'a str, namespace: &Namespace) -> Option<Self> {
        let (mut len, separator) = leading_parts(text, NEW_STYLE, 3)?;
        if namespace.course == CCX {
            let number = after(&text[len..], separator)?.strip_prefix("ccx@")?;
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            // What is no digit but could be part of a word makes it another key.
            if digits == 0 || number[digits..].starts_with(is_word) {
                return None;
            }
            len += "+ccx@".len() + digits;
        }
        Some(Course {
            body: &text[..len],
            rest: &text[len..],
            separator,
        })
    }

    fn has_tail(&self) -> bool {
        is_tail(self.rest, self.separator)
    }

    /// The key, borrowed from `text`, which starts with the namespace, if it stands there.
    fn key<'t>(&self, text: &'t str, namespace: &Namespace) -> Cow<'t, str> {
        if namespace.prefix == namespace.course && self.separator == b'+' {
            Cow::Borrowed(&text[..namespace.prefix.len() + self.body.len()])
        } else {
            Cow::Owned(format!(
                "{}{}",
                namespace.course,
                self.body.replace(' ', "+")
            ))
        }
    }
}

/// The length of the first `count` legal parts of a key of this kind, and what separates them: of
/// a slash key `/`, of a new-style key `+` or the space that form decoding made of it.
fn leading_parts(text: &str, kind: u8, count: usize) -> Option<(usize, u8)> {
    let mut len = legal_len(text, kind);
    let separator = *text.as_bytes().get(len)?;
    if len == 0 || !matches!((kind, separator), (SLASH, b'/') | (NEW_STYLE, b'+' | b' ')) {
        return None;
    }
    for _ in 1..count {
        let part = legal_len(after(&text[len..], separator)?, kind);
        if part == 0 {
            return None;
        }
        len += 1 + part;
    }
    Some((len, separator))
}

fn is_slash_key(text: &str) -> bool {
    leading_parts(text, SLASH, 3).is_some_and(|(len, _)| len == text.len())
}

fn after(text: &str, separator: u8) -> Option<&str> {
    text.strip_prefix(char::from(separator))
}

fn is_tail(rest: &str, separator: u8) -> bool {
    after(rest, separator).is_some_and(|part| TAILS.iter().any(|tail| part.starts_with(tail)))
}

/// The path of an address without query and fragment.
fn path_of(address: &str) -> &str {
    if address.starts_with('/') {
        return address;
    }
    // A host must not pass for a segment of the path: `https://courses/…`.
    match address.split_once("://") {
        Some((_, rest)) => memchr(b'/', rest.as_bytes()).map_or("", |at| &rest[at..]),
        None => address,
    }
}

fn from_path(path: &str) -> Option<Found<'_>> {
    let mut marked = marked_key(path);
    let once = match &marked {
        Some(Marked {
            cut_at_escape: false,
            ..
        }) => None,
        _ => decode(path),
    };
    let twice = once.as_deref().and_then(decode);
    let decoded = || [(once.as_deref(), 1), (twice.as_deref(), 0)].into_iter();

    for key in decoded().filter_map(|(text, _)| marked_key(text?)) {
        if !key.cut_at_escape {
            return Some(found_in_url(key.key).into_owned());
        }
        marked = marked.or(Some(Marked {
            key: Cow::Owned(key.key.into_owned()),
            ..key
        }));
    }
    if let Some(marked) = marked {
        return Some(found_in_url(marked.key));
    }
    slash_key(path, 2).map(found_in_url).or_else(|| {
        decoded()
            .find_map(|(text, decodings)| slash_key(text?, decodings))
            .map(|key| Found {
                key: Cow::Owned(key.into_owned()),
                repaired: true,
            })
    })
}

fn found_in_url(key: Cow<'_, str>) -> Found<'_> {
    let repaired = matches!(key, Cow::Owned(_));
    Found { key, repaired }
}

/// A new-style key somewhere in a path.
struct Marked<'a> {
    key: Cow<'a, str>,
    /// A percent-escape follows: the run may go on behind it (`2014%C3%A9t%C3%A9`), so a further
    /// decoding has the better answer, if it has one.
    cut_at_escape: bool,
}

/// The first new-style course, CCX, block or asset key in a path.
fn marked_key(path: &str) -> Option<Marked<'_>> {
    // A part may hold colons. Where the first part of a course or of a CCX led to nothing, a later
    // colon in it leads to the same nothing; without this, time would grow with the square.
    let mut spent = [0, 0];
    // Colons are rare in paths, which makes them the cheapest mark of a namespace.
    for colon in memchr_iter(b':', path.as_bytes()) {
        let head = &path[..=colon];
        if !head.ends_with("-v1:") {
            continue;
        }
        let namespace = NAMESPACES.iter().find(|namespace| {
            head.strip_suffix(namespace.prefix)
                .is_some_and(|before| !before.ends_with(|c| is_word(c) || c == '-'))
        });
        let Some(namespace) = namespace else { continue };
        let spent = &mut spent[usize::from(namespace.course == CCX)];
        if colon < *spent {
            continue;
        }
        let body = &path[colon + 1..];
        if let Some(course) = Course::at_start(body, namespace)
            && let Some(cut_at_escape) = end_in_path(&course)
        {
            let key = course.key(&path[head.len() - namespace.prefix.len()..], namespace);
            return Some(Marked { key, cut_at_escape });
        }
        *spent = colon + 1 + legal_len(body, NEW_STYLE);
    }
    None
}

/// Whether a course may end where it does in a path, and if so, whether at a percent-escape.
fn end_in_path(course: &Course) -> Option<bool> {
    let separator = char::from(course.separator);
    let garbage = course
        .rest
        .find(|c: char| c == separator || ends_key(c))
        .unwrap_or(course.rest.len());
    let rest = &course.rest[garbage..];
    // A part after the course must be a known tail, else the key is none of ours.
    if rest.starts_with(separator) && !is_tail(rest, course.separator) {
        return None;
    }
    Some(escape(course.rest.as_bytes()).is_some())
}

/// Characters that end a key in a path, whatever stood before them.
fn ends_key(c: char) -> bool {
    c.is_whitespace() || "/?#&\"'`()[]{}<>\\,;|".contains(c)
}

static COURSES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("/courses/"));

/// The slash key in the three segments after `/courses/`, each decoded at most `decodings` times.
fn slash_key(path: &str, decodings: usize) -> Option<Cow<'_, str>> {
    let mut rest = path;
    while let Some(at) = COURSES.find(rest.as_bytes()) {
        if let Some(key) = three_segments(&rest[at + "/courses/".len()..], decodings) {
            return Some(key);
        }
        // Its last slash may be the first of the next.
        rest = &rest[at + "/courses".len()..];
    }
    None
}

fn three_segments(path: &str, decodings: usize) -> Option<Cow<'_, str>> {
    let mut segments = path.splitn(4, '/');
    let (first, second, third) = (segments.next()?, segments.next()?, segments.next()?);
    if is_api_version(first) {
        return None;
    }
    let parts = (
        slash_part(first, decodings)?,
        slash_part(second, decodings)?,
        slash_part(third, decodings)?,
    );
    Some(match parts {
        (Cow::Borrowed(_), Cow::Borrowed(_), Cow::Borrowed(_)) => {
            Cow::Borrowed(&path[..first.len() + second.len() + third.len() + 2])
        }
        (first, second, third) => Cow::Owned(format!("{first}/{second}/{third}")),
    })
}

/// `/api/courses/v1/…` is no course of an organisation `v1`.
fn is_api_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// A segment as part of a slash key: the furthest decoding that is legal.
fn slash_part(segment: &str, decodings: usize) -> Option<Cow<'_, str>> {
    let is_part = |text: &str| !text.is_empty() && legal_len(text, SLASH) == text.len();
    let mut part = is_part(segment).then_some(Cow::Borrowed(segment));
    let mut text = Cow::Borrowed(segment);
    for _ in 0..decodings {
        let Some(decoded) = decode(&text) else { break };
        // An encoded slash is a slash: the path as a whole must be decoded first.
        if decoded.contains('/') {
            return None;
        }
        if is_part(&decoded) {
            part = Some(Cow::Owned(decoded.clone()));
        }
        text = Cow::Owned(decoded);
    }
    part
}

fn from_query(query: &str) -> Option<Found<'_>> {
    let mut values = query.split('&').filter_map(|parameter| {
        parameter
            .strip_prefix("course_id=")
            .or_else(|| parameter.strip_prefix("course_key="))
    });
    // In a query escapes are the carrier's, so the furthest decoding that is a key is meant.
    values.find_map(|text| {
        let once = decode(text);
        let twice = once.as_deref().and_then(decode);
        [twice, once]
            .into_iter()
            .flatten()
            .find_map(|value| from_field(&value, false).map(Found::into_owned))
            .map(|found| Found {
                repaired: true,
                ..found
            })
            .or_else(|| from_field(text, false))
    })
}

const SLASH: u8 = 1;
const NEW_STYLE: u8 = 2;

/// In which kinds of key an ASCII character may stand; 0 for the bytes of all others.
const LEGAL: [u8; 256] = {
    let mut legal = [0; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        legal[byte as usize] = match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'.' | b'-' => SLASH | NEW_STYLE,
            b'%' => SLASH,
            b'~' | b':' => NEW_STYLE,
            _ => 0,
        };
        byte += 1;
    }
    legal
};

/// How many bytes at the start of a text may stand in a part of a key of this kind.
fn legal_len(text: &str, kind: u8) -> usize {
    let is_illegal = |byte: &u8| LEGAL[usize::from(*byte)] & kind == 0;
    match text.as_bytes().iter().position(is_illegal) {
        None => text.len(),
        Some(at) if text.as_bytes()[at].is_ascii() => at,
        Some(at) => at + legal_len_unicode(&text[at..], kind),
    }
}

/// The same, for a text with letters and digits of any script.
#[cold]
fn legal_len_unicode(text: &str, kind: u8) -> usize {
    let is_illegal = |c: char| match u8::try_from(c) {
        Ok(byte) if byte.is_ascii() => LEGAL[usize::from(byte)] & kind == 0,
        _ => !c.is_alphanumeric(),
    };
    text.find(is_illegal).unwrap_or(text.len())
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The byte that a percent-escape at the start of a text stands for.
fn escape(bytes: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// The text with its percent-escapes resolved, once; `None` if it has none. Bytes that are no
/// UTF-8 become U+FFFD, which no key may hold.
fn decode(text: &str) -> Option<String> {
    let mut rest = text.as_bytes();
    memchr(b'%', rest)?;
    let mut decoded = Vec::with_capacity(text.len());
    let mut changed = false;
    while let Some(at) = memchr(b'%', rest) {
        decoded.extend_from_slice(&rest[..at]);
        let (byte, len) = match escape(&rest[at..]) {
            Some(byte) => (byte, 3),
            None => (b'%', 1),
        };
        changed |= len == 3;
        decoded.push(byte);
        rest = &rest[at + len..];
    }
    if !changed {
        return None;
    }
    decoded.extend_from_slice(rest);
    let text = String::from_utf8(decoded);
    Some(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const KEY: &str = "course-v1:UnivX+CS101+2015_T3";

    /// An event as plain JSON values, its payload decoded.
    struct Sample {
        event: Value,
        payload: Value,
    }

    impl Sample {
        fn new(event: Value) -> Self {
            let payload = match &event["event"] {
                Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
                payload => payload.clone(),
            };
            Sample { event, payload }
        }
    }

    fn text(value: &Value) -> Option<Cow<'_, str>> {
        value.as_str().map(Cow::Borrowed)
    }

    impl Fields for Sample {
        fn context_course_id(&self) -> Option<Cow<'_, str>> {
            text(&self.event["context"]["course_id"])
        }
        fn top_course_id(&self) -> Option<Cow<'_, str>> {
            text(&self.event["course_id"])
        }
        fn payload<const N: usize>(&self, names: [&'static str; N]) -> [Option<Cow<'_, str>>; N] {
            names.map(|name| text(&self.payload[name]))
        }
        fn module_usage_key(&self) -> Option<Cow<'_, str>> {
            text(&self.event["context"]["module"]["usage_key"])
        }
        fn event_type(&self) -> Option<Cow<'_, str>> {
            text(&self.event["event_type"])
        }
        fn name(&self) -> Option<Cow<'_, str>> {
            text(&self.event["name"])
        }
        fn path(&self) -> Option<Cow<'_, str>> {
            text(&self.event["context"]["path"])
        }
        fn page(&self) -> Option<Cow<'_, str>> {
            text(&self.event["page"])
        }
        fn request<const N: usize>(
            &self,
            method: &'static str,
            names: [&'static str; N],
        ) -> [Option<Cow<'_, str>>; N] {
            names.map(|name| text(&self.payload[method][name][0]))
        }
    }

    fn attributed(event: Value) -> Option<(String, &'static str)> {
        let sample = Sample::new(event);
        attribute(&sample).map(|(found, source)| (found.key.into_owned(), source.as_str()))
    }

    #[test]
    fn worked_cases() {
        let cases = include_str!("../../../tests/data/course-id-cases.jsonl");
        let mut count = 0;
        for line in cases.lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let expected = case["course_id"]
                .as_str()
                .map(|key| (key.to_owned(), case["course_source"].as_str().unwrap()));
            let answer = attributed(case["event"].clone());
            assert_eq!(
                answer.as_ref().map(|(k, s)| (k.clone(), *s)),
                expected,
                "{line}"
            );
            count += 1;
        }
        assert_eq!(count, 71);
    }

    /// Every place names another course; taking away the best leaves the next.
    #[test]
    fn places_in_order() {
        let key = |run: &str| format!("course-v1:UnivX+CS101+{run}");
        let block = |run: &str| format!("block-v1:UnivX+CS101+{run}+type@problem+block@b");
        let mut event = serde_json::json!({
            "event_type": format!("/courses/{}/info", key("event_type")),
            "name": format!("/courses/{}/info", key("name")),
            "page": format!("https://courses.example.org/courses/{}/info", key("page")),
            "referer": format!("https://courses.example.org/courses/{}/info", key("referer")),
            "course_id": key("top"),
            "context": {
                "course_id": key("context"),
                "module": {"usage_key": block("module")},
                "path": format!("/courses/{}/info", key("path")),
            },
            "event": {
                "POST": {"course_id": [key("post_id")], "course_key": [key("post_key")]},
                "GET": {"course_id": [key("get_id")], "course_key": [key("get_key")]},
            },
        });
        for name in &PAYLOAD[..COURSE_FIELDS] {
            event["event"][name] = key(name).into();
        }
        for name in &PAYLOAD[COURSE_FIELDS..] {
            event["event"][name] = block(name).into();
        }
        let mut order = vec![
            (
                "/context/course_id".to_owned(),
                "context".to_owned(),
                "context",
            ),
            ("/course_id".to_owned(), "top".to_owned(), "top"),
        ];
        for name in ["course_id", "course_key", "context_key", "course"] {
            order.push((format!("/event/{name}"), name.to_owned(), "payload"));
        }
        order.push((
            "/context/module/usage_key".to_owned(),
            "module".to_owned(),
            "usage_key",
        ));
        for name in [
            "problem_id",
            "module_id",
            "usage_key",
            "block_id",
            "item_id",
            "component_usage_id",
            "id",
            "problem",
            "location",
        ] {
            order.push((format!("/event/{name}"), name.to_owned(), "usage_key"));
        }
        for (place, run) in [
            ("/event_type", "event_type"),
            ("/name", "name"),
            ("/context/path", "path"),
            ("/page", "page"),
        ] {
            order.push((place.to_owned(), run.to_owned(), "url"));
        }
        for (place, run) in [
            ("/event/POST/course_id/0", "post_id"),
            ("/event/POST/course_key/0", "post_key"),
            ("/event/GET/course_id/0", "get_id"),
            ("/event/GET/course_key/0", "get_key"),
        ] {
            order.push((place.to_owned(), run.to_owned(), "request"));
        }
        for (place, run, source) in order {
            assert_eq!(
                attributed(event.clone()),
                Some((key(&run), source)),
                "{place}"
            );
            *event.pointer_mut(&place).unwrap() = "nothing of use".into();
        }
        assert_eq!(attributed(event), None);
    }

    #[test]
    fn fields() {
        let cases = [
            (KEY, Some((KEY, false))),
            ("UnivX/CS101/2015_T3", Some(("UnivX/CS101/2015_T3", false))),
            ("edX/Demo%20X/2013", Some(("edX/Demo%20X/2013", false))),
            (" course-v1:a+b+c\r\n", Some(("course-v1:a+b+c", true))),
            ("course-v1:a+b+c%0A", Some(("course-v1:a+b+c", true))),
            ("course-v1:a b c", Some(("course-v1:a+b+c", true))),
            ("ccx-v1:a b c ccx@7", Some(("ccx-v1:a+b+c+ccx@7", true))),
            ("course-v1:a  b c", None),
            ("course-v1:a+b c", None),
            ("course-v1:a+b+c+d", None),
            ("course-v1:a+b+", None),
            ("course-v1:a+b+c#x", None),
            ("course-v1:a+b+c+version@5", Some(("course-v1:a+b+c", true))),
            (
                "course-v1:a+b+c+type@problem+block@x",
                Some(("course-v1:a+b+c", true)),
            ),
            (
                "asset-v1:a+b+c+type@asset+block@x.pdf",
                Some(("course-v1:a+b+c", true)),
            ),
            (
                "ccx-v1:a+b+c+ccx@7+branch@draft",
                Some(("ccx-v1:a+b+c+ccx@7", true)),
            ),
            ("ccx-v1:a+b+c+ccx@", None),
            ("ccx-v1:a+b+c+ccx@7x", None),
            ("MITx/6.002x/", None),
            ("MITx/6.002x/a/b", None),
            ("UnivX/CS101/2015 T3", None),
            ("i4x://UnivX/CS101/problem/p", None),
            ("", None),
            ("null", None),
            ("%", None),
            ("UnivX%2FCS101%2FUniversit%E9", None),
        ];
        for (text, expected) in cases {
            let found = from_field(text, false);
            let answer = found
                .as_ref()
                .map(|found| (found.key.as_ref(), found.repaired));
            assert_eq!(answer, expected, "{text:?}");
        }
    }

    #[test]
    fn libraries_only_where_allowed() {
        let library = "library-v1:UnivX+Lib";
        assert_eq!(from_field(library, true).unwrap().key, library);
        assert_eq!(
            from_field("library-v1:UnivX+Lib+branch@draft", true)
                .unwrap()
                .key,
            library
        );
        assert_eq!(from_field("library-v1:UnivX+Lib+Run", true), None);
        assert_eq!(from_field(library, false), None);
        assert_eq!(from_usage_key(library), None);
        assert_eq!(from_url("/enroll?course_id=library-v1%3AUnivX%2BLib"), None);
    }

    #[test]
    fn usage_keys() {
        let found = from_usage_key("block-v1%3Aa%2Bb%2Bc%2Btype%40problem%2Bblock%40x").unwrap();
        assert_eq!(
            found,
            Found {
                key: "course-v1:a+b+c".into(),
                repaired: true
            }
        );
        for text in [
            KEY,
            "a/b/c",
            "lib-block-v1:a+b+type@c+block@d",
            "block-v1:a+b",
            "H1P1",
        ] {
            assert_eq!(from_usage_key(text), None, "{text}");
        }
    }

    #[test]
    fn addresses() {
        let slash = Some("UnivX/CS101/2015");
        let cases = [
            ("/courses/course-v1:a+b+c)", Some("course-v1:a+b+c")),
            ("/courses/course-v1:a+b+c%22%3E", Some("course-v1:a+b+c")),
            ("/courses/course-v1:a+b+c&amp;d+e", Some("course-v1:a+b+c")),
            ("/courses/course-v1:a+b+c+d/info", None),
            ("/courses/ccx-v1:a+b+c+ccx@7).", Some("ccx-v1:a+b+c+ccx@7")),
            // A run may hold what only decoding shows.
            (
                "/courses/course-v1:a+b+2014%C3%A9t%C3%A9/x",
                Some("course-v1:a+b+2014\u{e9}t\u{e9}"),
            ),
            (
                "/x/block-v1:a+b+c+type%40problem+block%40d/y",
                Some("course-v1:a+b+c"),
            ),
            (
                "/x/xcourse-v1:a+b+c/course-v1:d+e+f",
                Some("course-v1:d+e+f"),
            ),
            ("/x/lib-block-v1:a+b+c+type@d", None),
            ("/courses/courses/UnivX/CS101/", Some("courses/UnivX/CS101")),
            ("/courses//courses/UnivX/CS101/2015", slash),
            ("/api/courses/v2/courses/UnivX/CS101/2015", slash),
            ("/courses/UnivX%2FCS101%2F2015/courseware/w1/", slash),
            ("/courses/UnivX%252FCS101%252F2015/courseware/w1/", slash),
            ("/courses/UnivX/CS101/2015?next=/courses/d/e/f", slash),
            ("/courses/UnivX/CS101/2015\"><img", None),
            ("https://courses/static/js/app.js", None),
            ("https://example.org?course_key=UnivX%2FCS101%2F2015", slash),
            (
                "/enroll?a=b&course_id=none&course_key=UnivX/CS101/2015#top",
                slash,
            ),
            ("/enroll?course_id=course-v1:a+b+c", Some("course-v1:a+b+c")),
            ("/enroll?xcourse_id=course-v1:a+b+c", None),
            ("/enroll#?course_id=course-v1:a+b+c", None),
            (" DATA:text/html,/courses/UnivX/CS101/2015/", None),
        ];
        for (url, expected) in cases {
            assert_eq!(
                from_url(url).map(|found| found.key).as_deref(),
                expected,
                "{url}"
            );
        }
    }

    #[test]
    fn keys_that_stand_in_the_text_are_borrowed() {
        let page = format!("https://courses.example.org/courses/{KEY}/info?a=%20");
        for found in [
            from_field(KEY, true),
            from_field(" UnivX/CS101/2015\n", true),
            from_url(&page),
            from_url("/courses/UnivX/CS101/2015/wiki/a%20b/"),
        ] {
            assert!(matches!(found.unwrap().key, Cow::Borrowed(_)));
        }
        assert!(!from_url(&page).unwrap().repaired);
    }

    /// Whoever sends an address chooses its length; the square of this one would take hours.
    #[test]
    fn time_is_linear_in_the_address() {
        for piece in [
            "course-v1:",
            "course-v1:ccx-v1:",
            "course-v1:a+",
            "/courses/",
            "%25",
        ] {
            assert!(from_url(&piece.repeat(200_000)).is_none(), "{piece}");
        }
        assert_eq!(
            from_url("/x/ccx-v1:course-v1:a+b+c/").unwrap().key,
            "course-v1:a+b+c"
        );
    }

    #[test]
    fn organisation() {
        assert_eq!(org(KEY), Some("UnivX"));
        assert_eq!(org("mit.x/6.002x/2012_Fall"), Some("mit.x"));
        assert_eq!(org("library-v1:UnivX+Lib"), Some("UnivX"));
        for text in ["", "UnivX", "/a/b", "course-v1:+a+b"] {
            assert_eq!(org(text), None, "{text}");
        }
    }

    /// Which characters an encoder leaves alone: from what a browser does to what nobody does.
    fn keeps(encoder: usize, byte: u8) -> bool {
        match encoder {
            0 => byte.is_ascii() && byte != b'%',
            1 => byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte),
            2 => byte.is_ascii_alphanumeric() || b"-._~".contains(&byte),
            3 => byte.is_ascii_alphanumeric(),
            _ => false,
        }
    }

    fn encode(text: &str, encoder: usize, upper: bool) -> String {
        text.bytes()
            .map(|byte| match (keeps(encoder, byte), upper) {
                (true, _) => char::from(byte).to_string(),
                (false, true) => format!("%{byte:02X}"),
                (false, false) => format!("%{byte:02x}"),
            })
            .collect()
    }

    fn new_style_body() -> impl Strategy<Value = String> {
        let part = r"[\p{Lu}\p{Ll}\p{Nd}a-zA-Z0-9_.~:-]{1,8}";
        proptest::collection::vec(part, 3).prop_map(|parts| parts.join("+"))
    }

    fn slash_style() -> impl Strategy<Value = String> {
        let part = r"[\p{Lu}\p{Ll}\p{Nd}a-zA-Z0-9_.-]{1,8}";
        proptest::collection::vec(part, 3)
            .prop_filter("an API version", |parts| !is_api_version(&parts[0]))
            .prop_map(|parts| parts.join("/"))
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            new_style_body().prop_map(|body| format!("course-v1:{body}")),
            (new_style_body(), 0..u32::MAX).prop_map(|(b, n)| format!("ccx-v1:{b}+ccx@{n}")),
            slash_style(),
        ]
    }

    /// Texts made of what the rules look for.
    fn keyish() -> impl Strategy<Value = String> {
        let pieces = "course-v1:|ccx-v1:|block-v1:|ccx-block-v1:|library-v1:|/courses/|https://|\
                      data:|a|B.1|\u{e9}|+|+|+|/|/|%|%2|%2B|%252F|%C3|%A9|%0A| |type@|+branch@|\
                      +ccx@1|?|course_id=|&|#|\"|\0";
        let pieces: Vec<_> = pieces.split('|').collect();
        proptest::collection::vec(proptest::sample::select(pieces), 0..14)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn a_legal_key_is_itself(key in key()) {
            let found = from_field(&key, false);
            prop_assert_eq!(found, Some(Found { key: Cow::Borrowed(&*key), repaired: false }));
        }

        #[test]
        fn a_percent_sign_is_legal_in_slash_keys(key in "[a-z%0-9]{1,5}/[a-z%0-9]{1,5}/[a-z%0-9]{1,5}") {
            let found = from_field(&key, false);
            prop_assert_eq!(found, Some(Found { key: Cow::Borrowed(&*key), repaired: false }));
        }

        #[test]
        fn an_encoded_field_is_its_key(
            key in key(), encoder in 2usize..5, upper: bool, twice: bool,
        ) {
            let mut text = encode(&key, encoder, upper);
            if twice {
                text = encode(&text, encoder, upper);
            }
            prop_assert_eq!(from_field(&text, false), Some(Found { key: key.into(), repaired: true }));
        }

        #[test]
        fn a_block_gives_its_course(body in new_style_body(), ccx in any::<Option<u16>>()) {
            let (prefix, course) = match ccx {
                Some(n) => (format!("ccx-block-v1:{body}+ccx@{n}"), format!("ccx-v1:{body}+ccx@{n}")),
                None => (format!("block-v1:{body}"), format!("course-v1:{body}")),
            };
            let block = format!("{prefix}+type@problem+block@p1");
            let expected = Some(Found { key: course.into(), repaired: true });
            prop_assert_eq!(&from_field(&block, false), &expected);
            prop_assert_eq!(&from_usage_key(&block), &expected);
            let url = format!("/xblock/{block}?show_title=0");
            prop_assert_eq!(&from_url(&url), &expected);
        }

        #[test]
        fn an_address_gives_its_key(
            key in key(), encoder in 0usize..5, upper: bool, times in 0usize..3,
            host in proptest::sample::select(&["", "https://courses.example.org", "http://h:18000"][..]),
        ) {
            let mut text = key.clone();
            for _ in 0..times {
                text = encode(&text, encoder, upper);
            }
            for url in [
                format!("{host}/courses/{text}/x"),
                format!("{host}/courses/{text}"),
                format!("{host}/courses/{text}/x?a=b#c"),
                format!("{host}/enroll?next=x&course_id={text}"),
            ] {
                let found = from_url(&url).map(|found| found.key);
                prop_assert_eq!(found.as_deref(), Some(&*key), "{}", url);
            }
        }

        #[test]
        fn answers_are_legal_keys(text in prop_oneof![keyish(), any::<String>()]) {
            let answers = [
                from_field(&text, true),
                from_field(&text, false),
                from_usage_key(&text),
                from_url(&text),
            ];
            for found in answers.into_iter().flatten() {
                let again = from_field(&found.key, true).unwrap();
                prop_assert_eq!(&again.key, &found.key);
                prop_assert!(!again.repaired);
                prop_assert!(org(&found.key).is_some_and(|org| found.key.contains(org)));
            }
        }
    }
}
