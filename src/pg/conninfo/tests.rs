//! Table tests of connection strings, and the promise that no string gives its password away.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Environment::new(variables, None, Some("anna".to_owned()))
}

fn parse(text: &str) -> Conninfo {
    Conninfo::parse(text, &environment(&[])).unwrap()
}

fn refused(text: &str) -> String {
    let error = Conninfo::parse(text, &environment(&[])).unwrap_err();
    error.to_string()
}

/// Role, password, servers and database in one line.
fn shown(conninfo: &Conninfo) -> String {
    let secret = |server: &Server| server.password.as_ref().map(|p| p.secret.clone());
    let servers: Vec<_> = conninfo
        .servers
        .iter()
        .map(|server| format!("{}:{}", server.address.shown(), server.port))
        .collect();
    let password = secret(&conninfo.servers[0]).unwrap_or("-".to_owned());
    let (role, database) = (&conninfo.role, &conninfo.database);
    format!("{role} {password} {} {database}", servers.join(","))
}

#[test]
fn strings_and_uris_are_read_as_libpq_reads_them() {
    for (text, expected) in [
        ("host=h", "anna - h:5432 anna"),
        ("host=h user=u", "u - h:5432 u"),
        ("host = h\tport= 5433\nuser =u", "u - h:5433 u"),
        ("host=h password='it\\'s \\\\'", "anna it's \\ h:5432 anna"),
        ("host=h password=a\\ b", "anna a b h:5432 anna"),
        ("host=h password='' user=u dbname=''", "u - h:5432 u"),
        ("host=h host=i", "anna - i:5432 anna"),
        ("host=h password=user=x", "anna user=x h:5432 anna"),
        ("host=a,b port=1,2", "anna - a:1,b:2 anna"),
        ("host=a,b port=7", "anna - a:7,b:7 anna"),
        ("host=a,b port=,2", "anna - a:5432,b:2 anna"),
        ("hostaddr=::1", "anna - ::1:5432 anna"),
        ("host=n hostaddr=10.0.0.1", "anna - n:5432 anna"),
        ("host=/run/x dbname=d", "anna - /run/x:5432 d"),
        (
            "host=h connect_timeout=3 application_name=x sslsni=1",
            "anna - h:5432 anna",
        ),
        (
            "host=h gssencmode=disable keepalives=0",
            "anna - h:5432 anna",
        ),
        ("postgres://h", "anna - h:5432 anna"),
        ("postgresql://u:p@h:1/d", "u p h:1 d"),
        (" postgresql://u:p@h:1/d\n", "u p h:1 d"),
        ("postgres://u%40x:p%2F%3a%25@h/d%20e", "u@x p/:% h:5432 d e"),
        ("postgres://u:p:q@h/", "u p:q h:5432 u"),
        ("postgres://[::1]:7/d", "anna - ::1:7 d"),
        ("postgres://[fe80::1]", "anna - fe80::1:5432 anna"),
        ("postgres://a:1,b,[::2]:3/d", "anna - a:1,b:5432,::2:3 d"),
        ("postgres:///d?host=/run/x&port=7", "anna - /run/x:7 d"),
        ("postgres://%2Frun%2Fx/d", "anna - /run/x:5432 d"),
        ("postgres://h/d?user=u&password=p%26q", "u p&q h:5432 d"),
        ("postgres://h?sslmode=disable", "anna - h:5432 anna"),
        ("postgres://h/d?ssl=true&", "anna - h:5432 d"),
    ] {
        assert_eq!(shown(&parse(text)), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_named_without_quoting_it() {
    for (text, part) in [
        ("mydb", "dbname="),
        ("host=h port", "character 8"),
        ("host=h password=a b", "needs quotes"),
        ("host=h sslmod=require", "did you mean \"sslmode\""),
        ("host=h database=d", "did you mean \"dbname\""),
        ("host=h zebra=1", "unknown keyword at character 8"),
        ("host=h password='open", "never closed"),
        ("host= user=x", "\"host\" is missing"),
        ("host=h port=banana", "1 to 65535"),
        ("host=h port=0", "1 to 65535"),
        ("host=h sslmode=on", "one of disable, allow, prefer"),
        ("host=h connect_timeout=soon", "whole number"),
        ("host=a,b hostaddr=::1", "lists 2 names"),
        ("host=a,b port=1,2,3", "3 ports for 2 hosts"),
        ("hostaddr=localhost", "IPv4 or IPv6"),
        ("host=@abstract", "abstract"),
        ("host=h options=-cjit=on", "ALTER ROLE"),
        ("host=h require_auth=scram-sha-256", "verify-full"),
        ("host=h gssencmode=require", "GSSAPI"),
        ("host=h sslcrl=x", "revocation"),
        ("host=h sslrootcert=system sslmode=require", "verify-full"),
        ("host=h sslnegotiation=direct", "sslmode=require"),
        ("host=h ssl_max_protocol_version=TLSv1.1", "no TLS version"),
        ("host=h dbname='x password=secret'", "swallowed a password"),
        ("mysql://h/d", "postgres://"),
        ("jdbc:postgresql://h/d?user=x", "postgres://"),
        ("postgres://u:p@ss@h/d", "%40"),
        ("postgres://u:p/w@h/d", "%2F"),
        ("postgres://u:p%zz@h", "hexadecimal"),
        ("postgres://u:p%0@h", "hexadecimal"),
        ("postgres://u:%00@h", "%00"),
        ("postgres://u:%ff@h", "UTF-8"),
        ("postgres://[::1", "closing"),
        ("postgres://[]", "empty"),
        ("postgres://[::1]x", "after \"]\""),
        ("postgres://h/d?sslmode", "exactly one"),
        ("postgres://h/d?a=b=c", "exactly one"),
        ("postgres://h/d?sslmodus=x", "did you mean \"sslmode\""),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn the_position_in_a_uri_counts_from_its_start() {
    let message = refused("postgres://h/d?port=1&zebra=2");
    assert!(message.contains("character 23"), "{message}");
}

#[test]
fn variables_fill_what_the_string_leaves_open() {
    let all = environment(&[
        ("PGHOST", "envhost"),
        ("PGPORT", "7"),
        ("PGDATABASE", "envdb"),
        ("PGUSER", "envuser"),
        ("PGPASSWORD", "envpass"),
        ("PGCONNECT_TIMEOUT", "4"),
        ("PGAPPNAME", "x"),
        ("PGOPTIONS", "-c jit=on"),
        ("PGSSLMODE", "verify-ca"),
        ("PGTARGETSESSIONATTRS", "primary"),
    ]);
    let conninfo = Conninfo::parse("", &all).unwrap();
    assert_eq!(shown(&conninfo), "envuser envpass envhost:7 envdb");
    assert_eq!(conninfo.timeout, Some(Duration::from_secs(4)));
    assert_eq!(conninfo.encryption.mode, Mode::VerifyCa);
    assert_eq!(conninfo.wish, Wish::Primary);
    assert!(conninfo.notes()[0].contains("PGOPTIONS"));

    let conninfo = Conninfo::parse("postgres://u:p@h/d", &all).unwrap();
    assert_eq!(shown(&conninfo), "u p h:7 d");
    let conninfo = Conninfo::parse("user=u dbname=''", &all).unwrap();
    assert_eq!(shown(&conninfo), "u envpass envhost:7 u");

    let refused = Conninfo::parse("", &environment(&[("PGREQUIREPEER", "postgres")]));
    assert!(refused.unwrap_err().to_string().contains("PGREQUIREPEER"));
    let nobody = Environment::default();
    assert!(Conninfo::parse("host=h", &nobody).is_err());
}

#[test]
fn a_service_stands_between_string_and_variables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("services");
    fs::write(&file, "[shop]\nhost=svc\nport=9\nuser=svcuser\n").unwrap();
    let path = file.to_str().unwrap();
    let named = environment(&[
        ("PGSERVICEFILE", path),
        ("PGUSER", "envuser"),
        ("PGDATABASE", "envdb"),
    ]);
    let conninfo = Conninfo::parse("service=shop port=1", &named).unwrap();
    assert_eq!(shown(&conninfo), "svcuser - svc:1 envdb");

    let unknown = Conninfo::parse("service=none", &named).unwrap_err();
    assert!(unknown.to_string().contains("\"none\" is defined in none"));

    fs::rename(&file, directory.path().join("pg_service.conf")).unwrap();
    let system = environment(&[
        ("PGSYSCONFDIR", directory.path().to_str().unwrap()),
        ("PGSERVICE", "shop"),
    ]);
    assert_eq!(
        shown(&Conninfo::parse("", &system).unwrap()),
        "svcuser - svc:9 svcuser"
    );
}

#[test]
fn the_password_file_is_asked_for_each_server() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    fs::write(&file, "a:*:*:*:forA\nb:*:*:*:forB\nlocalhost:*:*:*:here\n").unwrap();
    let with = |mode| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut environment = environment(&[]);
        environment.home = Some(home.path().to_owned());
        environment
    };
    let secrets = |text: &str| -> Vec<_> {
        let conninfo = Conninfo::parse(text, &with(0o600)).unwrap();
        let secret = |server: &Server| server.password.as_ref().map(|p| p.secret.clone());
        conninfo.servers.iter().map(secret).collect()
    };
    let found = |text: &str| Some(text.to_owned());
    assert_eq!(secrets("host=a,b,c"), [found("forA"), found("forB"), None]);
    assert_eq!(secrets("host=/var/run/postgresql"), [found("here")]);
    assert_eq!(secrets("host=a password=own"), [found("own")]);

    let conninfo = Conninfo::parse("host=a", &with(0o644)).unwrap();
    assert!(conninfo.servers[0].password.is_none());
    assert!(conninfo.notes()[0].contains("0600"));
}

const SECRET: &str = "Zq9-hidden";

fn gives_nothing_away(text: &str) -> Result<(), TestCaseError> {
    let shown = match Conninfo::parse(text, &environment(&[])) {
        Ok(conninfo) => format!("{conninfo:?} {}", conninfo.target()),
        Err(error) => format!("{error} {error:?}"),
    };
    prop_assert!(!shown.contains(SECRET), "{text:?} gave {shown}");
    Ok(())
}

proptest! {
    #[test]
    fn no_keyword_string_gives_its_password_away(before in "\\PC{0,20}", after in "\\PC{0,20}") {
        gives_nothing_away(&format!("{before} password={SECRET} {after}"))?;
        gives_nothing_away(&format!("{before} password='{SECRET}' {after}"))?;
    }

    #[test]
    fn no_list_of_keywords_gives_its_password_away(
        words in prop::collection::vec("(host|user|dbname|port|sslmode)( ?= ?)('|\\\\)?[a-z]{0,3}'?", 0..4),
        at in 0usize..4,
    ) {
        let mut words = words;
        words.insert(at.min(words.len()), format!("password={SECRET}"));
        gives_nothing_away(&words.join(" "))?;
    }

    #[test]
    fn no_uri_gives_its_password_away(user in "\\PC{0,10}", after in "\\PC{0,20}") {
        gives_nothing_away(&format!("postgres://{user}:{SECRET}@{after}"))?;
        gives_nothing_away(&format!("postgres://{user}:{SECRET}{after}@h/d"))?;
        gives_nothing_away(&format!("postgres://h/{user}?password={SECRET}&{after}"))?;
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        gives_nothing_away(&text)?;
        gives_nothing_away(&format!("postgres://{text}"))?;
    }
}

#[test]
fn an_environment_does_not_show_values() {
    let environment = environment(&[("PGPASSWORD", SECRET)]);
    assert!(!format!("{environment:?}").contains(SECRET));
}
