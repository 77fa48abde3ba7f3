//! What the address of a request says.
//!
//! Source: `lms/urls.py` of edx-platform and what it includes, of all its years; the last words of the
//! forum's addresses are in `django_comment_client/base/urls.py` and `…/forum/urls.py`.

use std::borrow::Cow;

use memchr::{memchr_iter, memchr2};

use super::form::percent_decoded;

/// So many words has an address at most, but for odd ones.
const USUAL_WORDS: usize = 16;

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
    let path = memchr2(b'?', b'#', address.as_bytes()).map_or(address, |end| &address[..end]);
    let words = words(path);
    let rest = after_course(&words);
    let mut found =
        Request { path: some(path), lookup_name: looked_up(&words, rest), ..Request::default() };
    if let Some((handler, suffix)) = handler(path) {
        found.route = "xblock_handler";
        found.handler = some_of(percent_decoded(handler, false).0);
        found.suffix = some_of(percent_decoded(suffix, false).0);
    } else if let Some(rest) = rest {
        found.in_course(rest);
    } else {
        found.route = route(&words);
    }
    found
}

/// What stands between the slashes of a path, but for those at its ends.
fn words(path: &str) -> Vec<Cow<'_, str>> {
    let path = path.trim_matches('/');
    let has_codes = path.as_bytes().contains(&b'%');
    let mut words = Vec::with_capacity(USUAL_WORDS);
    let mut start = 0;
    for end in memchr_iter(b'/', path.as_bytes()).chain([path.len()]) {
        let word = &path[start..end];
        words.push(if has_codes { percent_decoded(word, false).0 } else { Cow::Borrowed(word) });
        start = end + 1;
    }
    words
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
    let mut slashes = memchr_iter(b'/', path.as_bytes());
    let key = slashes.find(|&at| path[at..].starts_with(BLOCK))? + BLOCK.len();
    // The key of a block stands between.
    slashes.filter(|&at| at > key).find_map(|at| {
        let after = path[at..].strip_prefix("/handler")?;
        let after = after.strip_prefix("_noauth").unwrap_or(after);
        let asked = if after.is_empty() { after } else { after.strip_prefix('/')? };
        Some(asked.split_once('/').unwrap_or((asked, "")))
    })
}

/// The name or number of the person whose page is asked for.
fn looked_up<'a>(
    words: &[Cow<'a, str>],
    in_course: Option<&[Cow<'a, str>]>,
) -> Option<Cow<'a, str>> {
    let found = match words {
        [first, name, ..] if first == "u" => name,
        [first, of, name, ..] if first == "certificates" && of == "user" => name,
        _ => match in_course {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        for (address, route) in [
            ("/courses/edX/DemoX/Demo_Course/info", "info"),
            ("/courses/course-v1:edX+DemoX+R/course/", "course_home"),
            ("/courses/course-v1:edX+DemoX+R", "course_home"),
            ("/courses/edX/DemoX/R/about?x=/info", "about"),
            ("/courses/edX/DemoX/R/course_wiki", "wiki"),
            ("/wiki/edX.DemoX/", "wiki"),
            ("/courses/edX/DemoX/R/pdfbook/0/chapter/1/", "pdfbook"),
            ("/courses/edX/DemoX/R/syllabus", "syllabus"),
            ("/courses/edX/DemoX/R/jump_to_id/foo", "jump_to"),
            ("/courses/edX/DemoX/R/instructor/api/list_forum_members", "instructor"),
            ("/courses/edX/DemoX/R/legacy_instructor_dash", "instructor"),
            ("/courses/edX/DemoX/R/edxnotes/", "notes"),
            ("/courses/edX/DemoX/R/edxnotes/search/", "notes_api"),
            ("/courses/edX/DemoX/R/teams/", "teams"),
            ("/courses/edX/DemoX/R/nothing", "other"),
            ("/courses", "other"),
            ("/xblock/block-v1:a+b+c+type@vertical+block@v", "xblock_view"),
            ("/api/bookmarks/v1/bookmarks/", "bookmarks_api"),
            ("/api/mobile/v0.5/my_user_info", "mobile_api"),
            ("/api/courses/v1/blocks/", "courses_api"),
            ("/api/edx_proctoring/v1/proctored_exam/attempt", "proctoring_api"),
            ("/api/v1/annotations/", "notes_api"),
            ("/api", "other"),
            ("/change_enrollment", "enroll"),
            ("/accounts/login", "login"),
            ("/logout", "logout"),
            ("/create_account", "register"),
            ("/dashboard", "dashboard"),
            ("/event", "event"),
            ("/i18n.js", "i18n"),
            ("/jsi18n/", "jsi18n"),
            ("/heartbeat", "heartbeat"),
            ("/", "other"),
            ("", "other"),
        ] {
            assert_eq!(request(address).route, route, "{address}");
        }
        assert_eq!(request("/a/?b#c").path, Some("/a/"));
        assert_eq!(request("?b").path, None);
    }

    #[test]
    fn pages_of_the_courseware() {
        let course = "/courses/course-v1:edX+DemoX+R/courseware";
        for (rest, chapter, section, position) in [
            ("", None, None, None),
            ("/d8a6/", Some("d8a6"), None, None),
            ("/d8a6/edx%20introduction/", Some("d8a6"), Some("edx introduction"), None),
            ("/d8a6/intro/3", Some("d8a6"), Some("intro"), Some(3)),
            ("/d8a6/intro/last", Some("d8a6"), Some("intro"), None),
            ("/d8a6/intro/99999999999999999999", Some("d8a6"), Some("intro"), None),
        ] {
            let address = format!("{course}{rest}");
            let found = request(&address);
            assert_eq!(found.route, "courseware");
            assert_eq!((found.chapter.as_deref(), found.section.as_deref()), (chapter, section));
            assert_eq!(found.position, position, "{address}");
        }
    }

    #[test]
    fn handlers() {
        let new = "/courses/course-v1:a+b+c/xblock/block-v1:a+b+c+type@problem+block@p";
        let old = "/courses/a/b/c/modx/i4x://a/b/problem/p";
        for (address, route, handler, suffix) in [
            (
                format!("{new}/handler/xmodule_handler/problem_check"),
                "xblock_handler",
                Some("xmodule_handler"),
                Some("problem_check"),
            ),
            (
                format!("{new}/handler_noauth/transcript/translation/en/"),
                "xblock_handler",
                Some("transcript"),
                Some("translation/en"),
            ),
            (format!("{new}/handler/submit?x=1"), "xblock_handler", Some("submit"), None),
            (format!("{new}/handler"), "xblock_handler", None, None),
            (format!("{new}/handlers/x"), "xblock_view", None, None),
            (
                "/preview/xblock/i4x://a/b/video/v/handler/h/s".to_owned(),
                "xblock_handler",
                Some("h"),
                Some("s"),
            ),
            ("/courses/a/b/c/xblock/handler/h/s".to_owned(), "xblock_view", None, None),
            (format!("{old}/problem_check"), "modx", None, Some("problem_check")),
            (old.to_owned(), "modx", None, None),
        ] {
            let found = request(&address);
            assert_eq!(found.route, route, "{address}");
            assert_eq!((found.handler.as_deref(), found.suffix.as_deref()), (handler, suffix));
        }
    }

    #[test]
    fn acts_in_the_forum() {
        for (rest, action, thread, comment, topic) in [
            ("cba3/threads/create", Some("create"), None, None, Some("cba3")),
            ("threads/5530/reply", Some("reply"), Some("5530"), None, None),
            ("comments/5531/reply", Some("reply"), None, Some("5531"), None),
            ("threads/5530/flagAbuse", Some("flag"), Some("5530"), None, None),
            ("threads/5530/nothing", None, Some("5530"), None, None),
            ("threads/5530", None, Some("5530"), None, None),
            ("comments/5531/endorse/", Some("endorse"), None, Some("5531"), None),
            ("cba3/follow", Some("follow"), None, None, Some("cba3")),
            ("forum", Some("list"), None, None, None),
            ("forum/search", Some("search"), None, None, None),
            ("forum/users/7", Some("user_profile"), None, None, None),
            ("forum/users/7/followed", Some("list"), None, None, None),
            ("forum/cba3/inline", Some("read_inline"), None, None, Some("cba3")),
            ("forum/cba3/threads/5530", Some("read"), Some("5530"), None, Some("cba3")),
            ("forum/cba3/threads/5530/x", None, None, None, None),
            ("", None, None, None, None),
        ] {
            let address = format!("/courses/edX/DemoX/R/discussion/{rest}");
            let found = request(&address);
            assert_eq!((found.route, found.forum_action), ("discussion", action), "{rest}");
            let ids = [&found.thread_id, &found.comment_id, &found.commentable_id];
            assert_eq!(ids.map(|id| id.as_deref()), [thread, comment, topic], "{rest}");
        }
    }

    #[test]
    fn people_that_are_looked_up() {
        for (address, name) in [
            ("/u/amy%20b/", Some("amy b")),
            ("/users/7", Some("7")),
            ("/courses/course-v1:a+b+c/progress/7/", Some("7")),
            ("/courses/course-v1:a+b+c/progress", None),
            ("/certificates/user/7/course/course-v1:a+b+c", Some("7")),
            ("/courses/a/b/c/discussion/forum/users/7", Some("7")),
            ("/u", None),
            ("/dashboard", None),
        ] {
            assert_eq!(request(address).lookup_name.as_deref(), name, "{address}");
        }
    }
}
