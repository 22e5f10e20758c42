//! What the journal knows when a run has ended: each row it inserted, by key, with the unit it came with and the `xmin` it
//! had at the end. Undo stands on this.

use std::collections::BTreeMap;

use super::library::{LOST, incident};
use super::{Incident, Ledger};

/// Journalled rows of a table, one a line: unit, key, `xmin`.
fn journalled(table: &str) -> String {
    format!(
        "select u.unit, u.key::json as key, u.xmin::text::int8 % 4294967296 as xmin
           from reinstate.batch_rows b, unnest(b.units, b.keys, b.xmins) u (unit, key, xmin)
          where b.table_name = '{table}'"
    )
}

/// The key of each unit's root, from the bundle.
fn roots(incident: &Incident) -> BTreeMap<u64, String> {
    let file = std::fs::File::open(incident.case.file("bundle/units.jsonl.zst")).unwrap();
    let text = zstd::decode_all(file).unwrap();
    let units = text.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let units = units.map(|l| serde_json::from_slice::<serde_json::Value>(l).unwrap());
    let root = |u: &serde_json::Value| u["root"]["key"][0].as_str().unwrap().to_owned();
    units
        .map(|u| (u["unit"].as_u64().unwrap(), root(&u)))
        .collect()
}

#[test]
fn every_row_with_its_unit_and_xmin() {
    let incident = incident();
    incident
        .live
        .run("insert into books values (4, 5, 'isbn 4', 4, 'note 4', '[40, 45)')");
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", LOST - 1), ("already_present", 1)]);
    let matched = |table: &str, join: &str| {
        incident.live.query_text(&format!(
            "select count(*), count(t), count(*) filter (where t.xmin::text::int8 = j.xmin), count(distinct j.unit)
               from ({}) j left join {table} t on {join}",
            journalled(&format!("public.{table}"))
        ))
    };
    assert_eq!(matched("books", "t.id::text = j.key->>0"), "9|9|9|9");
    assert_eq!(matched("chapters", "t.id::text = j.key->>0"), "20|20|20|10");
    // Each unit is the one that the bundle means.
    let journal = incident.live.query_text(&format!(
        "select unit, key->>0 from ({}) j order by 1",
        journalled("public.books")
    ));
    let roots = roots(&incident);
    for line in journal.lines() {
        let (unit, key) = line.split_once('|').unwrap();
        assert_eq!(roots[&unit.parse::<u64>().unwrap()], key);
    }
    // A chapter's unit is its book's.
    let mixed = format!(
        "select count(distinct (c.unit, h.book_id)), count(distinct c.unit) from ({}) c join chapters h on h.id::text = c.key->>0",
        journalled("public.chapters")
    );
    assert_eq!(incident.live.query_text(&mixed), "10|10");
}

#[test]
fn rows_without_a_key_by_their_place() {
    let incident = Incident::new(
        "create table sensors (id int primary key);
         create table events (sensor_id int not null references sensors on delete cascade, what text);
         insert into sensors select n from generate_series(1, 40) n;
         insert into events select 1 + n % 40, 'what ' || n / 80 from generate_series(0, 159) n",
        "delete from sensors where id <= 20",
    );
    incident.extract(&[]);
    incident.restore().ok();
    // Each place holds a row of its unit's own sensor.
    let roots = roots(&incident);
    let places = incident.live.query_text(&format!(
        "select j.unit, e.sensor_id from ({}) j join events e on e.ctid::text = j.key->>0",
        journalled("public.events")
    ));
    for line in places.lines() {
        let (unit, sensor) = line.split_once('|').unwrap();
        assert_eq!(roots[&unit.parse::<u64>().unwrap()], sensor);
    }
    let sql = format!(
        "select count(*), count(*) filter (where e.xmin::text::int8 = j.xmin), count(distinct j.unit), count(distinct (j.unit, e.sensor_id))
           from ({}) j join events e on e.ctid::text = j.key->>0",
        journalled("public.events")
    );
    assert_eq!(incident.live.query_text(&sql), "80|80|20|20");
}

#[test]
fn rows_that_go_in_together() {
    let incident = Incident::new(
        "create table a (x int, y text, b_id int not null, primary key (y, x));
         create table b (id int primary key, y text not null, x int not null, foreign key (y, x) references a);
         alter table a add foreign key (b_id) references b deferrable initially deferred;
         begin; insert into a select n, E'y\\t\"' || n, n from generate_series(1, 20) n;
         insert into b select n, E'y\\t\"' || n, n from generate_series(1, 20) n; commit",
        "begin; delete from b where id > 5; delete from a where x > 5; commit",
    );
    incident.extract(&[]);
    incident.restore().ok();
    let sql = format!(
        "select count(*), count(*) filter (where a.xmin::text::int8 = j.xmin), count(distinct j.unit)
           from ({}) j join a on a.y = j.key->>0 and a.x::text = j.key->>1",
        journalled("public.a")
    );
    assert_eq!(incident.live.query_text(&sql), "15|15|15");
}
