//! A wire between the program and the server that understands the protocol enough to be cut at the n-th message that
//! matters: before the server has it, after it has it, or after its answer has come back.
//!
//! Source: PostgreSQL manual, 55.7 "Message Formats". The program knows nothing of it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// When, seen from the message that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The server never gets it.
    Before,
    /// The server gets it; its answer is lost.
    Sent,
    /// Its answer has come back.
    Answered,
}

/// What happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The connection ends, on both sides.
    Cut,
    /// The program is killed; the connection ends with it.
    Kill,
    /// Nothing goes through this connection any more, in neither direction, not even its end.
    Hang,
}

/// Where the wire is disturbed: at the n-th message that matters, from zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) nth: usize,
    pub(crate) moment: Moment,
    pub(crate) deed: Deed,
}

struct Shared {
    matters: fn(&str) -> bool,
    point: Option<Point>,
    /// The statements that mattered, in order.
    seen: Mutex<Vec<String>>,
    struck: AtomicU64,
    program: Mutex<Option<u32>>,
    known: Condvar,
    /// Connections that hang: kept open until the end.
    hung: Mutex<Vec<TcpStream>>,
}

/// The wire.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens, and leads to a server's `port`. Statements for which `matters` holds are counted.
    pub(crate) fn start(port: u16, matters: fn(&str) -> bool, point: Option<Point>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            matters,
            point,
            seen: Mutex::default(),
            struck: AtomicU64::new(0),
            program: Mutex::default(),
            known: Condvar::new(),
            hung: Mutex::default(),
        });
        let for_all = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, shared) = (client.unwrap(), for_all.clone());
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let wire = Wire::new(client, server, shared);
                let back = wire.clone();
                std::thread::spawn(move || back.answers());
                std::thread::spawn(move || wire.questions());
            }
        });
        Self { port: own, shared }
    }

    /// A server's connection string over TCP, led through here.
    pub(crate) fn conninfo(&self, tcp: &str, port: u16) -> String {
        let led = tcp.replace(&format!("port={port}"), &format!("port={}", self.port));
        assert_ne!(led, tcp);
        led
    }

    /// Says which process to kill; nothing that matters goes through before.
    pub(crate) fn program(&self, pid: u32) {
        *self.shared.program.lock().unwrap() = Some(pid);
        self.shared.known.notify_all();
    }

    /// The statements that mattered, in order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Whether the point was reached.
    pub(crate) fn struck(&self) -> bool {
        self.shared.struck.load(Ordering::SeqCst) > 0
    }
}

/// One connection, both ends.
#[derive(Clone)]
struct Wire {
    client: Arc<TcpStream>,
    server: Arc<TcpStream>,
    shared: Arc<Shared>,
    /// Times that the server said that it is ready for a question.
    ready: Arc<(Mutex<u64>, Condvar)>,
    dead: Arc<AtomicU64>,
}

const LIVES: u64 = 0;
const CUT: u64 = 1;
const HANGS: u64 = 2;

impl Wire {
    fn new(client: TcpStream, server: TcpStream, shared: Arc<Shared>) -> Self {
        // One message at a time, or each would wait for the acknowledgement of the one before.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        Self {
            client: Arc::new(client),
            server: Arc::new(server),
            shared,
            ready: Arc::default(),
            dead: Arc::default(),
        }
    }

    fn questions(&self) {
        let mut reader = Questions::default();
        let mut buffer = [0; 65_536];
        'wire: while let Ok(n @ 1..) = (&*self.client).read(&mut buffer) {
            reader.bytes.extend_from_slice(&buffer[..n]);
            while let Some(message) = reader.next() {
                let act = reader.asks(&message, self.shared.matters);
                if !self.question(&message, act) {
                    break 'wire;
                }
            }
        }
        if self.dead.load(Ordering::SeqCst) != HANGS {
            self.cut();
        }
    }

    /// Passes a message on; `act` is the statement that is run with it, where it matters. False when the wire is dead.
    fn question(&self, message: &[u8], act: Option<String>) -> bool {
        let point = act.and_then(|sql| self.reached(sql));
        if let Some(point) = point
            && point.moment == Moment::Before
        {
            self.strike(point.deed);
        }
        if let Some(point) = point
            && point.moment == Moment::Sent
            && point.deed == Deed::Cut
        {
            // The answer has no way back from here on.
            let _ = self.client.shutdown(Shutdown::Both);
        }
        let before = *self.ready.0.lock().unwrap();
        match self.dead.load(Ordering::SeqCst) {
            LIVES => {}
            // Swallowed.
            HANGS => return true,
            _ => return false,
        }
        if let Some(point) = point
            && point.moment == Moment::Sent
            && point.deed != Deed::Cut
        {
            // Nothing comes back, whatever the server says.
            self.dead.store(HANGS, Ordering::SeqCst);
        }
        if (&*self.server).write_all(message).is_err() {
            return false;
        }
        if let Some(point) = point.filter(|p| p.moment != Moment::Before) {
            self.wait_for_answer(before);
            self.strike(point.deed);
            return self.dead.load(Ordering::SeqCst) == HANGS;
        }
        true
    }

    /// Counts a statement; gives the point when this is the one.
    fn reached(&self, sql: String) -> Option<Point> {
        let mut seen = self.shared.seen.lock().unwrap();
        let nth = seen.len();
        seen.push(sql);
        let point = self.shared.point.filter(|p| p.nth == nth)?;
        self.shared.struck.store(1, Ordering::SeqCst);
        Some(point)
    }

    fn strike(&self, deed: Deed) {
        match deed {
            Deed::Cut => self.cut(),
            Deed::Kill => {
                let mut program = self.shared.program.lock().unwrap();
                while program.is_none() {
                    program = self.shared.known.wait(program).unwrap();
                }
                let pid = program.and_then(|p| i32::try_from(p).ok()).unwrap();
                let pid = nix::unistd::Pid::from_raw(pid);
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
                self.cut();
            }
            Deed::Hang => {
                self.dead.store(HANGS, Ordering::SeqCst);
                let mut hung = self.shared.hung.lock().unwrap();
                hung.push(self.server.try_clone().unwrap());
            }
        }
    }

    fn cut(&self) {
        self.dead.store(CUT, Ordering::SeqCst);
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    /// Waits until the server is ready again, or for as long as a statement may take.
    fn wait_for_answer(&self, before: u64) {
        let ready = self.ready.0.lock().unwrap();
        let enough = |n: &mut u64| *n == before;
        let limit = Duration::from_secs(3);
        drop(self.ready.1.wait_timeout_while(ready, limit, enough));
    }

    fn answers(&self) {
        let mut bytes = Vec::new();
        let mut buffer = [0; 65_536];
        while let Ok(n @ 1..) = (&*self.server).read(&mut buffer) {
            // The answer to a question is on its way back before anybody hears that there is one.
            if self.dead.load(Ordering::SeqCst) == LIVES {
                let _ = (&*self.client).write_all(&buffer[..n]);
            }
            bytes.extend_from_slice(&buffer[..n]);
            self.count_ready(&mut bytes);
        }
        if self.dead.load(Ordering::SeqCst) != HANGS {
            self.cut();
        }
    }

    fn count_ready(&self, bytes: &mut Vec<u8>) {
        // To SSLRequest the answer is one letter.
        if bytes.first() == Some(&b'N') && bytes.get(1).is_none_or(|b| *b != 0) {
            bytes.remove(0);
        }
        while let Some(length) = typed_length(bytes) {
            if bytes[0] == b'Z' {
                *self.ready.0.lock().unwrap() += 1;
                self.ready.1.notify_all();
            }
            bytes.drain(..length);
        }
    }
}

/// Length of the first message with a type, if it is there as a whole.
fn typed_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(1..5)?;
    let length = 1 + u32::from_be_bytes(length.try_into().ok()?) as usize;
    (bytes.len() >= length).then_some(length)
}

/// What the program sends, message by message.
#[derive(Default)]
struct Questions {
    bytes: Vec<u8>,
    /// Whether the session has begun: from then on messages have a type.
    begun: bool,
    /// Prepared statements that matter, by name.
    prepared: std::collections::BTreeMap<Vec<u8>, String>,
    /// The statement to be run with the next Sync.
    bound: Option<String>,
}

impl Questions {
    fn next(&mut self) -> Option<Vec<u8>> {
        let length = match self.begun {
            true => typed_length(&self.bytes)?,
            false => u32::from_be_bytes(self.bytes.get(..4)?.try_into().ok()?) as usize,
        };
        if self.bytes.len() < length {
            return None;
        }
        let message: Vec<u8> = self.bytes.drain(..length).collect();
        if !self.begun {
            // Version 3: the session begins. Anything else asks for encryption, or cancels.
            self.begun = message.get(4..6) == Some(&[0, 3]);
        }
        Some(message)
    }

    /// The statement that is run with this message, if it matters.
    fn asks(&mut self, message: &[u8], matters: fn(&str) -> bool) -> Option<String> {
        if !self.begun || message.len() < 5 || message[..4] == [0, 0, 0, 8] {
            return None;
        }
        let mut fields = message[5..].split(|b| *b == 0);
        let mut text = || String::from_utf8_lossy(fields.next().unwrap_or_default()).into_owned();
        match message[0] {
            b'Q' => Some(text()).filter(|sql| matters(sql)),
            b'P' => {
                let (name, sql) = (text().into_bytes(), text());
                self.prepared.remove(&name);
                if matters(&sql) {
                    self.prepared.insert(name, sql);
                }
                None
            }
            b'B' => {
                let (_portal, name) = (text(), text().into_bytes());
                self.bound = self.prepared.get(&name).cloned();
                None
            }
            b'S' => self.bound.take(),
            _ => None,
        }
    }
}

/// A statement that writes to the journal, or commits.
pub(crate) fn writes_or_commits(sql: &str) -> bool {
    let sql = sql.trim_start();
    let writes = [
        "insert into reinstate.",
        "update reinstate.",
        "delete from reinstate.",
    ];
    sql == "commit" || sql.ends_with("; commit") || writes.iter().any(|w| sql.contains(w))
}

#[test]
fn messages_are_cut_where_they_end() {
    let mut questions = Questions::default();
    let startup = [0, 0, 0, 9, 0, 3, 0, 0, 0];
    let mut parse = b"P\0\0\0\x0es\0commit\0".to_vec();
    parse.extend([0, 0]);
    parse[4] = u8::try_from(parse.len() - 1).unwrap();
    let bind = b"B\0\0\0\x07\0s\0".to_vec();
    let sync = b"S\0\0\0\x04".to_vec();
    let query = b"Q\0\0\0\x0bcommit\0".to_vec();
    let all: Vec<Vec<u8>> = vec![
        vec![0, 0, 0, 8, 4, 210, 22, 47],
        startup.to_vec(),
        parse,
        sync.clone(),
        bind,
        sync,
        query,
    ];
    let mut found = Vec::new();
    for byte in all.concat() {
        questions.bytes.push(byte);
        while let Some(message) = questions.next() {
            found.push(questions.asks(&message, writes_or_commits));
        }
    }
    let asked: BTreeSet<usize> = (0..found.len()).filter(|i| found[*i].is_some()).collect();
    assert_eq!((found.len(), asked), (7, BTreeSet::from([5, 6])));
}
