//! Parents that were created again under the same key: their children come back, and nobody is left to find out later.

use crate::restore::Incident;

const SETUP: &str = "
create table users (id int primary key, email text unique, created_at timestamptz not null, note text);
create table posts (id int primary key, user_id int not null references users on delete cascade, body text);
insert into users select n, 'user' || n, '2020-01-01', 'n' from generate_series(1, 9) n;
insert into posts select n, 1 + n % 9, 'post ' || n from generate_series(1, 27) n;
";

/// Deletes posts of four users; with the users' rows something else happens.
fn incident(then: &str) -> Incident {
    Incident::new(
        SETUP,
        &format!("delete from posts where user_id < 5; {then}"),
    )
}

#[test]
fn a_parent_that_may_be_another_is_warned_of() {
    let incident = incident(
        "delete from users where id in (2, 3, 9);
         insert into users values (2, 'stranger', '2020-01-02', 'n'), (3, 'user3', '2020-01-02', 'n'), (9, 'x', '2020-01-02', 'n')",
    );
    let extracted = incident.extract(&["--root", "posts"]);
    let told = &extracted.get("doubtful_parents")[0];
    assert_eq!(told["child"], "public.posts");
    assert_eq!(told["parent"], "public.users");
    assert_eq!(told["columns"], serde_json::json!(["created_at"]));
    assert_eq!((&told["parents"], &told["rows"]), (&3.into(), &9.into()));
    assert_eq!(told["keys"], serde_json::json!([["2"], ["3"], ["9"]]));
    let said = incident.for_people(&["restore"]).ok();
    let words = "public.users 2, which it references, is another row in live than in the backup, by created_at";
    assert!(said.stdout.contains(words), "{}", said.stdout);
}

#[test]
fn an_edited_parent_is_the_same_one() {
    let incident = incident("update users set note = 'edited', id = id where id < 4");
    let extracted = incident.extract(&[]);
    assert_eq!(extracted.get("doubtful_parents"), &serde_json::json!([]));
    let manifest = incident.case.read("bundle/manifest.json");
    assert!(!manifest.contains("doubtful_parents"), "{manifest}");
}
