use proptest::prelude::*;
use serde_json::Value;

use super::url::is_api_version;
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

impl CourseFields for Sample {
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
    let cases = include_str!("../../../../../tests/data/course-id-cases.jsonl");
    let mut count = 0;
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let expected = case["course_id"]
            .as_str()
            .map(|key| (key.to_owned(), case["course_source"].as_str().unwrap()));
        let answer = attributed(case["event"].clone());
        assert_eq!(answer.as_ref().map(|(k, s)| (k.clone(), *s)), expected, "{line}");
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
        ("/context/course_id".to_owned(), "context".to_owned(), "context"),
        ("/course_id".to_owned(), "top".to_owned(), "top"),
    ];
    for name in ["course_id", "course_key", "context_key", "course"] {
        order.push((format!("/event/{name}"), name.to_owned(), "payload"));
    }
    order.push(("/context/module/usage_key".to_owned(), "module".to_owned(), "usage_key"));
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
        assert_eq!(attributed(event.clone()), Some((key(&run), source)), "{place}");
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
        ("course-v1:a+b+c+type@problem+block@x", Some(("course-v1:a+b+c", true))),
        ("asset-v1:a+b+c+type@asset+block@x.pdf", Some(("course-v1:a+b+c", true))),
        ("ccx-v1:a+b+c+ccx@7+branch@draft", Some(("ccx-v1:a+b+c+ccx@7", true))),
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
        let answer = found.as_ref().map(|found| (found.key.as_ref(), found.repaired));
        assert_eq!(answer, expected, "{text:?}");
    }
}

#[test]
fn libraries_only_where_allowed() {
    let library = "library-v1:UnivX+Lib";
    assert_eq!(from_field(library, true).unwrap().key, library);
    assert_eq!(from_field("library-v1:UnivX+Lib+branch@draft", true).unwrap().key, library);
    assert_eq!(from_field("library-v1:UnivX+Lib+Run", true), None);
    assert_eq!(from_field(library, false), None);
    assert_eq!(from_usage_key(library), None);
    assert_eq!(from_url("/enroll?course_id=library-v1%3AUnivX%2BLib"), None);
}

#[test]
fn usage_keys() {
    let found = from_usage_key("block-v1%3Aa%2Bb%2Bc%2Btype%40problem%2Bblock%40x").unwrap();
    assert_eq!(found, FoundKey { key: "course-v1:a+b+c".into(), repaired: true });
    for text in [KEY, "a/b/c", "lib-block-v1:a+b+type@c+block@d", "block-v1:a+b", "H1P1"] {
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
        ("/courses/course-v1:a+b+2014%C3%A9t%C3%A9/x", Some("course-v1:a+b+2014\u{e9}t\u{e9}")),
        ("/x/block-v1:a+b+c+type%40problem+block%40d/y", Some("course-v1:a+b+c")),
        ("/x/xcourse-v1:a+b+c/course-v1:d+e+f", Some("course-v1:d+e+f")),
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
        ("/enroll?a=b&course_id=none&course_key=UnivX/CS101/2015#top", slash),
        ("/enroll?course_id=course-v1:a+b+c", Some("course-v1:a+b+c")),
        ("/enroll?xcourse_id=course-v1:a+b+c", None),
        ("/enroll#?course_id=course-v1:a+b+c", None),
        (" DATA:text/html,/courses/UnivX/CS101/2015/", None),
    ];
    for (url, expected) in cases {
        assert_eq!(from_url(url).map(|found| found.key).as_deref(), expected, "{url}");
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
    for piece in ["course-v1:", "course-v1:ccx-v1:", "course-v1:a+", "/courses/", "%25"] {
        assert!(from_url(&piece.repeat(200_000)).is_none(), "{piece}");
    }
    assert_eq!(from_url("/x/ccx-v1:course-v1:a+b+c/").unwrap().key, "course-v1:a+b+c");
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
        prop_assert_eq!(found, Some(FoundKey { key: Cow::Borrowed(&*key), repaired: false }));
    }

    #[test]
    fn a_percent_sign_is_legal_in_slash_keys(key in "[a-z%0-9]{1,5}/[a-z%0-9]{1,5}/[a-z%0-9]{1,5}") {
        let found = from_field(&key, false);
        prop_assert_eq!(found, Some(FoundKey { key: Cow::Borrowed(&*key), repaired: false }));
    }

    #[test]
    fn an_encoded_field_is_its_key(
        key in key(), encoder in 2usize..5, upper: bool, twice: bool,
    ) {
        let mut text = encode(&key, encoder, upper);
        if twice {
            text = encode(&text, encoder, upper);
        }
        prop_assert_eq!(from_field(&text, false), Some(FoundKey { key: key.into(), repaired: true }));
    }

    #[test]
    fn a_block_gives_its_course(body in new_style_body(), ccx in any::<Option<u16>>()) {
        let (prefix, course) = match ccx {
            Some(n) => (format!("ccx-block-v1:{body}+ccx@{n}"), format!("ccx-v1:{body}+ccx@{n}")),
            None => (format!("block-v1:{body}"), format!("course-v1:{body}")),
        };
        let block = format!("{prefix}+type@problem+block@p1");
        let expected = Some(FoundKey { key: course.into(), repaired: true });
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
