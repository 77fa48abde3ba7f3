use proptest::prelude::*;

use super::*;

fn undone(text: &str, unescape: fn(&str, &mut String)) -> String {
    let mut out = String::new();
    unescape(text, &mut out);
    out
}

#[test]
fn escapes_are_undone_once_from_left_to_right() {
    for (written, tab, module) in [
        (r"\\n", "\\n", "\\n"),
        (r"\n", "\n", r"\n"),
        (r"\\\n", "\\\n", "\\\\n"),
        (r"\t\r\0", "\t\r\0", r"\t\r\0"),
        (r"\x\", r"\x\", r"\x\"),
        ("a\\\tb", "a\\\tb", "a\tb"),
        (r"é\\é", r"é\é", r"é\é"),
    ] {
        assert_eq!(undone(written, unescape_tab), tab, "{written:?}");
        assert_eq!(undone(written, unescape_module), module, "{written:?}");
    }
}

#[test]
fn bytes_literals_are_told_and_read() {
    assert!(are_literals(b"b'1'\tb\"it's\"\tNULL\nb'2'\tb'x'\tb''\n"));
    assert!(!are_literals(b"1\tb'x'\n"));
    assert!(!are_literals(b""));
    assert_eq!(unescape_literal(br"caf\xc3\xa9 \'\\\n"), "café '\\\n".as_bytes());
    assert_eq!(literal(b"bytearray(b'x')"), Some(&b"x"[..]));
}

proptest! {
    #[test]
    fn what_the_exporter_escapes_comes_back(text in r#"[\\\t\n\rntr0a"é]{0,12}"#) {
        let written = text.replace('\\', r"\\").replace('\r', r"\r").replace('\t', r"\t");
        let tab = written.replace('\n', r"\n");
        prop_assert_eq!(undone(&tab, unescape_tab), text.clone());
        let module = text.replace('\\', r"\\").replace('\t', "\\\t");
        prop_assert_eq!(undone(&module, unescape_module), text);
    }
}
