//! How tables refer to each other: foreign keys whose children the application deletes itself, and columns that look
//! like references which nothing states.

use crate::catalog::{OnDelete, Schema};
use crate::ident::{TableName, shown};

use super::draft::key;
use super::finding::listed;
use super::{Class, Findings, Level, Points, Side, Suspect, Target};

pub(super) fn foreign_keys(side: Side, schema: &Schema, findings: &mut Findings) {
    let with = |action: OnDelete| -> (Vec<String>, Vec<TableName>) {
        schema
            .foreign_keys
            .iter()
            .filter(|k| k.on_delete == action)
            .map(|k| {
                let shown = format!("{} → {}", place(&k.child, &k.child_columns), k.parent);
                (shown, k.child.clone())
            })
            .unzip()
    };
    for (action, code, what, advice) in [
        (
            OnDelete::Refuse,
            "no_on_delete",
            "foreign keys without ON DELETE, whose children the application deleted itself",
            "the children are found along these keys",
        ),
        (
            OnDelete::SetNull,
            "set_null",
            "foreign keys ON DELETE SET NULL, whose children are still there and point at nothing",
            "the references are not filled again by this version",
        ),
    ] {
        let (names, mut tables) = with(action);
        if names.is_empty() {
            continue;
        }
        tables.dedup();
        let text = format!("{what}: {}", listed(&names));
        findings
            .add(Level::Note, side, code, text)
            .advice(advice)
            .tables = tables;
    }
}

/// Says which columns look like references, and how often they match.
pub(super) fn suspects(side: Side, suspects: &[Suspect], findings: &mut Findings) {
    for suspect in suspects {
        match &suspect.points {
            Points::At(target) => undeclared(side, suspect, target, findings),
            Points::ByClass { column, classes } => {
                polymorphic(side, suspect, column, classes, findings);
            }
        }
    }
}

fn undeclared(side: Side, suspect: &Suspect, target: &Target, findings: &mut Findings) {
    let here = suspect.place();
    let rate = match target.rate {
        Some(rate) => format!(" ({rate})"),
        None => " (not measured)".to_owned(),
    };
    let text = format!(
        "{here} looks like a reference to {} that no foreign key states{rate}",
        target.parent
    );
    let refuted = target.rate.is_some_and(super::Rate::refuted);
    let (level, doubt) = if refuted {
        (Level::Note, "it hardly is one")
    } else {
        (Level::Warning, "if it is one")
    };
    let finding = findings.add(level, side, "undeclared", text);
    finding.tables = vec![suspect.child.clone(), target.parent.clone()];
    finding
        .advice(format!(
            "{doubt}, in reinstate.toml:\n[[relation]]\nfrom = '{here}'\nto = '{}'",
            target.place()
        ))
        .next("reinstate init");
}

fn polymorphic(
    side: Side,
    suspect: &Suspect,
    kind: &str,
    classes: &[Class],
    findings: &mut Findings,
) {
    let here = suspect.place();
    let mut text = format!("{here} looks polymorphic, with {kind} beside it");
    if !classes.is_empty() {
        let classes: Vec<String> = classes.iter().map(told).collect();
        text += &format!(": {}", listed(&classes));
    }
    let known = classes
        .iter()
        .find_map(|c| Some((c.value.as_str(), c.target.as_ref()?.place())));
    let (value, to) = known.unwrap_or(("Owner", "owners(id)".to_owned()));
    let finding = findings.add(Level::Warning, side, "polymorphic", text);
    finding.tables = vec![suspect.child.clone()];
    finding
        .advice(format!(
            "for every kind of owner, in reinstate.toml:\n[[relation]]\nfrom = '{here}'\nto = '{to}'\n\
             when = {{ {} = '{value}' }}",
            key(kind)
        ))
        .next("reinstate init");
}

/// `Dossier → public.dossiers (998 of 1000 values sampled match)`
fn told(class: &Class) -> String {
    match &class.target {
        None => format!("{} → no table of that name", class.value),
        Some(target) => {
            let rate = target.rate.map(|r| format!(" ({r})")).unwrap_or_default();
            format!("{} → {}{rate}", class.value, target.parent)
        }
    }
}

impl Suspect {
    /// `schema.table(column)`, as the configuration takes it.
    pub fn place(&self) -> String {
        place(&self.child, std::slice::from_ref(&self.column))
    }
}

impl Target {
    /// `schema.table(column)`, as the configuration takes it.
    pub fn place(&self) -> String {
        place(&self.parent, std::slice::from_ref(&self.key))
    }
}

/// `schema.table(column, …)`, as the configuration takes it.
pub(super) fn place(table: &TableName, columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|c| shown(c)).collect();
    format!("{table}({})", columns.join(", "))
}
