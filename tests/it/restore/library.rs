//! The incident that most small tests start from: of a library's twenty books, ten are deleted with their chapters.

use super::Incident;

/// Owners have books, books have two chapters each. Book `n` belongs to owner `1 + n % 5`.
pub(super) const SETUP: &str = "
create table owners (id int primary key, name text);
create table books (id int primary key, owner_id int not null references owners, isbn text, pages int, note text,
                    shelf int4range, constraint books_isbn unique (isbn), constraint books_pages check (pages > 0),
                    constraint books_shelf exclude using gist (shelf with &&));
create table chapters (id int primary key, book_id int not null references books on delete cascade, title text);
create index on chapters (book_id);
insert into owners select n, 'owner ' || n from generate_series(1, 5) n;
insert into books select n, 1 + n % 5, 'isbn ' || n, n, nullif('note ' || n, 'note 8'), int4range(10 * n, 10 * n + 5)
  from generate_series(1, 20) n;
insert into chapters select n, 1 + n % 20, 'chapter ' || n from generate_series(1, 40) n;
";

/// Rows lost: ten books, twenty chapters. A unit each book.
pub(super) const LOST: u64 = 30;

/// The incident, extracted.
pub(super) fn incident() -> Incident {
    let incident = Incident::new(SETUP, "delete from books where id <= 10");
    let extracted = incident.extract(&[]);
    assert_eq!(
        (extracted.total("rows"), extracted.total("units")),
        (LOST, 10)
    );
    incident
}
