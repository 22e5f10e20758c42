//! Live and the snapshot by the ways in which people write them: services, lists of servers, certificates. Each leads through extract,
//! restore, verify and undo.

use std::process::Command;

use super::{Incident, Ledger};
use crate::pg::server::{Server, command, free_port};
use crate::support::{Case, Output, cluster, dump};

fn incident() -> Incident {
    Incident::new(
        "create table t (id int primary key, v text); insert into t select n, 'v' || n from generate_series(1, 9) n",
        "delete from t where id < 4",
    )
}

/// The whole way, each command with what `given` adds to it.
fn leads_there_and_back(incident: &Incident, given: &dyn Fn(&mut Command)) {
    let run = |args: &[&str]| {
        let mut command = incident.case.command(args);
        command.args(["--format", "json"]);
        given(&mut command);
        Ledger::of(&Output::from(command.output().unwrap()).ok())
    };
    assert_eq!(run(&["extract"]).total("rows"), 3);
    run(&["restore"]).expect(&[("inserted", 3)]);
    run(&["restore", "--execute", "--unrehearsed", "a test"]).expect(&[("inserted", 3)]);
    assert_eq!(dump(&incident.live), incident.before);
    run(&["verify", "--strict"]).expect(&[("identical", 3)]);
    run(&["undo", "--last", "--execute"]).expect(&[("removed", 3)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

#[test]
fn by_services() {
    let incident = incident();
    let section =
        |name: &str, conninfo: String| format!("[{name}]\n{}\n", conninfo.replace(' ', "\n"));
    let file = section("shop", incident.live.tcp_conninfo())
        + &section("backup", incident.snapshot.conninfo());
    incident.case.write("services", &file);
    let services = incident.case.file("services");
    leads_there_and_back(&incident, &|command| {
        command
            .env("PGSERVICEFILE", &services)
            .env("REINSTATE_LIVE", "service=shop")
            .env("REINSTATE_SNAPSHOT", "postgres:///?service=backup");
    });
    let mut wrong = incident.case.command(["diff"]);
    wrong
        .env("PGSERVICEFILE", &services)
        .env("REINSTATE_LIVE", "service=shpo")
        .env("REINSTATE_SNAPSHOT", "service=backup");
    let said = Output::from(wrong.output().unwrap()).expect_code(2).stderr;
    for words in ["live", "service \"shpo\" is defined in none of", "services"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    // In the home directory, as libpq has it.
    let home = Case::new();
    home.write(".pg_service.conf", &file);
    leads_there_and_back(&incident_like(&incident), &|command| {
        command
            .env("HOME", home.path())
            .env("REINSTATE_LIVE", "service=shop")
            .env("REINSTATE_SNAPSHOT", "service=backup");
    });
}

/// The same databases in a case of its own.
fn incident_like(incident: &Incident) -> Incident {
    let of = |db: &crate::support::TestDb| crate::support::TestDb::of(cluster(), &db.name);
    let (snapshot, live) = (of(&incident.snapshot), of(&incident.live));
    live.run("drop schema reinstate cascade");
    Incident::between(snapshot, live, incident.before.clone())
}

/// A server that is not there stands before the one that is.
#[test]
fn by_lists_of_servers() {
    let incident = incident();
    let port = cluster().port().to_string();
    let listed = |conninfo: String| {
        let ports = format!("port={},{port}", free_port());
        let hosts = conninfo.replace("host=127.0.0.1", "host=127.0.0.1,localhost");
        hosts.replace(&format!("port={port}"), &ports)
    };
    let live = listed(incident.live.tcp_conninfo());
    let snapshot = listed(incident.snapshot.tcp_conninfo());
    assert!(live.contains("127.0.0.1,localhost"), "{live}");
    leads_there_and_back(&incident, &|command| {
        command
            .env(
                "REINSTATE_LIVE",
                format!("{live} target_session_attrs=read-write"),
            )
            .env(
                "REINSTATE_SNAPSHOT",
                format!("{snapshot} target_session_attrs=any"),
            );
    });
}

/// A role that the server lets in by its certificate alone.
#[test]
fn by_certificates() {
    let server = Server::shared();
    let psql = |database: &str, sql: &str| -> String {
        let mut psql = command(std::path::Path::new("/"), "psql");
        psql.args([
            "-qXAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-c",
            sql,
            "-d",
            database,
        ]);
        let output = psql
            .args(["-h", &server.directory(), "-p", &server.port.to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    psql("postgres", "create database certified_live owner certified");
    let rows = "select string_agg(id || v, ' ' order by id) from t";
    psql(
        "certified_live",
        "set role certified; create table t (id int primary key, v text); insert into t select n, 'v' from generate_series(1, 9) n",
    );
    psql(
        "postgres",
        "create database certified_backup owner certified template certified_live",
    );
    let before = psql("certified_live", rows);
    psql("certified_live", "delete from t where id < 4");
    let after_loss = psql("certified_live", rows);
    let case = Case::new();
    let way = |database: &str, certificate: &str| {
        let tcp = server
            .tcp()
            .replace("dbname=postgres", &format!("dbname={database}"));
        let file = |name: String| format!("{}/{name}", server.certificates_directory());
        format!(
            "{tcp} user=certified sslmode=verify-ca sslrootcert={}{}",
            file("root.crt".into()),
            match certificate {
                "" => String::new(),
                name => format!(
                    " sslcert={} sslkey={}",
                    file(format!("{name}.crt")),
                    file(format!("{name}.key"))
                ),
            }
        )
    };
    let run = |args: &[&str], certificate: &str| {
        let mut command = case.command(args);
        command
            .args(["--format", "json"])
            .env("REINSTATE_LIVE", way("certified_live", certificate))
            .env("REINSTATE_SNAPSHOT", way("certified_backup", "client"));
        Output::from(command.output().unwrap())
    };
    Ledger::of(&run(&["extract"], "client").ok());
    for wrong in ["", "server"] {
        let said = run(&["restore"], wrong).expect_code(2).stderr;
        assert!(said.contains("certificate"), "{said}");
    }
    let execute: &[&str] = &["restore", "--execute", "--unrehearsed", "a test"];
    Ledger::of(&run(execute, "client").ok()).expect(&[("inserted", 3)]);
    assert_eq!(psql("certified_live", rows), before);
    Ledger::of(&run(&["verify", "--strict"], "client").ok()).expect(&[("identical", 3)]);
    let undo: &[&str] = &["undo", "--last", "--execute"];
    Ledger::of(&run(undo, "client").ok()).expect(&[("removed", 3)]);
    assert_eq!(psql("certified_live", rows), after_loss);
    psql("postgres", "drop database certified_live with (force)");
    psql("postgres", "drop database certified_backup with (force)");
}
