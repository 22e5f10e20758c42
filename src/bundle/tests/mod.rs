//! What holds for every bundle, whatever is in it.

mod made;
mod refused;
mod restore_text;
mod round_trip;
