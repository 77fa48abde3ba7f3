//! What the address of a request says.
//!
//! Source: `lms/urls.py` of edx-platform and what it includes, of all its years; the last words of the
//! forum's addresses are in `django_comment_client/base/urls.py` and `…/forum/urls.py`.

use std::borrow::Cow;

use super::form::percent_decoded;

/// An address, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// The path, without what follows it.
    pub path: Option<&'a str>,
    /// What kind of page or service it leads to; `other` if none is known.
    pub route: &'static str,
    /// URL name of the chapter.
    pub chapter: Option<Cow<'a, str>>,
    /// URL name of the subsection.
    pub section: Option<Cow<'a, str>>,
    /// Place of the unit in the subsection, from 1.
    pub position: Option<i64>,
    /// Name of the block's handler.
    pub handler: Option<Cow<'a, str>>,
    /// What follows the handler, or the key of an old one: what is asked of it.
    pub suffix: Option<Cow<'a, str>>,
    /// What is done in the forum.
    pub forum_action: Option<&'static str>,
    /// The thread.
    pub thread_id: Option<Cow<'a, str>>,
    /// The response or comment.
    pub comment_id: Option<Cow<'a, str>>,
    /// The topic of the forum.
    pub commentable_id: Option<Cow<'a, str>>,
    /// The person whose page it is: a name or a number.
    pub lookup_name: Option<Cow<'a, str>>,
}

/// Takes an address apart.
pub fn request(address: &str) -> Request<'_> {
    let path = address.find(['?', '#']).map_or(address, |end| &address[..end]);
    let words = path.trim_matches('/').split('/').map(|word| percent_decoded(word, false).0);
    let words: Vec<Cow<'_, str>> = words.collect();
    let mut found =
        Request { path: some(path), lookup_name: looked_up(&words), ..Request::default() };
    if let Some((handler, suffix)) = handler(path) {
        found.route = "xblock_handler";
        found.handler = some_of(percent_decoded(handler, false).0);
        found.suffix = some_of(percent_decoded(suffix, false).0);
    } else if let Some(rest) = after_course(&words) {
        found.in_course(rest);
    } else {
        found.route = route(&words);
    }
    found
}

impl<'a> Request<'a> {
    fn in_course(&mut self, words: &[Cow<'a, str>]) {
        let (first, rest) = match words {
            [first, rest @ ..] => (&**first, rest),
            [] => ("course", words),
        };
        let word = |at: usize| rest.get(at).cloned().and_then(some_of);
        self.route = match first {
            "course" => "course_home",
            "info" => "info",
            "syllabus" => "syllabus",
            "progress" => "progress",
            "about" => "about",
            "wiki" | "course_wiki" => "wiki",
            "pdfbook" => "pdfbook",
            "htmlbook" => "htmlbook",
            "book" => "book",
            "courseware" => {
                (self.chapter, self.section) = (word(0), word(1));
                self.position = word(2).and_then(|word| digits(&word));
                "courseware"
            }
            "jump_to" | "jump_to_id" => "jump_to",
            "xblock" => "xblock_view",
            "modx" => {
                // A key as it stands has five slashes.
                let is_location = rest.first().is_some_and(|word| word == "i4x:");
                let after = rest.get(if is_location { 6 } else { 1 }..).unwrap_or_default();
                self.suffix = match after {
                    [word] => some_of(word.clone()),
                    _ => some_of(Cow::Owned(after.join("/"))),
                };
                "modx"
            }
            "discussion" => {
                self.in_forum(rest);
                "discussion"
            }
            "instructor" | "legacy_instructor_dash" => "instructor",
            "edxnotes" if !rest.is_empty() => "notes_api",
            "notes" if rest.first().is_some_and(|word| word == "api") => "notes_api",
            "notes" | "edxnotes" => "notes",
            "teams" => "teams",
            "generate_user_cert" => "certificates",
            _ => "other",
        };
    }

    fn in_forum(&mut self, rest: &[Cow<'a, str>]) {
        let id = |at: usize| rest.get(at).cloned().and_then(some_of);
        // The longest address that is known has four words.
        let mut words = [""; 4];
        for (word, known) in words.iter_mut().zip(rest) {
            *word = known;
        }
        self.forum_action = match (words, rest.len()) {
            (["forum", ..], 1) => Some("list"),
            (["forum", "search", ..], 2) => Some("search"),
            (["forum", "users", ..], 3) => Some("user_profile"),
            (["forum", "users", _, "followed"], 4) => Some("list"),
            (["forum", _, "inline", _], 3) => {
                self.commentable_id = id(1);
                Some("read_inline")
            }
            (["forum", _, "threads", _], 4) => {
                (self.commentable_id, self.thread_id) = (id(1), id(3));
                Some("read")
            }
            (["threads", _, verb, _], 2..) => {
                self.thread_id = id(1);
                if rest.len() == 3 { forum_action(verb) } else { None }
            }
            (["comments", _, verb, _], 2..) => {
                self.comment_id = id(1);
                if rest.len() == 3 { forum_action(verb) } else { None }
            }
            ([_, "threads", "create", _], 3) => {
                self.commentable_id = id(0);
                Some("create")
            }
            ([_, verb @ ("follow" | "unfollow"), ..], 2) => {
                self.commentable_id = id(0);
                forum_action(verb)
            }
            _ => None,
        };
    }
}

/// What is done to a post.
fn forum_action(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "reply" => "reply",
        "upvote" => "upvote",
        "unvote" => "unvote",
        "update" => "update",
        "delete" => "delete",
        "close" => "close",
        "pin" => "pin",
        "unpin" => "unpin",
        "follow" => "follow",
        "unfollow" => "unfollow",
        "endorse" => "endorse",
        "flagAbuse" => "flag",
        "unFlagAbuse" => "unflag",
        _ => return None,
    })
}

/// The route of an address outside of a course.
fn route(words: &[Cow<'_, str>]) -> &'static str {
    match &*words[0] {
        "api" if words.len() > 1 => route_of_api(&words[1..]),
        "accounts" if words.get(1).is_some_and(|word| word == "login") => "login",
        "wiki" => "wiki",
        "xblock" => "xblock_view",
        "instructor_task_status" => "instructor",
        "change_enrollment" => "enroll",
        "login" | "login_ajax" | "login_post" | "signin" => "login",
        "logout" => "logout",
        "register" | "create_account" | "signup" => "register",
        "dashboard" => "dashboard",
        "account"
        | "accounts"
        | "u"
        | "users"
        | "user_api"
        | "activate"
        | "password_reset"
        | "password_reset_confirm"
        | "change_setting"
        | "change_email"
        | "change_name"
        | "email_confirm" => "account",
        "certificates" | "request_certificate" => "certificates",
        "event" | "segmentio" => "event",
        "i18n" | "i18n.js" => "i18n",
        "jsi18n" => "jsi18n",
        "heartbeat" => "heartbeat",
        _ => "other",
    }
}

fn route_of_api(words: &[Cow<'_, str>]) -> &'static str {
    let last = words.last().map_or("", |word| word);
    match &*words[0] {
        first if first.starts_with("course") => "courses_api",
        "v1" if words.get(1).is_some_and(|word| word == "annotations") => "notes_api",
        "user" if last == "login_session" => "login",
        "user" if last == "registration" => "register",
        "bookmarks" => "bookmarks_api",
        "mobile" => "mobile_api",
        "edx_proctoring" => "proctoring_api",
        "edxnotes" => "notes_api",
        "enrollment" => "enroll",
        "user" => "account",
        "discussion" => "discussion",
        "team" => "teams",
        "certificates" => "certificates",
        _ => "other",
    }
}

/// The words after the key of the course, which is one word, or three of old.
fn after_course<'w, 'a>(words: &'w [Cow<'a, str>]) -> Option<&'w [Cow<'a, str>]> {
    match words {
        [first, key, rest @ ..] if first == "courses" && key.contains(':') => Some(rest),
        [first, org, number, run, rest @ ..] if first == "courses" => {
            [org, number, run].iter().all(|word| !word.is_empty()).then_some(rest)
        }
        _ => None,
    }
}

/// The name of a block's handler, and what follows it.
fn handler(path: &str) -> Option<(&str, &str)> {
    const BLOCK: &str = "/xblock/";
    let path = path.trim_end_matches('/');
    let mut rest = &path[path.find(BLOCK)? + BLOCK.len()..];
    loop {
        let (word, after) = rest.split_once('/').unwrap_or((rest, ""));
        if matches!(word, "handler" | "handler_noauth") {
            return Some(after.split_once('/').unwrap_or((after, "")));
        }
        if after.is_empty() {
            return None;
        }
        rest = after;
    }
}

/// The name or number of the person whose page is asked for.
fn looked_up<'a>(words: &[Cow<'a, str>]) -> Option<Cow<'a, str>> {
    let found = match words {
        [first, name, ..] if first == "u" => name,
        [first, of, name, ..] if first == "certificates" && of == "user" => name,
        _ => match after_course(words) {
            Some([first, rest @ ..]) if first == "progress" => rest.first()?,
            _ => words.get(words.iter().position(|word| word == "users")? + 1)?,
        },
    };
    some_of(found.clone())
}

fn digits(word: &str) -> Option<i64> {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { word.parse().ok() } else { None }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn some_of(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(text)
}
