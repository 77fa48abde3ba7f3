//! Keys of blocks, in all forms that logs hold.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr_iter, memchr2, memchr3};

use super::form::percent_decoded;

const USAGE: &str = "block-v1:";
const LOCATION: &str = "i4x://";
/// The same in the address of a handler, which has no place for `/`.
const QUOTED: &str = "i4x:;_;_";

/// What ids of HTML are told apart by where the course is not known. Source: the entry points
/// `xblock.v1` of edx-platform and of what it was in 2012.
const TYPES: [&str; 27] = [
    "about",
    "annotatable",
    "chapter",
    "combinedopenended",
    "conditional",
    "course",
    "course_info",
    "discussion",
    "html",
    "imageannotation",
    "library_content",
    "lti",
    "openassessment",
    "peergrading",
    "poll_question",
    "problem",
    "randomize",
    "sequential",
    "split_test",
    "static_tab",
    "survey",
    "textannotation",
    "vertical",
    "video",
    "videoalpha",
    "videoannotation",
    "word_cloud",
];

/// What a key says of its block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block<'a> {
    /// Its type, such as `problem`.
    pub block_type: Option<Cow<'a, str>>,
    /// Its id inside the course.
    pub id: Option<Cow<'a, str>>,
    /// Whether the key has several readings, or none.
    pub is_guess: bool,
}

/// Type and id of a block, from a key in any form; of an HTML id by the course, if that is known.
pub fn block<'a>(key: &'a str, course: Option<&str>) -> Block<'a> {
    let key = key.trim();
    let line = memchr2(b'\n', b'\r', key.as_bytes());
    let key = line.map_or(key, |end| key[..end].trim_end());
    let key = percent_decoded(key, false).0;
    let key = if key.starts_with("i4x:;_") { Cow::Owned(key.replace(";_", "/")) } else { key };
    match key {
        Cow::Borrowed(key) => {
            let (block_type, id, is_guess) = read(key, course);
            Block { block_type: block_type.map(Cow::Borrowed), id: id.map(Cow::Borrowed), is_guess }
        }
        Cow::Owned(key) => {
            let (block_type, id, is_guess) = read(&key, course);
            let own = |part: Option<&str>| part.map(|part| Cow::Owned(part.to_owned()));
            Block { block_type: own(block_type), id: own(id), is_guess }
        }
    }
}

type Parts<'a> = (Option<&'a str>, Option<&'a str>, bool);

fn read<'a>(key: &'a str, course: Option<&str>) -> Parts<'a> {
    if let Some((block_type, id)) = usage(key).or_else(|| location(key)) {
        return (Some(block_type), Some(id), false);
    }
    if !key.starts_with("i4x-") {
        return (None, some(key), false);
    }
    let Some(rest) = course.and_then(|course| after_course(key, course)) else {
        return by_type(key);
    };
    let (block_type, id) = rest.split_once('-').unwrap_or((rest, ""));
    (some(block_type), some(id), false)
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// `block-v1:ORG+COURSE+RUN+type@TYPE+block@ID`, that of a custom course too.
fn usage(key: &str) -> Option<(&str, &str)> {
    usage_parts(key.strip_prefix("ccx-").unwrap_or(key).strip_prefix(USAGE)?)
}

/// Type and id of what stands behind `block-v1:`.
fn usage_parts(rest: &str) -> Option<(&str, &str)> {
    rest.match_indices('+').filter(|&(at, _)| at > 0).find_map(|(at, _)| {
        let (block_type, id) = rest[at..].strip_prefix("+type@")?.split_once('+')?;
        let id = id.strip_prefix("block@")?;
        let is_one = !block_type.is_empty() && !block_type.contains('@') && !id.is_empty();
        is_one.then_some((block_type, id))
    })
}

/// `i4x://ORG/COURSE/TYPE/ID`, perhaps with `@REVISION`.
fn location(key: &str) -> Option<(&str, &str)> {
    let mut parts = key.strip_prefix(LOCATION)?.splitn(4, '/');
    let mut part = || parts.next().filter(|part| !part.is_empty());
    let (_, _, block_type, id) = (part()?, part()?, part()?, part()?);
    let id = id.split_once('@').map_or(id, |(id, _)| id);
    (!id.is_empty() && !id.contains('/')).then_some((block_type, id))
}

/// What follows organisation and number of the course in an HTML id, where signs other than letters,
/// digits, `_` and `-` have become `_`.
fn after_course<'a>(key: &'a str, course: &str) -> Option<&'a str> {
    let course = match course.split_once(':') {
        Some((_, course)) if !course.is_empty() => course,
        _ => course,
    };
    let mut parts = course.split(['/', '+']);
    let (org, number, _) = (parts.next()?, parts.next()?, parts.next()?);
    let mut rest = key.strip_prefix("i4x-")?;
    for part in [org, number] {
        for sign in part.chars() {
            let is_kept = sign.is_alphanumeric() || sign == '-';
            rest = rest.strip_prefix(if is_kept { sign } else { '_' })?;
        }
        rest = rest.strip_prefix('-')?;
    }
    Some(rest)
}

/// An HTML id parted at the first word that is a type: not its first word, and not its last.
fn by_type(key: &str) -> Parts<'_> {
    let dashes = key.match_indices('-').map(|(at, _)| at);
    let mut types = dashes.clone().zip(dashes.skip(1)).filter_map(|(start, end)| {
        let word = &key[start + 1..end];
        TYPES.contains(&word).then_some((word, &key[end + 1..]))
    });
    match types.next() {
        Some((block_type, id)) => (Some(block_type), Some(id), types.next().is_some()),
        None => (None, None, true),
    }
}

/// The username before the comma of a bookmark's id, if there is one, and the key after it.
pub fn owner(key: &str) -> (Option<&str>, &str) {
    match key.trim().split_once(',') {
        Some((owner, owned)) if starts_key(owned) => (some(owner), owned),
        _ => (None, key),
    }
}

/// The first of the keys that `/` joins, and what follows it.
pub fn joined_keys(key: &str) -> (&str, Option<&str>) {
    let key = key.trim();
    let mut joints = key.match_indices('/').filter(|&(at, _)| starts_key(&key[at + 1..]));
    joints.next().map_or((key, None), |(at, _)| (&key[..at], Some(&key[at + 1..])))
}

fn starts_key(text: &str) -> bool {
    text.starts_with("i4x:") || text.strip_prefix("ccx-").unwrap_or(text).starts_with(USAGE)
}

/// The first key of a block in an address, as it stands there; else after percent-decoding.
pub fn usage_key_in(address: &str) -> Option<Cow<'_, str>> {
    if let Some(range) = key_range(address) {
        return Some(Cow::Borrowed(&address[range]));
    }
    let Cow::Owned(decoded) = percent_decoded(address, false).0 else {
        return None;
    };
    key_range(&decoded).map(|range| Cow::Owned(decoded[range].to_owned()))
}

/// Where the first key of a block stands in an address.
fn key_range(address: &str) -> Option<Range<usize>> {
    // An address has few colons, and most have no key.
    let all = |form: &'static str| {
        let colon = form.find(':').unwrap_or_default();
        memchr_iter(b':', address.as_bytes()).filter_map(move |at| {
            let start = at.checked_sub(colon)?;
            address.as_bytes()[start..].starts_with(form.as_bytes()).then_some(start)
        })
    };
    let segment_end = |at: usize| {
        memchr3(b'/', b'?', b'#', &address.as_bytes()[at..]).map_or(address.len(), |end| at + end)
    };
    let new = all(USAGE).find_map(|at| {
        let end = segment_end(at);
        usage_parts(&address[at + USAGE.len()..end])?;
        let start = if address[..at].ends_with("ccx-") { at - "ccx-".len() } else { at };
        Some(start..end)
    });
    let quoted = || {
        all(QUOTED).find_map(|at| {
            let end = segment_end(at);
            (end > at + QUOTED.len()).then_some(at..end)
        })
    };
    let old = || {
        all(LOCATION).find_map(|start| {
            // Organisation, course, type and id.
            let mut at = start + LOCATION.len() - 1;
            for _ in 0..4 {
                address[at..].strip_prefix('/')?;
                let end = segment_end(at + 1);
                if end == at + 1 {
                    return None;
                }
                at = end;
            }
            Some(start..at)
        })
    };
    new.or_else(quoted).or_else(old)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(key: &str, course: Option<&str>) -> (Option<String>, Option<String>, bool) {
        let found = block(key, course);
        let owned = |part: Option<Cow<'_, str>>| part.map(Cow::into_owned);
        (owned(found.block_type), owned(found.id), found.is_guess)
    }

    #[test]
    fn keys_of_all_forms() {
        let new = Some("course-v1:edX+DemoX+2014");
        for (key, course, block_type, id, is_guess) in [
            ("block-v1:edX+D+R+type@problem+block@7c54", None, "problem", "7c54", false),
            ("ccx-block-v1:e+D+R+ccx@1+type@html+block@a+b", None, "html", "a+b", false),
            ("block-v1:edX%2BD%2BR%2Btype%40video%2Bblock%408c00", None, "video", "8c00", false),
            ("i4x://MITx/4.605x_2/video/8b37", None, "video", "8b37", false),
            ("i4x://MITx/4.605x_2/video/8b37@draft/x", None, "video", "8b37", false),
            ("i4x:;_;_edX;_DemoX;_problem;_Sample", None, "problem", "Sample", false),
            ("i4x-edX-DemoX-video-8c00", Some("edX/DemoX/R"), "video", "8c00", false),
            ("i4x-a_b-c-1-problem-x-y", Some("course-v1:a.b+c-1+R"), "problem", "x-y", false),
            ("i4x-edX-DemoX-video-8c00\nvideo extra", new, "video", "8c00", false),
            (" \ti4x://MITx/6/html/a \n", None, "html", "a", false),
            ("i4x-edX-Other-video-8c00", new, "video", "8c00", false),
            ("i4x-edX-DemoX-video-8c00", None, "video", "8c00", false),
            ("i4x-problem-D-video-8c00", None, "problem", "D-video-8c00", true),
            ("i4x-edX-D-unknown-8c00", None, "", "", true),
            ("i4x-", None, "", "", true),
            (
                "8c0028eb2a724f48a074bc184cd8635f",
                new,
                "",
                "8c0028eb2a724f48a074bc184cd8635f",
                false,
            ),
            ("i4x://MITx/6/html", None, "", "i4x://MITx/6/html", false),
            ("block-v1:edX+D+R+type@problem", None, "", "block-v1:edX+D+R+type@problem", false),
            ("", None, "", "", false),
        ] {
            let own = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            assert_eq!(parts(key, course), (own(block_type), own(id), is_guess), "{key}");
        }
    }

    #[test]
    fn owners_and_joined_keys() {
        let key = "block-v1:a+b+c+type@vertical+block@v1";
        assert_eq!(owner(&format!("amy,{key}")), (Some("amy"), key));
        assert_eq!(owner(&format!(" ,{key} ")), (None, key));
        assert_eq!(owner(key), (None, key));
        assert_eq!(owner("amy,bob"), (None, "amy,bob"));
        let two = format!("{key}/ccx-{key}");
        assert_eq!(joined_keys(&two), (key, Some(&two[key.len() + 1..])));
        let old = "i4x://a/b/sequential/s";
        assert_eq!(
            joined_keys(&format!(" {old}/{old}/x")),
            (old, Some("i4x://a/b/sequential/s/x"))
        );
        assert_eq!(joined_keys(old), (old, None));
    }

    #[test]
    fn keys_in_addresses() {
        let key = "block-v1:a+b+c+type@problem+block@p";
        let quoted = "i4x:;_;_edX;_DemoX;_problem;_p";
        for (address, found) in [
            (format!("/courses/course-v1:a+b+c/xblock/{key}/handler/x"), Some(key)),
            (format!("/xblock/{key}?show=1"), Some(key)),
            (format!("/courses/edX/DemoX/R/xblock/{quoted}/handler/x"), Some(quoted)),
            ("/c/jump_to/i4x://a/b/vertical/v/rest".to_owned(), Some("i4x://a/b/vertical/v")),
            ("/xblock/block-v1:a%2Bb%2Bc%2Btype%40problem%2Bblock%40p".to_owned(), Some(key)),
            ("/c/block-v1:a+b+c/i4x://a//b/c".to_owned(), None),
            ("/dashboard".to_owned(), None),
        ] {
            assert_eq!(usage_key_in(&address).as_deref(), found, "{address}");
        }
    }

    proptest! {
        #[test]
        fn a_block_is_the_same_in_every_form(
            org in "[A-Za-z0-9._~-]{1,6}",
            number in "[A-Za-z0-9._~-]{1,6}",
            run in "[A-Za-z0-9_]{1,4}",
            block_type in "[a-z_]{1,8}",
            id in "[A-Za-z0-9_]{1,8}(-[a-z]{1,3})?",
        ) {
            let html = |text: &str| text.replace(['.', '~'], "_");
            let course = format!("course-v1:{org}+{number}+{run}");
            let expected = (Some(block_type.clone()), Some(id.clone()), false);
            for key in [
                format!("block-v1:{org}+{number}+{run}+type@{block_type}+block@{id}"),
                format!("ccx-block-v1:{org}+{number}+{run}+ccx@7+type@{block_type}+block@{id}"),
                format!("i4x://{org}/{number}/{block_type}/{id}"),
                format!("i4x://{org}/{number}/{block_type}/{id}@draft"),
                format!("i4x:;_;_{org};_{number};_{block_type};_{id}"),
                format!("i4x-{}-{}-{block_type}-{id}", html(&org), html(&number)),
            ] {
                for course in [course.clone(), format!("{org}/{number}/{run}")] {
                    prop_assert_eq!(&parts(&key, Some(&course)), &expected, "{}", key);
                    let seen = format!(" \n{}\nvideo", key.replace('+', "%2B"));
                    prop_assert_eq!(&parts(&seen, Some(&course)), &expected, "{}", key);
                }
                if !key.starts_with("i4x-") && !key.contains("@draft") {
                    let address = format!("/courses/{course}/xblock/{key}/handler/h?x={key}");
                    let found = usage_key_in(&address);
                    prop_assert_eq!(found.as_deref(), Some(&*key));
                }
            }
            prop_assert_eq!(parts(&id, Some(&course)), (None, Some(id.clone()), false));
        }
    }
}
