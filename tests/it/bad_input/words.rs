//! Arguments, files of keys and configuration files that say something impossible.

use crate::cli::story::{EXECUTE, Story};

#[test]
fn configuration_that_cannot_be_read() {
    let story = Story::begin();
    for (text, parts) in [
        (
            "snapshto = 'x'",
            &["unknown key `snapshto`", "did you mean `snapshot`?"][..],
        ),
        (
            "[restore]\non_conflct = 'x'",
            &["`restore.on_conflct`", "`restore.on_conflict`"],
        ),
        (
            "[[relation]]\nfrom = 'a(b)'\nto = 'b(id)'\nwhere = {}",
            &["`relation.where`", "`relation.when`"],
        ),
        ("live = 5", &["`live` must be a string"]),
        ("= x", &["line 1 is no TOML"]),
        ("\n\n[restore\n", &["line 3 is no TOML"]),
        ("restore = 1", &["write [restore]"]),
        ("relation = 1", &["write [[relation]]"]),
        (
            "[[relation]]\nfrom = 'a'\nto = 'b(id)'",
            &["relation 1:", "`a`"],
        ),
        (
            "[[relation]]\nfrom = 'a(x, y)'\nto = 'b(id)'",
            &["different numbers of columns"],
        ),
        (
            "[throttle]\nmax_lag = '5s'",
            &["`throttle` is not supported by this version"],
        ),
    ] {
        story.case.write("reinstate.toml", text);
        for verb in ["diff", "restore"] {
            let parts = [parts, &["reinstate.toml"]].concat();
            story.refuses([verb], 2, &parts);
        }
    }
    std::fs::write(story.case.file("reinstate.toml"), [0xff, 0xfe]).unwrap();
    story.refuses(["diff"], 2, &["reinstate.toml"]);
    std::fs::remove_file(story.case.file("reinstate.toml")).unwrap();
    story.refuses(
        ["diff", "--config", "nowhere.toml"],
        2,
        &["nowhere.toml", "No such file"],
    );
}

#[test]
fn relations_that_name_what_is_not_there() {
    let story = Story::begin();
    for (from, to, part) in [
        ("nope(x)", "users(id)", "no table public.nope"),
        ("log(nope)", "users(id)", "public.log has no column nope"),
        (
            "log(what)",
            "users(nope)",
            "public.users has no column nope",
        ),
    ] {
        let text = format!("[[relation]]\nfrom = '{from}'\nto = '{to}'\n");
        story.case.write("reinstate.toml", &text);
        story.refuses(["extract"], 2, &["[[relation]]", part]);
    }
    // What comes later would pass over it as well: rows that refer to what an undo removes, or that must stay deleted.
    let story = Story::extracted();
    let text = "[[relation]]\nfrom = 'log(what)'\nto = 'user(id)'\n";
    story.case.write("reinstate.toml", text);
    let part = "[[relation]]: live has no table public.user";
    story.refuses(["restore"], 2, &[part]);
    story.refuses(EXECUTE, 2, &[part]);
    story.refuses(["verify"], 2, &[part]);
    std::fs::remove_file(story.case.file("reinstate.toml")).unwrap();
    story.run(EXECUTE).expect_code(4);
    story.case.write("reinstate.toml", text);
    story.refuses(["undo", "--last"], 2, &[part]);
    story.refuses(["undo"], 2, &["which restore", "undo --last"]);
}

#[test]
fn conditions_and_keys_that_choose_nothing_possible() {
    let story = Story::begin();
    let root = ["extract", "--root", "users"];
    let with = |more: &[&str]| {
        [&root[..], more]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for (condition, part) in [
        ("nope = 1", "column \"nope\" does not exist"),
        ("id = (select", "syntax error"),
        ("id / 0 = 1", "division by zero"),
        ("delete from users", "syntax error"),
    ] {
        story.refuses(with(&["--where", condition]), 2, &[part, "--where"]);
    }
    story.refuses(["extract", "--where", "true"], 2, &["--root"]);
    let two = [
        "extract", "--root", "users", "--root", "log", "--where", "true",
    ];
    story.refuses(two, 2, &["exactly one --root"]);
    for (content, parts) in [
        ("", &["keys.csv", "holds no key"][..]),
        (
            "1,2\n",
            &["`(1, 2)` has 2 values", "public.users has 1: id"],
        ),
        (
            "one\n",
            &["--keys", "invalid input syntax for type integer: \"one\""],
        ),
        ("9\n", &["nothing to extract"]),
    ] {
        story.case.write("keys.csv", content);
        let keys = story.case.file("keys.csv").display().to_string();
        story.refuses(with(&["--keys", &keys]), 2, parts);
    }
    story.refuses(
        with(&["--keys", "/no/such/keys"]),
        2,
        &["--keys /no/such/keys", "No such file"],
    );
}

#[test]
fn times_and_numbers() {
    let story = Story::extracted();
    for time in [
        "yesterday",
        "2020-01-21",
        "2020-01-21T03:00:00",
        "2020-13-01T00:00:00Z",
    ] {
        let args = ["extract", "-o", "never", "--snapshot-time", time];
        story.refuses(args, 2, &[time, "RFC 3339", "2020-01-21T03:00:00+01:00"]);
    }
    story.refuses(
        ["restore", "--max-unit-time", "5h"],
        2,
        &["--max-unit-time: `5h`", "5s"],
    );
    story.refuses(["restore", "--max-units", "0"], 2, &["--max-units"]);
    story.refuses(["diff", "--jobs", "0"], 2, &["--jobs"]);
    story.refuses(["diff", "--depth", "deep"], 2, &["--depth", "keys", "rows"]);
    story.case.write(
        "reinstate.toml",
        "snapshot_time = 'noon'\n[restore]\ntarget_batch = 'fast'",
    );
    story.refuses(["extract", "-o", "never"], 2, &["`noon`"]);
    story.refuses(["restore"], 2, &["target_batch: `fast`"]);
    story
        .case
        .write("reinstate.toml", "[restore]\non_conflict = 'ignore'");
    story.refuses(["restore"], 2, &["on_conflict", "`ignore`", "quarantine"]);
}
