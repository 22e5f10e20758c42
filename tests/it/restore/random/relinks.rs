//! The same worlds, with every reference filled that `--relinks all` fills: nothing is invented, what SET NULL emptied is as before, and
//! an undo leads back.

use super::{Action, Dice, Ledger, Scene, Turn, difference, dump, same};

/// Plays one seed; how many references were filled.
pub(super) fn play(seed: u64, told: &mut String) -> u64 {
    let mut scene = Scene::new(&mut Dice::new(seed), told);
    if scene.lost().deleted.is_empty() {
        return 0;
    }
    scene.incident.restore_args = vec!["--relinks".to_owned(), "all".to_owned()];
    let incident = &scene.incident;
    incident.extract(&[]);
    let plan = Ledger::of(&incident.run(&["restore", "--relinks", "all"]).ok());
    let done = Ledger::of(&incident.restore().ok());
    assert_eq!(plan.get("relinks"), done.get("relinks"), "plan and deed");
    let after = dump(&incident.live);

    // Every row is one of before, or as the loss left it.
    let (_, new) = difference(&incident.before, &after);
    let (_, invented) = difference(&incident.after_loss, &new.join("\n"));
    assert_eq!(invented, Vec::<String>::new(), "nobody's rows");
    let mut references = scene.tables.iter().flat_map(|t| &t.references);
    let defaults = references.any(|r| r.action == Action::ForeignKey("set default"));
    if scene.turn != Turn::LivedOn && !defaults {
        same(&after, &incident.before, "all is as before");
    }
    let filled = done.get("relinked").as_u64().unwrap();
    if scene.orphans > 0 {
        // A child that the loss left without its parent keeps the parent that came back.
        return filled;
    }
    let undone = Ledger::of(&incident.undo().ok());
    assert_eq!(undone.get("unlinked"), filled);
    same(&dump(&incident.live), &incident.after_loss, "taken back");
    let again = Ledger::of(&incident.restore().ok());
    assert_eq!(again.get("relinked"), filled);
    same(&dump(&incident.live), &after, "restored after an undo");
    filled
}
