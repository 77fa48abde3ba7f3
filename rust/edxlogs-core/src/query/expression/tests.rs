use super::*;
use proptest::prelude::*;

fn path(text: &str) -> Path {
    let segments = text.split('.').map(|key| Segment::Key(key.to_owned())).collect();
    Path { segments, cast: None }
}

fn is_null(text: &str) -> Expression {
    Expression::IsNull { path: path(text), negated: false }
}

/// The canonical text of an expression, which must be a fixed point.
fn canonical(text: &str) -> String {
    let shown = parse_expression(text).unwrap().to_string();
    assert_eq!(parse_expression(&shown).unwrap().to_string(), shown);
    shown
}

#[test]
fn and_binds_more_than_or_and_not_more_than_both() {
    let expected = Expression::Or(vec![
        is_null("a"),
        Expression::And(vec![
            Expression::Not(Box::new(is_null("b"))),
            is_null("c"),
            Expression::Or(vec![is_null("d"), is_null("e")]),
        ]),
    ]);
    let text = "a is null or not b is null and c IS NULL and (d is null or (e is Null))";
    assert_eq!(parse_expression(text), Ok(expected));
}

#[test]
fn a_condition_becomes_its_parts() {
    let compare = Expression::Compare {
        path: Path {
            segments: Arc::new([
                Segment::Key("event".to_owned()),
                Segment::Key("a.\"b".to_owned()),
                Segment::Index(0),
            ]),
            cast: Some(Cast::Float64),
        },
        op: Comparison::Ge,
        literal: Literal::Number(Number::Float(-0.5)),
    };
    assert_eq!(parse_expression("event.\"a.\"\"b\"[0]::float64>=-5e-1"), Ok(compare));
    let list = Expression::In {
        path: path("username"),
        literals: vec![
            Literal::Text("o'neil".to_owned()),
            Literal::Number(Number::Integer(i64::MIN)),
            Literal::Bool(true),
        ],
        negated: true,
    };
    let text = "username not in('o''neil', -9223372036854775808,TRUE)";
    assert_eq!(parse_expression(text), Ok(list));
    let pattern = Like::new("50\\%").unwrap();
    let like = Expression::Like { path: path("event.like"), pattern, negated: false };
    assert_eq!(parse_expression("event.like like '50\\%'"), Ok(like));
}

#[test]
fn the_canonical_text_has_one_spelling() {
    for (text, expected) in [
        ("a==1", "a = 1"),
        ("a<>+1", "a != 1"),
        ("\n a\t<\u{a0}1E2 ", "a < 100.0"),
        ("((a=1)or((b=2)and(c=3)))", "a = 1 or b = 2 and c = 3"),
        ("NOT(a IS NOT NULL)", "not a is not null"),
        ("not (a = 1 and b = 2)", "not (a = 1 and b = 2)"),
        ("(a=1 and b=2) and c=3", "(a = 1 and b = 2) and c = 3"),
        ("\"and\".and = False", "\"and\".and = false"),
        ("\"a\".\"b-c\".\"1\".\"\" = ''", "a.b-c.\"1\".\"\" = ''"),
        ("notx = 1", "notx = 1"),
        ("a::INT64 in(1,-0.5)", "a::int64 in (1, -0.5)"),
    ] {
        assert_eq!(canonical(text), expected);
    }
}

/// Wrong texts with a ▶ at the place to point at, and the start of what to say.
const COMPLAINTS: &str = r#"
▶ => the expression is empty
  ▶ => the expression is empty
event.grade = ▶and x = 1 => expected a value after '='
name = ▶"x" => expected a value after '='; text goes in single quotes
name >= ▶x => expected a value after '>='; text goes in single quotes
a == ▶null => null is not a value: use 'is null'
a <> ▶NULL => null is not a value: use 'is not null'
a in (1, ▶null) => null is not a value: use 'is null'
▶5 < event.grade => write the path first, then > and the value
▶'it''s'="b c"::int64 => write the path first, then = and the value
▶true => a condition starts with a path, not with a value
▶'é' = 'b' => a condition starts with a path, not with a value
a = ▶'b => the quote that opens here is not closed
▶'b => the quote that opens here is not closed
a.▶"b = 1 => the quote that opens here is not closed
a = 1 and ▶or => expected a condition, such as event.grade >= 0.5 (as a key 'or' needs double
▶null = a => expected a condition, such as event.grade >= 0.5 (as a key 'null' needs double
(▶) => expected a condition, such as
a = 1 and▶ => expected a condition, such as
▶été = 1 => expected a condition, such as
a = 1 ▶b => expected 'and', 'or' or the end
a = 1▶) => expected 'and', 'or' or the end
(a = 1▶ => expected 'and', 'or' or ')'
a ▶glob 'b*' => there is no 'glob': write 'like', with % for * and _ for ?
a ▶has 1 => expected '=', '!=', '<', '<=', '>', '>=', 'in', 'like' or 'is' after the path
a not ▶= 1 => expected 'in' or 'like' after 'not'
a is ▶1 => expected 'null' or 'not null' after 'is'
a in ▶1 => expected '(' after 'in'
a in (▶) => expected a value after '('
a in (1,▶) => expected a value after ','
a in (1▶ => expected ',' or ')'
a like ▶b => expected a text in single quotes after 'like'
a ▶between 1 and 2 => there is no 'between': write x >= 1 and x <= 2
a not ▶BETWEEN 1 and 2 => there is no 'between': write x >= 1 and x <= 2
a ▶ilike 'b' => there is no 'ilike': 'like' is case-sensitive; join the spellings with 'or'
a like ▶'b*' => in 'like', % is any run of characters and _ is one; * and ? are themselves, as \* and \?
a like ▶'b\c' => in a pattern, '\' goes before '%', '_', '*', '?' or '\' only
a.▶ b = 1 => expected a key after '.'; an unusual one needs double quotes
a.▶0 = 1 => a key that starts with a digit needs double quotes; an index is [0]
a[0▶ = 1 => expected ']'
a[▶-1] = 1 => expected an index from 0 after '['
a[▶99999999999999999999] = 1 => the index is too large
a::▶float = 1 => expected float64, int64, bool or timestamp after '::'
time > 2014▶-01-01 => the number ends here; text, such as a day, goes in single quotes
a = 1.▶ => expected a digit
a = -▶ => expected a digit
a = ▶007 => a number does not start with 0; text goes in single quotes
a = ▶1e999 => the number is too large
a = ▶9223372036854775808 => an integer beyond 64 bits would not be exact
"#;

#[test]
fn an_error_says_what_is_wrong_and_where() {
    for line in COMPLAINTS.trim_matches('\n').lines() {
        let (marked, message) = line.split_once(" => ").unwrap();
        let error = parse_expression(&marked.replace('▶', "")).unwrap_err();
        assert_eq!(Some(error.offset), marked.find('▶'), "{line}");
        assert!(error.message.starts_with(message), "{line}: {}", error.message);
    }
}

#[test]
fn the_place_is_shown_on_one_line() {
    let pointing_at = |text: &str| parse_expression(text).unwrap_err().pointing_at(text);
    assert_eq!(
        pointing_at("é\n= 'a'"),
        r"expected a condition, such as event.grade >= 0.5 at character 1: ▶é\n= 'a'"
    );
    assert_eq!(
        pointing_at("'\u{2028}\n' = a"),
        r"write the path first, then = and the value at character 1: ▶'\u{2028}\n' = a"
    );
    let shown = pointing_at(&format!("{} = 'é' x{}", "a".repeat(50), "y".repeat(50)));
    let (before, after) = ("a".repeat(23), "y".repeat(19));
    let expected = format!(" at character 58: …{before} = 'é' ▶x{after}…");
    assert!(shown.ends_with(&expected), "{shown}");
    let error = SyntaxError { offset: 100, message: "wrong".to_owned() };
    assert_eq!(error.pointing_at("short"), "wrong at character 6: short▶");
}

#[test]
fn a_place_is_shown_without_what_may_be_a_value() {
    let is_field = |name: &str| ["username", "event"].contains(&name);
    for (marked, expected) in [
        ("username = ▶ana", "username = ▶…"),
        ("username = ▶\"ana\"", "username = ▶…"),
        ("▶'ana' = username", "▶… = username"),
        ("ana = ▶username", "… = ▶username"),
        ("\"ana\" = ▶username", "… = ▶username"),
        ("username = ▶'ana", "username = ▶…"),
        ("username = 'o'▶neil' or", "username = …▶…"),
        ("username = 'an''a' ▶'bob'", "username = … ▶…"),
        ("username in ('ana', ▶bob)", "username in (…, ▶…)"),
        ("username▶:ana", "username▶…"),
        ("username::▶ana = 1", "username::▶… = …"),
        ("username = ▶ana.lee@event.org", "username = ▶…"),
        ("username = ▶ána-ú", "username = ▶…"),
        ("event.grade[0]::float64 > ▶.5", "event.grade[0]::float64 > ▶…"),
        ("event.\"a b\".c = 1.▶", "event.….c = …▶"),
        ("event▶\" = \"ana\"", "event▶…"),
        ("event▶'a'.ana", "event▶…"),
        ("username LIKE 'ana%' AND▶", "username LIKE … AND▶"),
        ("event▶", "event▶"),
    ] {
        let text = marked.replace('▶', "");
        let error = parse_expression(&text).unwrap_err();
        assert_eq!(Some(error.offset), marked.find('▶'), "{marked}");
        let shown = error.pointing_without_values(&text, is_field);
        let place = marked.chars().position(|c| c == '▶').unwrap() + 1;
        let expected = format!("{} at character {place}: {expected}", error.message);
        assert_eq!(shown, expected, "{marked}");
    }
}

#[test]
fn an_expression_is_shown_without_its_values() {
    for (text, expected) in [
        ("username='ana'", "username = …"),
        ("not (a = 1 and b in ('x', 'y') or c=true)", "not (a = … and b in (…) or c = …)"),
        (
            "a not like 'x%' and (b > 1 or c is not null)",
            "a not like … and (b > … or c is not null)",
        ),
    ] {
        assert_eq!(format!("{:#}", parse_expression(text).unwrap()), expected);
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |open: &str, close: &str, depth: usize| {
        parse_expression(&format!("{}a = 1{}", open.repeat(depth), close.repeat(depth)))
    };
    for (open, close) in [("(", ")"), ("not ", ""), ("not(", ")")] {
        let levels = if open == "not(" { MAX_DEPTH / 2 } else { MAX_DEPTH };
        assert!(nested(open, close, levels).is_ok());
        let error = nested(open, close, levels + 1).unwrap_err();
        assert_eq!(error.offset, open.len() * levels);
        assert_eq!(nested(open, close, 1_000_000).unwrap_err(), error);
    }
    let chain = vec!["a = 1"; 100_000].join(" and ");
    assert!(matches!(parse_expression(&chain), Ok(Expression::And(m)) if m.len() == 100_000));
}

#[test]
fn a_path_stands_alone() {
    assert_eq!(parse_path(" context.module.usage_key "), Ok(path("context.module.usage_key")));
    assert_eq!(parse_path("\"in\""), Ok(path("in")));
    assert_eq!(parse_path("time::Timestamp").unwrap().cast, Some(Cast::Timestamp));
    for (text, offset) in [("", 0), ("in", 0), ("null", 0), ("[0]", 0), ("a,b", 1), ("é", 0)] {
        assert_eq!(parse_path(text).unwrap_err().offset, offset, "{text}");
    }
}

fn any_path() -> impl Strategy<Value = Path> {
    let key = prop_oneof!["[a-zA-Z_][a-z0-9_-]{0,4}", "(?i)(not|in|null|true)", any::<String>()];
    let segment = prop_oneof![
        3 => key.clone().prop_map(Segment::Key),
        1 => any::<usize>().prop_map(Segment::Index),
    ];
    let cast = prop::option::of(prop::sample::select(CASTS.to_vec()));
    (key, prop::collection::vec(segment, 0..3), cast).prop_map(|(first, mut segments, cast)| {
        segments.insert(0, Segment::Key(first));
        Path { segments: segments.into(), cast }
    })
}

fn any_literal() -> impl Strategy<Value = Literal> {
    let float = any::<f64>().prop_filter("finite", |float| float.is_finite());
    prop_oneof![
        any::<String>().prop_map(Literal::Text),
        any::<i64>().prop_map(|integer| Literal::Number(Number::Integer(integer))),
        float.prop_map(|float| Literal::Number(Number::Float(float))),
        any::<bool>().prop_map(Literal::Bool),
    ]
}

fn any_expression() -> impl Strategy<Value = Expression> {
    use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
    let op = prop::sample::select(vec![Eq, Ne, Lt, Le, Gt, Ge]);
    let pattern = r"([a'é%_]|\\%|\\_|\\\\){0,6}";
    let leaf = prop_oneof![
        (any_path(), op, any_literal()).prop_map(|(path, op, literal)| Expression::Compare {
            path,
            op,
            literal
        }),
        (any_path(), prop::collection::vec(any_literal(), 1..4), any::<bool>())
            .prop_map(|(path, literals, negated)| Expression::In { path, literals, negated }),
        (any_path(), pattern, any::<bool>()).prop_map(|(path, pattern, negated)| {
            Expression::Like { path, pattern: Like::new(&pattern).unwrap(), negated }
        }),
        (any_path(), any::<bool>())
            .prop_map(|(path, negated)| Expression::IsNull { path, negated }),
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        let members = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            members().prop_map(Expression::And),
            members().prop_map(Expression::Or),
            inner.clone().prop_map(|expression| Expression::Not(Box::new(expression))),
        ]
    })
}

/// Text made of the grammar's own pieces, which gets further into the parser than noise does.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "a", "event.x", "\"k\"", "'t'", "'", "\"", "1", "-1.5e3", "(", ")", ",", ".", "[0]", "::",
        "int64", "=", "<>", ">=", " and ", " or ", " not ", " in ", " like ", " is ", " null ",
        " true ", "é", "\\", "%", "\n", " ",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..16)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_shown_reads_as_the_same_tree(expression in any_expression()) {
        prop_assert_eq!(parse_expression(&expression.to_string()), Ok(expression));
    }

    #[test]
    fn values_do_not_show(text in soup(), end in soup()) {
        const VALUES: [&str; 4] = ["zq", "'zq'", "\"zq\"", "'a''zq'"];
        for value in VALUES {
            let text = format!("{text} = {value} {end}");
            let shown = match parse_expression(&text) {
                Ok(tree) => format!("{tree:#}"),
                Err(error) => error.pointing_without_values(&text, |name| name == "event"),
            };
            prop_assert!(!shown.contains("zq"), "{text}: {shown}");
        }
    }

    #[test]
    fn a_shown_path_reads_as_the_same_path(path in any_path()) {
        prop_assert_eq!(parse_path(&path.to_string()), Ok(path));
    }

    #[test]
    fn any_text_gives_a_tree_or_a_place(text in prop_oneof![any::<String>(), soup(), soup()]) {
        match parse_expression(&text) {
            Ok(tree) => prop_assert_eq!(parse_expression(&tree.to_string()), Ok(tree)),
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.offset));
                prop_assert_eq!(error.pointing_at(&text).lines().count(), 1);
                let shown = error.pointing_without_values(&text, |name| name == "a");
                prop_assert_eq!(shown.lines().count(), 1);
            }
        }
        if let Err(error) = parse_path(&text) {
            prop_assert!(text.is_char_boundary(error.offset));
        }
    }
}
