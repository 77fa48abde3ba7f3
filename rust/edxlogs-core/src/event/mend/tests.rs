#![allow(clippy::expect_used)]

use super::*;

const EVENT: &str = r#"{"event_type": "x", "event_source": "server", "time": "t"}"#;

fn events(line: &[u8]) -> Vec<(String, Vec<&'static str>)> {
    match mend(line, None) {
        Outcome::Events(events) => events
            .into_iter()
            .map(|event| (event.text, event.mends.iter().map(Mend::as_str).collect()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn reason(line: &str) -> Reason {
    match mend(line.as_bytes(), None) {
        Outcome::Rejected(reason) | Outcome::Hollow(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn mends() {
    let one = |mend: &'static str| vec![(EVENT.to_owned(), vec![mend])];
    assert_eq!(events(format!("Sep 9 {{a}} {EVENT}").as_bytes()), one("prefix"));
    assert_eq!(events(format!("{EVENT},").as_bytes()), one("trailing_text"));
    assert_eq!(events(format!("\0\0{EVENT}").as_bytes()), one("nul"));
    assert_eq!(events(format!("[{EVENT}]").as_bytes()), one("array"));
    assert_eq!(events(format!("{{\"a\": \"b{EVENT}").as_bytes()), one("interleaved"));
    let nested = serde_json::to_string(EVENT).expect("text");
    assert_eq!(events(nested.as_bytes()), one("nested_json"));
    assert_eq!(events(&nested.as_bytes()[1..nested.len() - 1]), one("nested_json"));
    let two = events(format!("{EVENT} {EVENT}").as_bytes());
    assert_eq!(two, [one("concatenated"), one("concatenated")].concat());
    // What a lost line end joined: each event counts, whatever stands before it.
    let joined = events(format!("{EVENT}Sep 9 00:00:48 host {EVENT}, {EVENT}x").as_bytes());
    let mends = vec!["trailing_text", "concatenated"];
    assert_eq!(joined, vec![(EVENT.to_owned(), mends); 3]);
    let text = r#"{"event_type": NaN, "time": "a	b\ud800"}"#;
    let strict = r#"{"event_type": null, "time": "a\tb\ufffd"}"#;
    let mends = vec!["surrogate", "nan", "control_character"];
    assert_eq!(events(text.as_bytes()), [(strict.to_owned(), mends)]);
}

fn text_of(text: &str) -> String {
    serde_json::to_string(text).expect("text")
}

#[test]
fn envelopes() {
    let text = text_of(&format!("{EVENT}\n"));
    let one = vec![(EVENT.to_owned(), vec!["envelope"])];
    for line in [
        format!("{{\"log\": {text}, \"stream\": \"stderr\", \"time\": \"2024-05-01T10:00:00Z\"}}"),
        format!("{{\"message\": {text}, \"host\": \"h\", \"source_type\": \"file\"}}"),
        format!("{{\"MESSAGE\": {text}, \"_PID\": \"1\"}}"),
        format!("{{\"version\": \"1.1\", \"short_message\": \"x\", \"full_message\": {text}}}"),
        format!("{{\"_index\": \"i\", \"_source\": {EVENT}}}"),
        format!("{{\"level\": {{}}, \"tracking_json\": {EVENT}}}"),
        format!("2024-05-01T10:00:00.1Z stderr F {EVENT}"),
        format!("2024-05-01T10:00:00.123456789+02:00 stdout F:x {EVENT}"),
    ] {
        assert_eq!(events(line.as_bytes()), one, "{line}");
    }
    // The kubelet's head around docker's envelope around a dump.
    let dump = text_of(&format!("{{\"_source\": {EVENT}}}"));
    let three = format!("2024-05-01T10:00:00Z stderr F {{\"log\": {dump}}}");
    assert_eq!(events(three.as_bytes()), one);
    assert_eq!(reason(&format!("{{\"message\": {}}}", text_of(&three))), Reason::NotAnEvent);
    let text = text_of(&format!("10:00 INFO - {EVENT} {EVENT}"));
    let mends = vec!["envelope", "prefix", "concatenated"];
    assert_eq!(
        events(format!("{{\"msg\": {text}}}").as_bytes()),
        vec![(EVENT.to_owned(), mends); 2]
    );
}

#[test]
fn envelopes_without_an_event() {
    for (line, expected) in [
        (r#"{"log": "an ordinary line\n", "stream": "stderr"}"#, Reason::NotAnEvent),
        (r#"{"msg": "got {'a': 1}"}"#, Reason::NotAnEvent),
        (r#"{"name": "a", "hostname": "h", "msg": "m", "time": "t"}"#, Reason::NotAnEvent),
        ("2024-05-01T10:00:00.1Z stderr F an ordinary line", Reason::NoObject),
        ("2024-05-01T10:00:00.1Z stderr F", Reason::NoObject),
    ] {
        assert_eq!(mend(line.as_bytes(), None), Outcome::Hollow(expected), "{line}");
    }
    assert_eq!(reason(r#"{"log": "{\"event_type\": \"a", "time": 1}"#), Reason::Truncated);
    assert_eq!(reason(r#"{"name": "a", "hostname": "h", "time": "t"}"#), Reason::NotAnEvent);
}

#[test]
fn the_time_of_an_envelope() {
    let time = |path: &str, line: &str| {
        let path = [Segment::Key(path.to_owned())];
        match mend(line.as_bytes(), Some(&path)) {
            Outcome::Events(events) => events[0].time.map(|time| time.micros),
            other => panic!("{other:?}"),
        }
    };
    let inner = format!("{{\"log\": {}, \"time\": 1000000001}}", text_of(EVENT));
    assert_eq!(time("time", &inner), Some(1_000_000_001_000_000));
    assert_eq!(time("@timestamp", &inner), None);
    let outer = format!("2024-05-01T10:00:00Z stderr F {inner}");
    assert_eq!(time("time", &outer), Some(1_000_000_001_000_000), "the innermost");
    let head = format!("1970-01-01T00:00:01Z stderr F {EVENT}");
    assert_eq!(time("time", &head), Some(1_000_000));
}

#[test]
fn reasons() {
    assert_eq!(reason("# a comment"), Reason::NoObject);
    assert_eq!(reason(&EVENT[..EVENT.len() - 1]), Reason::Truncated);
    assert_eq!(reason("{'a': 1}"), Reason::BadJson);
    assert_eq!(reason("[1, 2]"), Reason::NotAnObject);
    assert_eq!(reason("\"text\""), Reason::NotAnObject);
    assert_eq!(reason("17"), Reason::NotAnObject);
    assert_eq!(reason("{}"), Reason::NotAnEvent);
    assert_eq!(reason(&format!("[{EVENT}, {EVENT}]")), Reason::NotAnObject);
    assert_eq!(reason(&"{\"a\":".repeat(100_000)), Reason::TooDeep);
    // The payload of a cut line may look like an event, but does not reach the line's end.
    assert_eq!(reason(r#"x", "event": {"name": "a"}, "page": null}"#), Reason::NoObject);
    assert_eq!(reason(r#"{"event": {"time": 1}, "page": "#), Reason::Truncated);
    // The tail of a line, whose objects are values.
    assert_eq!(reason(r#"o", "context": {}, "time": "t"}"#), Reason::NoObject);
    assert_eq!(reason(r#"o", "context": {"path": "/event"}"#), Reason::NotAnEvent);
    assert_eq!(mend(b" \0 \t", None), Outcome::Blank);
}
