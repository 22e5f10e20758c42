//! The options of a restore, to be typed again: a command that is told must do what it is told for.

use crate::cli::commands::given::{triggers_again, unit_time_again};
use crate::ident::shell_word;
use crate::restore::{OnConflict, Relinking, Settings};

/// What was asked of this restore, to be asked again.
pub(super) fn as_asked(settings: &Settings) -> String {
    let defaults = Settings::default();
    let mut options = String::new();
    let mut add = |option: String| {
        options.push(' ');
        options.push_str(&option);
    };
    triggers_again(settings.triggers, &settings.accepted_triggers)
        .into_iter()
        .for_each(&mut add);
    match settings.on_conflict {
        OnConflict::Quarantine => {}
        OnConflict::Remap => add("--on-conflict remap".to_owned()),
        OnConflict::Skip => add("--on-conflict skip".to_owned()),
    }
    match settings.relinks {
        Relinking::Proven => {}
        Relinking::All => add("--relinks all".to_owned()),
        Relinking::None => add("--relinks none".to_owned()),
    }
    if let Some(run) = &settings.only_quarantined {
        add(format!("--only-quarantined {}", shell_word(&run.0)));
    }
    if let Some(units) = settings.max_units {
        add(format!("--max-units {units}"));
    }
    let time = unit_time_again(settings.max_unit_time, defaults.max_unit_time);
    time.into_iter().for_each(&mut add);
    if settings.max_unit_rows != defaults.max_unit_rows {
        add(format!("--max-unit-rows {}", settings.max_unit_rows));
    }
    options
}
