//! Which rows go and which stay: pure.
//!
//! A row goes only where it is still the one that the restore wrote, and where all that refers to it goes with it. So
//! what is kept keeps its ancestors, and no cascade meets a row that is not ours.

use std::collections::{HashMap, HashSet};

use crate::ident::UnitId;

/// A row by table and place in the table's list.
pub(super) type Place = (usize, usize);

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is deleted.
    Remove,
    /// Edited since: it stays.
    Changed,
    /// Something that stays refers to it.
    Referenced,
    /// It is not there any more.
    Gone,
}

impl Fate {
    /// The state's name, as the journal and the reports have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Remove => "removed",
            Self::Changed => "kept_changed",
            Self::Referenced => "kept_referenced",
            Self::Gone => "already_gone",
        }
    }
}

/// Something refers to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Refers {
    /// The row.
    pub(super) to: Place,
    /// The row that refers, where it is one that may go; otherwise it stays.
    pub(super) from: Option<Place>,
}

/// Decides, from what each row looks like by itself, and from what refers to it. `together` names the unit of each row
/// that nobody could tell from the others of its unit later (those without a key): they go, or stay, as one.
pub(super) fn decide(
    alone: Vec<Vec<Fate>>,
    references: &[Refers],
    together: &HashMap<Place, UnitId>,
) -> Vec<Vec<Fate>> {
    let mut fates = alone;
    let mut refers_to: HashMap<Place, Vec<Place>> = HashMap::new();
    let mut staying: Vec<Place> = Vec::new();
    for reference in references {
        match reference.from {
            Some(from) => refers_to.entry(from).or_default().push(reference.to),
            None => mark(&mut fates, reference.to, Fate::Referenced, &mut staying),
        }
    }
    let mut groups: HashMap<(usize, UnitId), Vec<Place>> = HashMap::new();
    for (place, unit) in together {
        groups.entry((place.0, *unit)).or_default().push(*place);
    }
    for (table, of_table) in fates.iter().enumerate() {
        let stays = of_table
            .iter()
            .enumerate()
            .filter(|(_, f)| **f != Fate::Remove);
        staying.extend(stays.map(|(row, _)| (table, row)));
    }
    let mut seen: HashSet<Place> = HashSet::new();
    while let Some(place) = staying.pop() {
        if !seen.insert(place) {
            continue;
        }
        let fate = fates[place.0][place.1];
        if let Some(group) = together
            .get(&place)
            .and_then(|u| groups.get(&(place.0, *u)))
        {
            for other in group {
                mark(&mut fates, *other, fate, &mut staying);
            }
        }
        // What is gone refers to nothing.
        let targets = refers_to.get(&place).filter(|_| fate != Fate::Gone);
        for target in targets.into_iter().flatten() {
            mark(&mut fates, *target, Fate::Referenced, &mut staying);
        }
    }
    fates
}

fn mark(fates: &mut [Vec<Fate>], place: Place, fate: Fate, staying: &mut Vec<Place>) {
    let found = &mut fates[place.0][place.1];
    if *found == Fate::Remove {
        *found = fate;
        staying.push(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Fate::{Changed, Gone, Referenced, Remove};

    fn from(to: Place, from: Place) -> Refers {
        Refers {
            to,
            from: Some(from),
        }
    }

    #[test]
    fn what_is_kept_keeps_its_ancestors_and_nothing_else() {
        // Grandparent 0.0, its children 1.0 and 1.1, their children 2.0 and 2.1; 2.1 was edited.
        let alone = vec![vec![Remove], vec![Remove; 2], vec![Remove, Changed]];
        let references = [
            from((0, 0), (1, 0)),
            from((0, 0), (1, 1)),
            from((1, 0), (2, 0)),
            from((1, 1), (2, 1)),
        ];
        let fates = decide(alone, &references, &HashMap::new());
        assert_eq!(
            fates,
            [
                vec![Referenced],
                vec![Remove, Referenced],
                vec![Remove, Changed]
            ]
        );
    }

    #[test]
    fn a_stranger_keeps_what_it_refers_to() {
        let alone = vec![vec![Remove; 2], vec![Remove]];
        let stranger = Refers {
            to: (0, 1),
            from: None,
        };
        let fates = decide(alone, &[from((0, 0), (1, 0)), stranger], &HashMap::new());
        assert_eq!(fates, [vec![Remove, Referenced], vec![Remove]]);
    }

    #[test]
    fn cycles_go_or_stay_whole() {
        let references = [from((0, 0), (1, 0)), from((1, 0), (0, 0))];
        let go = decide(
            vec![vec![Remove], vec![Remove]],
            &references,
            &HashMap::new(),
        );
        assert_eq!(go, [[Remove], [Remove]]);
        let stay = decide(
            vec![vec![Changed], vec![Remove]],
            &references,
            &HashMap::new(),
        );
        assert_eq!(stay, [[Changed], [Referenced]]);
        let own = [from((0, 0), (0, 0))];
        assert_eq!(
            decide(vec![vec![Remove]], &own, &HashMap::new()),
            [[Remove]]
        );
    }

    #[test]
    fn what_is_gone_keeps_nothing() {
        let references = [from((0, 0), (1, 0))];
        let fates = decide(vec![vec![Remove], vec![Gone]], &references, &HashMap::new());
        assert_eq!(fates, [[Remove], [Gone]]);
    }

    #[test]
    fn rows_that_cannot_be_told_apart_stay_together() {
        let together = HashMap::from([((1, 0), 7), ((1, 1), 7), ((1, 2), 8)]);
        let references = [from((0, 0), (1, 0))];
        let alone = vec![vec![Remove], vec![Remove, Changed, Remove]];
        let fates = decide(alone, &references, &together);
        assert_eq!(fates, [vec![Referenced], vec![Changed, Changed, Remove]]);
    }
}
