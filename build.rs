//! Tells the program which commit it is built from, so that what was rehearsed and what runs can be compared.
#![allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    println!("cargo:rerun-if-changed=build.rs");
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output();
    if let Some(output) = output.ok().filter(|o| o.status.success()) {
        let commit = String::from_utf8_lossy(&output.stdout);
        println!("cargo:rustc-env=REINSTATE_COMMIT={}", commit.trim());
    }
}
