//! The command line as a whole: conventions that hold for every verb, and what is printed, word by word.

mod conventions;
mod files;
mod interrupted;
mod normal;
mod printed;
pub(crate) mod story;
mod terminal;
