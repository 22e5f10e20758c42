//! Conversions one by one.

use super::*;

fn column(type_name: &str, lookup_type: &str, builtin: bool, is_enum: bool) -> Column {
    Column {
        name: "c".into(),
        type_name: type_name.into(),
        lookup_type: lookup_type.into(),
        equality: None,
        is_enum,
        builtin: builtin.then(|| lookup_type.to_owned()),
        not_null: false,
        has_default: false,
        drawn: false,
        generated: false,
        identity: None,
        collation: None,
    }
}

fn builtin(from: &str, to: &str) -> Option<Rewrite> {
    rewrite(from, &column(to, to, true, false))
}

#[test]
fn what_has_one_form_passes() {
    use Rewrite::*;
    for (from, to, how) in [
        ("integer", "bigint", AsWritten),
        ("bigint", "integer", AsWritten),
        ("integer", "numeric", AsWritten),
        ("integer", "numeric(10,2)", Scale(2)),
        ("numeric(10,2)", "numeric(10,3)", Scale(3)),
        ("numeric(10,2)", "numeric", AsWritten),
        ("numeric(5)", "numeric(9,1)", Scale(1)),
        ("character varying(20)", "text", AsWritten),
        ("text", "character varying(20)", AsWritten),
        ("character(5)", "text", Strip),
        ("character(5)", "character(7)", Pad(7)),
        ("date", "timestamp without time zone", Midnight),
        (
            "timestamp(3) without time zone",
            "timestamp without time zone",
            AsWritten,
        ),
        ("integer[]", "bigint[]", AsWritten),
        ("app.mood", "text", AsWritten),
    ] {
        assert_eq!(builtin(from, to), Some(how), "{from} to {to}");
    }
    let mood = column("app.mood", "app.mood", false, true);
    assert_eq!(rewrite("text", &mood), Some(AsWritten));
    let citext = column("extensions.citext", "extensions.citext", false, false);
    assert_eq!(rewrite("public.citext", &citext), Some(AsWritten));
    let domain = column("app.count", "integer", false, false);
    assert_eq!(rewrite("integer", &domain), Some(AsWritten));
    assert_eq!(rewrite("bigint", &domain), Some(AsWritten));
}

#[test]
fn what_could_mean_something_else_does_not() {
    for (from, to) in [
        ("timestamp without time zone", "timestamp with time zone"),
        ("timestamp with time zone", "timestamp without time zone"),
        ("timestamp without time zone", "date"),
        ("date", "timestamp with time zone"),
        ("real", "double precision"),
        ("double precision", "real"),
        ("numeric", "numeric(10,2)"),
        ("numeric(10,3)", "numeric(10,2)"),
        ("numeric(3,-2)", "numeric(10,2)"),
        ("text", "integer"),
        ("boolean", "text"),
        ("character(5)", "character(3)"),
        ("character(5)[]", "text[]"),
        ("integer", "integer[]"),
        ("json", "jsonb"),
        (
            "timestamp without time zone",
            "timestamp(0) without time zone",
        ),
    ] {
        assert_eq!(builtin(from, to), None, "{from} to {to}");
    }
    let money = column("app.money", "numeric", false, false);
    assert_eq!(rewrite("numeric", &money), Some(Rewrite::AsWritten));
    assert_eq!(rewrite("numeric(10,2)", &money), None);
    assert_eq!(rewrite("real", &money), None);
}

#[test]
fn fields_are_rewritten() {
    use Rewrite::*;
    for (how, field, written) in [
        (Scale(3), "5.50", "5.500"),
        (Scale(2), "-7", "-7.00"),
        (Scale(0), "7", "7"),
        (Scale(2), "NaN", "NaN"),
        (Scale(2), "Infinity", "Infinity"),
        (Pad(5), "a\\tb", "a\\tb  "),
        (Pad(2), "abc", "abc"),
        (Strip, "f    ", "f"),
        (Strip, "   ", ""),
        (Strip, "\\N", "\\N"),
        (Midnight, "2020-07-01", "2020-07-01 00:00:00"),
        (Midnight, "0044-03-15 BC", "0044-03-15 00:00:00 BC"),
        (Midnight, "-infinity", "-infinity"),
    ] {
        let got = how.apply(field.as_bytes());
        assert_eq!(String::from_utf8_lossy(&got), written, "{how:?} {field}");
    }
}
