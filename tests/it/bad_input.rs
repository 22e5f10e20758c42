//! Whatever is wrong with what the program is given: one message that names the thing and the way out, the right exit
//! code, and nothing half-written.

mod bundles;
mod connecting;
mod databases;
mod rights;
mod words;
