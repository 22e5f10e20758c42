//! Exactly once, when nobody knows whether a transaction was committed.
//!
//! A wire between the program and the server that can be cut at the worst moment: after a COMMIT has reached the server,
//! before its answer has come back.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Incident, Ledger};
use crate::support::{cluster, dump};

/// The wire.
pub(super) struct Proxy {
    port: u16,
    cuts: Arc<AtomicU32>,
}

/// A simple query, as it goes over the wire: `Q`, length, text, zero.
const COMMIT: &[u8] = b"Q\0\0\0\x0bcommit\0";

impl Proxy {
    /// Listens, and leads to the server's `port`. The answers to the first `cuts` commits are lost.
    pub(super) fn start(port: u16, cuts: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicU32::new(cuts));
        let left = cuts.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, left) = (client.unwrap(), left.clone());
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || answers(back.0, back.1));
                std::thread::spawn(move || questions(client, server, &left));
            }
        });
        Self { port: own, cuts }
    }

    /// A server's connection string, led through here.
    pub(super) fn conninfo(&self, tcp: &str, port: u16) -> String {
        let led = tcp.replace(&format!("port={port}"), &format!("port={}", self.port));
        assert_ne!(led, tcp);
        led
    }

    /// Cuts that did not happen.
    pub(super) fn left(&self) -> u32 {
        self.cuts.load(Ordering::SeqCst)
    }
}

fn questions(mut client: TcpStream, mut server: TcpStream, cuts: &AtomicU32) {
    let mut buffer = [0; 65_536];
    while let Ok(n @ 1..) = client.read(&mut buffer) {
        let commit = buffer[..n].windows(COMMIT.len()).any(|w| w == COMMIT);
        let cut = commit
            && cuts
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |c| c.checked_sub(1))
                .is_ok();
        if cut {
            // Nothing comes back from here on.
            let _ = client.shutdown(Shutdown::Both);
        }
        if server.write_all(&buffer[..n]).is_err() {
            break;
        }
        if cut {
            std::thread::sleep(Duration::from_millis(200));
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn answers(mut server: TcpStream, mut client: TcpStream) {
    let mut buffer = [0; 65_536];
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        if client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

#[test]
fn a_commit_whose_answer_is_lost_is_not_done_again() {
    let incident = Incident::new(
        "create table sensors (id int primary key);
         create table events (sensor_id int not null references sensors on delete cascade, what text);
         insert into sensors select n from generate_series(1, 300) n;
         insert into events select 1 + n % 300, 'same' from generate_series(1, 3000) n",
        "delete from sensors where id <= 200",
    );
    incident
        .case
        .write("reinstate.toml", "[restore]\ntarget_batch = \"4ms\"\n");
    assert_eq!(incident.extract(&[]).total("rows"), 2_200);
    let port = cluster().port();
    let wire = Proxy::start(port, 3);
    let mut command = incident.restore_command(&[]);
    command.env(
        "REINSTATE_LIVE",
        wire.conninfo(&incident.live.tcp_conninfo(), port),
    );
    let output = crate::support::Output::from(command.output().unwrap()).ok();
    assert_eq!(wire.left(), 0, "not every cut was made");
    Ledger::of(&output).expect(&[("inserted", 2_200)]);
    assert_eq!(dump(&incident.live), incident.before);
    assert_eq!(
        incident
            .live
            .count("select sum(inserted) from reinstate.batch_rows"),
        2_200
    );
}
