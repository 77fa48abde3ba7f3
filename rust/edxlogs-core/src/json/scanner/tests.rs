use proptest::prelude::*;

use super::*;
use crate::json::plain::tests::value;

fn whole(text: &str) -> Result<(Span, Oddities), Fault> {
    let mut scanner = Scanner::new(text.as_bytes(), 0);
    scanner.space();
    let span = scanner.value()?;
    if scanner.at_end() { Ok((span, scanner.odd)) } else { Err(Fault::Syntax) }
}

#[test]
fn reads_what_python_reads() {
    for text in ["0", "-0.5e+3", "\"\"", "[]", "{}", "[ {\"a\" : [1 , 2]} ]", "true", "null"] {
        assert_eq!(whole(text).map(|(_, odd)| odd), Ok(Oddities::default()), "{text}");
    }
    assert!(whole("[NaN, -Infinity, Infinity]").is_ok_and(|(_, odd)| odd.nan));
    assert!(whole("\"\\ud83d\"").is_ok_and(|(_, odd)| odd.surrogate));
    assert!(whole("\"\\ud83d\\ude00\"").is_ok_and(|(_, odd)| !odd.surrogate));
    assert!(whole("\"\\ude00\\ud83d\"").is_ok_and(|(_, odd)| odd.surrogate));
    assert!(whole("\"a\tb\"").is_ok_and(|(_, odd)| odd.control));
    assert!(whole("1e400").is_ok_and(|(_, odd)| odd.big_number));
    assert!(whole("12345678901234567890").is_ok_and(|(_, odd)| odd.big_number));
}

#[test]
fn tells_cut_from_wrong() {
    for text in ["", "\"a", "\"\\u12", "[1,", "{\"a\"", "{\"a\":", "tru", "-", "1.", "1e", "Infin"]
    {
        assert_eq!(whole(text), Err(Fault::End), "{text}");
    }
    for text in ["01", "+1", ".5", "{a:1}", "[1,]", "{\"a\":1,}", "\"\\'\"", "'a'", "nul!", "--1"] {
        assert_eq!(whole(text), Err(Fault::Syntax), "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(whole(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(whole(&nested(MAX_DEPTH + 1)), Err(Fault::TooDeep));
    assert_eq!(whole(&"{\"a\":".repeat(100_000)), Err(Fault::TooDeep));
}

proptest! {
    #[test]
    fn what_was_checked_is_skipped_to_the_same_end(
        text in "[\\[\\]{}:,\"a\\\\u0019e.+ \\-truefalsn]{0,24}", tail in "[\\]}\", ]{0,20}",
    ) {
        let text = text + &tail;
        let mut checking = Scanner::new(text.as_bytes(), 0);
        if let Ok(span) = checking.value() {
            let mut skipping = Scanner::new(text.as_bytes(), 0);
            prop_assert_eq!(skipping.skip(), Ok(span));
            prop_assert_eq!(skipping.position(), checking.position());
        }
    }

    #[test]
    fn objects_are_skipped_to_the_same_end(value in value(), tail in "[\\]}\", ]{0,20}") {
        let text = value.to_string() + &tail;
        let ends = [Scanner::value, Scanner::skip].map(|read| {
            read(&mut Scanner::new(text.as_bytes(), 0))
        });
        prop_assert_eq!(ends[0], ends[1]);
        prop_assert!(ends[0].is_ok());
    }

    #[test]
    fn plain_runs_end_where_looking_finds(
        bytes in proptest::collection::vec(
            prop_oneof![9 => 0x20u8..=0xff, 1 => Just(b'"'), 1 => Just(b'\\'), 1 => 0u8..0x20],
            0..80,
        ),
    ) {
        let end = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
        for at in 0..=end.unwrap_or(bytes.len()) {
            prop_assert_eq!(plain_end(&bytes, at), end.unwrap_or(bytes.len()));
        }
    }

    #[test]
    fn agrees_with_serde_json(text in "[\\[\\]{}:,\"a\\\\u0019e.+ \\-truefalsn]{0,24}") {
        // Where nothing odd was met, both accept and refuse the same texts.
        let ours = whole(&text);
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text);
        match ours {
            Ok((_, odd)) if odd == Oddities::default() => prop_assert!(theirs.is_ok(), "{}", text),
            Ok(_) => {}
            Err(_) => prop_assert!(theirs.is_err(), "{}", text),
        }
    }
}
