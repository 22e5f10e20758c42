//! Bundles that cannot be written, read, or put back.

use std::path::Path;
use std::process::Command;

use crate::cli::story::{EXECUTE, Story, files, one_message};
use crate::support::Output;

#[test]
fn a_bundle_that_is_there_already_is_not_written_over() {
    let story = Story::extracted();
    let before = std::fs::read(story.case.file("bundle/manifest.json")).unwrap();
    story.refuses(
        ["extract"],
        3,
        &["bundle exists already", "choose another place"],
    );
    std::fs::create_dir(story.case.file("empty")).unwrap();
    let empty = story.case.file("empty");
    story.refuses(
        ["extract".as_ref(), "-o".as_ref(), empty.as_os_str()],
        3,
        &["empty exists already"],
    );
    let after = std::fs::read(story.case.file("bundle/manifest.json")).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_bundle_that_is_not_there() {
    let story = Story::begin();
    std::fs::create_dir(story.case.file("something")).unwrap();
    let something = story.case.file("something").display().to_string();
    for verb in [&["restore"][..], &EXECUTE, &["verify"]] {
        story.refuses(verb, 2, &["there is no bundle at", "reinstate extract"]);
        let named = [verb, &[something.as_str()]].concat();
        story.refuses(named, 2, &["something is no bundle", "manifest.json"]);
    }
    let args = ["extract", "-o", "/no/such/directory/bundle"];
    story.refuses(
        args,
        2,
        &["/no/such/directory", "No such file or directory"],
    );
}

#[test]
fn one_changed_byte() {
    let story = Story::extracted();
    let rows = story.case.file("bundle/rows");
    let name = std::fs::read_dir(rows)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for path in [
        name,
        story.case.file("bundle/units.jsonl.zst"),
        story.case.file("bundle/manifest.json"),
    ] {
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&path, changed).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        for args in [&["restore"][..], &EXECUTE, &["verify"]] {
            story.refuses(
                args,
                3,
                &[file, "changed or damaged after extract", "extract again"],
            );
        }
        std::fs::write(&path, whole).unwrap();
    }
    story.run(["restore"]).ok();
}

#[test]
fn a_full_disk() {
    let story = Story::begin();
    let more = "insert into users select i, md5(i::text) from generate_series(1000, 40000) i";
    story.snapshot.run(more);
    let small = SmallDisk::new(story.case.path());
    let target = small.path.join("bundle").display().to_string();
    let before = files(story.case.path());
    let output = small.run(story.command(["extract", "-o", &target]));
    one_message(
        &output,
        2,
        &["no room to write", "no bundle was made", "free space"],
    );
    assert_eq!(files(story.case.path()), before, "left over");
    // The files of the case: diff.jsonl does not fit either.
    let case = small.path.display().to_string();
    let mut command = story.command([""; 0]);
    command = {
        let mut diff = Command::new(command.get_program());
        diff.args(["-C", &case, "diff"])
            .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        diff
    };
    let output = small.run(command);
    one_message(&output, 2, &["cannot write", "diff.jsonl"]);
    assert_eq!(files(story.case.path()), before, "left over");
}

/// A directory with room for 64 KiB: a file system of its own where we may mount one, else a limit on the size of files.
struct SmallDisk {
    path: std::path::PathBuf,
    mounted: bool,
}

impl SmallDisk {
    fn new(parent: &Path) -> Self {
        let path = parent.join("small");
        std::fs::create_dir(&path).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"])
            .arg(&path)
            .output();
        let mounted = mount.is_ok_and(|o| o.status.success());
        Self { path, mounted }
    }

    /// Runs a command for which the disk is small.
    fn run(&self, command: Command) -> Output {
        let mut limited = Command::new("sh");
        let limit = if self.mounted {
            ""
        } else {
            "trap '' XFSZ; ulimit -f 64; "
        };
        limited.arg("-c").arg(format!("{limit}exec \"$0\" \"$@\""));
        limited.arg(command.get_program()).args(command.get_args());
        limited.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        limited.output().unwrap().into()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.path).status();
        }
    }
}
