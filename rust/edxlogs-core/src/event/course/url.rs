//! The course that an address names.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};

use super::key::{CCX, CourseBody, NAMESPACES, NEW_STYLE, SLASH, is_tail, is_word, legal_len};
use super::percent::{decode, escape};
use super::{FoundKey, from_field};

/// The course that an address names: a path, or a URL with host, query and fragment.
///
/// First a new-style key anywhere in the path, as it stands, decoded once, decoded twice; else
/// the three segments after `/courses/`; else the query's `course_id` or `course_key`. What
/// copying a link leaves at its end is cut off a new-style key. `data:` URLs name nothing.
pub fn from_url(url: &str) -> Option<FoundKey<'_>> {
    let url = url.trim();
    if url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return None;
    }
    let url = memchr(b'#', url.as_bytes()).map_or(url, |at| &url[..at]);
    let (address, query) = match memchr(b'?', url.as_bytes()) {
        Some(at) => (&url[..at], Some(&url[at + 1..])),
        None => (url, None),
    };
    from_path(path_of(address)).or_else(|| from_query(query?))
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

fn from_path(path: &str) -> Option<FoundKey<'_>> {
    let mut marked = marked_key(path);
    let once = match &marked {
        Some(Marked { cut_at_escape: false, .. }) => None,
        _ => decode(path),
    };
    let twice = once.as_deref().and_then(decode);
    let decoded = || [(once.as_deref(), 1), (twice.as_deref(), 0)].into_iter();

    for key in decoded().filter_map(|(text, _)| marked_key(text?)) {
        if !key.cut_at_escape {
            return Some(found_in_url(key.key).into_owned());
        }
        marked = marked.or(Some(Marked { key: Cow::Owned(key.key.into_owned()), ..key }));
    }
    if let Some(marked) = marked {
        return Some(found_in_url(marked.key));
    }
    slash_key(path, 2).map(found_in_url).or_else(|| {
        decoded()
            .find_map(|(text, decodings)| slash_key(text?, decodings))
            .map(|key| FoundKey { key: Cow::Owned(key.into_owned()), repaired: true })
    })
}

fn found_in_url(key: Cow<'_, str>) -> FoundKey<'_> {
    let repaired = matches!(key, Cow::Owned(_));
    FoundKey { key, repaired }
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
        if let Some(course) = CourseBody::at_start(body, namespace)
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
fn end_in_path(course: &CourseBody) -> Option<bool> {
    let separator = char::from(course.separator);
    let garbage =
        course.rest.find(|c: char| c == separator || ends_key(c)).unwrap_or(course.rest.len());
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
pub(super) fn is_api_version(segment: &str) -> bool {
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

fn from_query(query: &str) -> Option<FoundKey<'_>> {
    let mut values = query.split('&').filter_map(|parameter| {
        parameter.strip_prefix("course_id=").or_else(|| parameter.strip_prefix("course_key="))
    });
    // In a query escapes are the carrier's, so the furthest decoding that is a key is meant.
    values.find_map(|text| {
        let once = decode(text);
        let twice = once.as_deref().and_then(decode);
        [twice, once]
            .into_iter()
            .flatten()
            .find_map(|value| from_field(&value, false).map(FoundKey::into_owned))
            .map(|found| FoundKey { repaired: true, ..found })
            .or_else(|| from_field(text, false))
    })
}
