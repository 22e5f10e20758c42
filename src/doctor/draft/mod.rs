//! A first `reinstate.toml`, written from what was found: every line says where it comes from, what is certain enough is
//! active, everything else is a comment. Pure; never holds a password, nor a value of a row but the kinds of owners of a
//! polymorphic reference.

mod guesses;
mod text;

use crate::ident::ColumnRef;
use crate::pg::Target as Server;

use super::{Class, Examination, Points, Rate, Suspect, Target};

pub(super) use text::key;
use text::{commented, quoted};

/// A configuration that nobody has read yet.
#[derive(Debug)]
pub struct Draft {
    /// The file.
    pub text: String,
    /// References that are active in it.
    pub active: usize,
    /// References that are commented out, for a person to decide.
    pub doubtful: usize,
}

/// Writes a configuration; `live` and `snapshot` are what was looked at.
pub fn draft(exam: &Examination, live: &Server, snapshot: Option<&Server>) -> Draft {
    let mut draft = Draft {
        text: head(live, snapshot),
        active: 0,
        doubtful: 0,
    };
    draft.text += &time(exam.snapshot_time.as_deref());
    draft.text += &guesses::renames(&exam.renames);
    draft.references(&exam.suspects);
    if let Some(schema) = &exam.schema {
        draft.text += &guesses::audit(schema);
        draft.text += &guesses::exclude(schema);
        draft.text += &guesses::contacts(schema, &exam.suspects);
        draft.text += &guesses::attachments(schema, &exam.suspects);
    }
    draft
}

fn head(live: &Server, snapshot: Option<&Server>) -> String {
    let mut text = format!(
        "# Guessed by `reinstate init` from {}.\n\
         # Read every line: what is active is taken as true, and what is missing is missed without a word.\n\n\
         # Connections are better left to REINSTATE_LIVE and REINSTATE_SNAPSHOT, passwords to ~/.pgpass.\n",
        text::one_line(&live.to_string())
    );
    for (name, server) in [("live", Some(live)), ("snapshot", snapshot)] {
        let string = server.map_or_else(
            || "host=restored-backup dbname=app".to_owned(),
            |s| {
                format!(
                    "host={} port={} dbname={} user={}",
                    s.host, s.port, s.database, s.role
                )
            },
        );
        text += &format!("# {name} = {}\n", quoted(&string));
    }
    text
}

fn time(replayed: Option<&str>) -> String {
    let line = match replayed {
        Some(time) => format!(
            "# The last transaction that the snapshot replayed, as it says itself.\nsnapshot_time = {}\n",
            quoted(time)
        ),
        None => "# The snapshot does not say; the backup's log does. Without it the lower bound of every deletion is unknown.\n\
                 # snapshot_time = \"2020-01-21T03:00:00+01:00\"\n"
            .to_owned(),
    };
    format!("\n# When the backup was taken, with its offset.\n{line}")
}

impl Draft {
    fn references(&mut self, suspects: &[Suspect]) {
        self.text += "\n# References that no foreign key states: what hangs from a deleted row along them comes back with it.\n";
        if suspects.is_empty() {
            self.text += "# None was found. The form:\n\
                          # [[relation]]\n# from = \"individuals(dossier_id)\"\n# to = \"dossiers(id)\"\n\
                          # when = { record_type = \"Dossier\" }   # where it is polymorphic\n";
        }
        for suspect in suspects {
            match &suspect.points {
                Points::At(target) => self.relation(suspect, target, None),
                Points::ByClass { column, classes } => self.polymorphic(suspect, column, classes),
            }
        }
    }

    fn polymorphic(&mut self, suspect: &Suspect, column: &str, classes: &[Class]) {
        self.text += &format!(
            "\n# {} is polymorphic: {} tells what it points at.\n",
            text::one_line(&suspect.place()),
            text::one_line(column)
        );
        if classes.is_empty() {
            self.text += "# No value of it was seen.\n";
        }
        for class in classes {
            match &class.target {
                Some(target) => {
                    self.relation(suspect, target, Some((column, &class.value)));
                }
                None => {
                    self.doubtful += 1;
                    self.text += &format!("# {}: no table of that name\n", quoted(&class.value));
                    self.text += &commented(&relation(
                        suspect,
                        "owners(id)",
                        Some((column, &class.value)),
                    ));
                }
            }
        }
    }

    fn relation(&mut self, suspect: &Suspect, target: &Target, when: Option<(&str, &str)>) {
        let measured = match target.rate {
            Some(rate) => rate.to_string(),
            None => "not measured".to_owned(),
        };
        let text = relation(suspect, &target.place(), when);
        // A name that the configuration's form cannot hold must not keep the rest from being read.
        let readable = [suspect.place(), target.place()]
            .iter()
            .all(|place| place.parse::<ColumnRef>().is_ok());
        if readable && target.rate.is_some_and(Rate::convincing) {
            self.active += 1;
            self.text += &format!("\n# {measured}\n{text}");
        } else {
            self.doubtful += 1;
            self.text += &format!("\n# {measured}: is it one?\n{}", commented(&text));
        }
    }
}

fn relation(suspect: &Suspect, to: &str, when: Option<(&str, &str)>) -> String {
    let mut text = format!(
        "[[relation]]\nfrom = {}\nto = {}\n",
        quoted(&suspect.place()),
        quoted(to)
    );
    if let Some((column, value)) = when {
        text += &format!("when = {{ {} = {} }}\n", key(column), quoted(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::TableName;

    fn server() -> Server {
        Server {
            host: "prod\"\n[x]".into(),
            port: 5432,
            database: "app".into(),
            role: "r".into(),
        }
    }

    fn suspect(table: &str, column: &str, points: Points) -> Suspect {
        Suspect {
            child: TableName::new("public", table),
            column: column.into(),
            points,
        }
    }

    fn target(matched: u64) -> Target {
        Target {
            parent: TableName::new("app", "Big \"T\""),
            key: "id".into(),
            rate: Some(Rate {
                sampled: 100,
                matched,
            }),
        }
    }

    #[test]
    fn names_of_any_kind_give_a_file_that_can_be_read() {
        let class = |value: &str, matched| Class {
            value: value.into(),
            target: Some(target(matched)),
        };
        let exam = Examination {
            suspects: vec![
                suspect("plain", "a_id", Points::At(target(100))),
                suspect("it's \\ \"odd\"\nname", "b_id", Points::At(target(99))),
                suspect("doubt", "c_id", Points::At(target(40))),
                suspect("a(b", "d_id", Points::At(target(100))),
                suspect(
                    "notes",
                    "owner_id",
                    Points::ByClass {
                        column: "owner type".into(),
                        classes: vec![
                            class("Dossier\n[[relation]]", 100),
                            class("x", 3),
                            Class {
                                value: "\"None\"\n= 1".into(),
                                target: None,
                            },
                        ],
                    },
                ),
            ],
            snapshot_time: Some("2020-01-21T03:00:00Z".into()),
            ..Examination::default()
        };
        let draft = draft(&exam, &server(), None);
        assert_eq!((draft.active, draft.doubtful), (4, 3), "{}", draft.text);
        let table: toml::Table = draft
            .text
            .parse()
            .unwrap_or_else(|e| panic!("{e}\n{}", draft.text));
        let relations = table["relation"].as_array().unwrap();
        assert_eq!(
            table.keys().collect::<Vec<_>>(),
            ["relation", "snapshot_time"]
        );
        let from: Vec<ColumnRef> = relations
            .iter()
            .map(|r| r["from"].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(from[0].table.name, "plain");
        assert_eq!(from[1].table.name, "it's \\ \"odd\"\nname");
        assert_eq!(from[2].table.name, "a(b");
        assert_eq!(
            relations[3]["when"]["owner type"].as_str(),
            Some("Dossier\n[[relation]]")
        );
        assert_eq!(relations.len(), 4);
    }

    #[test]
    fn nothing_found_is_a_file_too() {
        let draft = draft(&Examination::default(), &server(), Some(&server()));
        let table: toml::Table = draft.text.parse().unwrap();
        assert!(table.is_empty(), "{}", draft.text);
    }
}
