//! Throwaway servers: they start, answer, come back after a stop, can be copied, and never outlive us.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reinstate::cluster::{Cluster, ClusterError, Programs, Settings, StopMode};

use crate::support;

fn ask(cluster: &Cluster, conninfo: &str, sql: &str) -> String {
    let psql = cluster.program("psql").unwrap();
    let output = Command::new(psql)
        .args(["-AtX", "-d", conninfo, "-c", sql])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn wait_until_gone(path: &Path) {
    let started = Instant::now();
    while path.exists() {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "still there: {}",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_server_answers_restarts_and_leaves_nothing_behind() {
    let settings = Settings::default().with("work_mem", "5MB");
    let mut cluster = support::start(&settings);
    let socket = cluster.conninfo("postgres");
    let tcp = cluster.tcp_conninfo("postgres");
    let version = ask(&cluster, &socket, "show server_version");
    assert_eq!(
        version.split(' ').next(),
        Some(cluster.programs().version.as_str())
    );
    assert_eq!(ask(&cluster, &tcp, "show work_mem"), "5MB");
    assert_eq!(ask(&cluster, &tcp, "show server_encoding"), "UTF8");
    ask(
        &cluster,
        &socket,
        "create table t as select 1 as a; checkpoint",
    );
    cluster.restart().unwrap();
    assert_eq!(ask(&cluster, &socket, "select a from t"), "1");
    cluster.stop(StopMode::Immediate).unwrap();
    cluster.stop(StopMode::Fast).unwrap();
    cluster.restart().unwrap();
    assert_eq!(ask(&cluster, &socket, "select a from t"), "1");
    let data = cluster.data_directory();
    let directory = data.parent().unwrap().to_owned();
    drop(cluster);
    assert!(!directory.exists());
}

#[test]
fn a_base_backup_is_the_same_database_and_lives_its_own_life() {
    let identity = "select system_identifier, (select oid from pg_class where relname = 't') \
                    from pg_control_system()";
    let origin = support::start(&Settings::default());
    let there = origin.conninfo("postgres");
    ask(&origin, &there, "create table t as select 1 as a");
    let private = Settings {
        tcp: false,
        ..Settings::default()
    };
    let copy = origin.base_backup(&private).unwrap();
    let here = copy.conninfo("postgres");
    assert_eq!(
        ask(&copy, &here, identity),
        ask(&origin, &there, identity),
        "same system, same OIDs"
    );
    ask(&origin, &there, "delete from t");
    assert_eq!(ask(&copy, &here, "select count(*) from t"), "1");
    assert_eq!(ask(&copy, &here, "select pg_is_in_recovery()"), "f");
    assert_eq!(ask(&copy, &here, "show listen_addresses"), "");
}

#[test]
fn a_setting_that_the_server_refuses_is_shown() {
    let settings = Settings::default().with("shared_buffers", "many");
    match Cluster::start(support::programs(), &settings) {
        Err(ClusterError::NotStarted { log, .. }) => {
            assert!(log.contains("shared_buffers"), "{log}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn programs_that_are_not_there_are_named() {
    let nowhere = Programs::find(Some(Path::new("/nonexistent")), None);
    assert!(matches!(
        nowhere,
        Err(ClusterError::ProgramsMissing { looked }) if looked == [Path::new("/nonexistent")]
    ));
}

/// The environment variable that turns the next test into the process to be killed.
const VICTIM: &str = "REINSTATE_TEST_VICTIM";

#[test]
fn a_server_does_not_outlive_a_killed_process() {
    if let Some(report) = std::env::var_os(VICTIM) {
        let cluster = support::start(&Settings::default());
        let data = cluster.data_directory();
        std::fs::write(report, data.to_str().unwrap()).unwrap();
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let report = scratch.path().join("data");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "cluster::a_server_does_not_outlive_a_killed_process",
        ])
        .env(VICTIM, &report)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let data = loop {
        match std::fs::read_to_string(&report) {
            Ok(text) if !text.is_empty() => break PathBuf::from(text),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
        assert!(started.elapsed() < Duration::from_secs(60), "no server");
    };
    let pid = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    let process = Path::new("/proc").join(pid.lines().next().unwrap());
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until_gone(data.parent().unwrap());
    if Path::new("/proc/self").exists() {
        let command = std::fs::read_to_string(process.join("cmdline")).unwrap_or_default();
        assert!(
            !command.contains(data.to_str().unwrap()),
            "still running: {command}"
        );
    }
}
