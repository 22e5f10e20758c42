//! An S3 server in this process: the protocol and its signatures by the crate `s3s`, over versioned buckets in memory; with counters,
//! faults on purpose, and the habits of other stores.

#![allow(dead_code)]

mod backend;
mod faults;
mod objects;
mod writes;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub(crate) use faults::{Rule, What};
pub(crate) use objects::{Bucket, Upload, Version};

/// What may be read with.
pub(crate) const ACCESS_KEY: &str = "AKIATEST";
/// Its secret.
pub(crate) const SECRET_KEY: &str = "a secret of the tests";

/// How the server differs from AWS.
#[derive(Debug, Clone)]
struct Switches {
    unsorted: bool,
    no_etags: bool,
    no_conditions: bool,
    garbles: bool,
    /// Entries on a page.
    page: usize,
}

struct Shared {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    switches: Mutex<Switches>,
    rules: Mutex<Vec<Rule>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    kill: Mutex<Option<Kill>>,
    meanwhile: Mutex<Option<Meanwhile>>,
}

/// A process that is killed at one of its requests.
struct Kill {
    left: usize,
    carried_out: bool,
    pid: Option<u32>,
}

/// What somebody else does at a moment.
struct Meanwhile {
    op: &'static str,
    key: String,
    bucket: String,
    act: Box<dyn FnOnce(&mut Bucket) + Send>,
}

/// A server on a port of its own; stopped with this value.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    /// With these buckets, each versioned where its name says so.
    pub(crate) fn start(buckets: &[&str]) -> Self {
        let bucket = |name: &&str| {
            let bucket = Bucket::new(name.contains("versioned"));
            ((*name).to_owned(), bucket)
        };
        let shared = Arc::new(Shared {
            buckets: Mutex::new(buckets.iter().map(bucket).collect()),
            switches: Mutex::new(Switches {
                unsorted: false,
                no_etags: false,
                no_conditions: false,
                garbles: false,
                page: 1_000,
            }),
            rules: Mutex::default(),
            counts: Mutex::default(),
            kill: Mutex::default(),
            meanwhile: Mutex::default(),
        });
        let mut builder = S3ServiceBuilder::new(backend::Backend(Arc::clone(&shared)));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let (service, state) = (builder.build(), Arc::clone(&shared));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                tokio::select! {
                    () = serve(listener, service, state) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            endpoint,
            shared,
            stop: Some(stop),
        }
    }

    /// Changes a bucket behind everybody's back.
    pub(crate) fn bucket<T>(&self, name: &str, change: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut buckets = self.shared.buckets.lock().unwrap();
        change(buckets.get_mut(name).expect("a bucket of the test"))
    }

    /// Stores an object.
    pub(crate) fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        self.bucket(bucket, |b| b.put(key, Version::of(bytes)));
    }

    /// Lists directory by directory, as SeaweedFS does.
    pub(crate) fn unsorted(&self) {
        self.shared.switches.lock().unwrap().unsorted = true;
    }

    /// Has no ETags.
    pub(crate) fn no_etags(&self) {
        self.shared.switches.lock().unwrap().no_etags = true;
    }

    /// Knows no conditions of writes.
    pub(crate) fn no_conditions(&self) {
        self.shared.switches.lock().unwrap().no_conditions = true;
    }

    /// Keeps other bytes than it gets, from now on, or no more.
    pub(crate) fn garbles(&self, garbles: bool) {
        self.shared.switches.lock().unwrap().garbles = garbles;
    }

    /// Kills a process at its `n`-th request from now (from 1): before it is carried out, or once it is. Whose, [`Self::victim`] says.
    pub(crate) fn kill_at(&self, n: usize, carried_out: bool) {
        *self.shared.kill.lock().unwrap() = Some(Kill {
            left: n,
            carried_out,
            pid: None,
        });
    }

    /// The process to kill; requests wait for it to be named.
    pub(crate) fn victim(&self, pid: u32) {
        if let Some(kill) = self.shared.kill.lock().unwrap().as_mut() {
            kill.pid = Some(pid);
        }
    }

    /// Kills nobody; how many requests the victim might have made more before it was hit.
    pub(crate) fn kill_nobody(&self) -> usize {
        self.shared
            .kill
            .lock()
            .unwrap()
            .take()
            .map_or(0, |k| k.left)
    }

    /// Does what an application does, `at` that operation of the tool on a key: between its looking and its writing.
    pub(crate) fn meanwhile(
        &self,
        op: &'static str,
        key: &str,
        act: impl FnOnce(&mut Bucket) + Send + 'static,
        bucket: &str,
    ) {
        let act = Meanwhile {
            op,
            key: key.to_owned(),
            bucket: bucket.to_owned(),
            act: Box::new(act),
        };
        *self.shared.meanwhile.lock().unwrap() = Some(act);
    }

    /// Puts so many entries on a page.
    pub(crate) fn page(&self, entries: usize) {
        self.shared.switches.lock().unwrap().page = entries;
    }

    /// Lets something go wrong.
    pub(crate) fn fault(&self, rule: Rule) {
        self.shared.rules.lock().unwrap().push(rule);
    }

    /// Lets nothing go wrong any more.
    pub(crate) fn heal(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// Requests of a kind so far.
    pub(crate) fn count(&self, op: &str) -> u64 {
        self.shared
            .counts
            .lock()
            .unwrap()
            .get(op)
            .copied()
            .unwrap_or(0)
    }

    /// Forgets how many there were.
    pub(crate) fn reset(&self) {
        self.shared.counts.lock().unwrap().clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }
}

type Answer = Response<BoxBody<Bytes, std::io::Error>>;

async fn serve(listener: std::net::TcpListener, service: S3Service, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let (service, shared) = (service.clone(), Arc::clone(&shared));
        let answer = service_fn(move |request| {
            let (service, shared) = (service.clone(), Arc::clone(&shared));
            async move { Ok::<_, Infallible>(answer(&service, &shared, request).await) }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new());
        tokio::spawn(http.serve_connection(TokioIo::new(stream), answer));
    }
}

fn operation(request: &Request<Incoming>) -> &'static str {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|p| p.split('=').next() == Some(name));
    match *request.method() {
        Method::HEAD => "head",
        Method::GET if has("list-type") => "list",
        Method::GET if has("versions") => "versions",
        Method::GET if has("versioning") => "versioning",
        Method::GET if has("tagging") => "tags",
        Method::GET if has("uploads") => "uploads",
        Method::GET => "get",
        Method::PUT if has("partNumber") => "part",
        Method::PUT if request.headers().contains_key("x-amz-copy-source") => "copy",
        Method::PUT => "put",
        Method::POST if has("uploads") => "begin",
        Method::POST if has("uploadId") => "complete",
        Method::DELETE if has("uploadId") => "abort",
        Method::DELETE => "delete",
        _ => "other",
    }
}

/// Whether this is the request at which a process dies, and then whether it is carried out first.
async fn last_request(shared: &Shared) -> Option<(u32, bool)> {
    loop {
        {
            let mut kill = shared.kill.lock().unwrap();
            let waiting = kill.as_mut()?;
            if let Some(pid) = waiting.pid {
                waiting.left = waiting.left.saturating_sub(1);
                let last = waiting.left == 0;
                return last.then_some((pid, waiting.carried_out));
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

fn kill(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
}

async fn answer(service: &S3Service, shared: &Shared, request: Request<Incoming>) -> Answer {
    let (op, head) = (operation(&request), request.method() == Method::HEAD);
    *shared.counts.lock().unwrap().entry(op).or_default() += 1;
    let path = request.uri().path().to_owned();
    let act = shared
        .meanwhile
        .lock()
        .unwrap()
        .take_if(|m| m.op == op && path.ends_with(&m.key));
    if let Some(act) = act {
        let mut buckets = shared.buckets.lock().unwrap();
        (act.act)(buckets.get_mut(&act.bucket).unwrap());
    }
    let dies = last_request(shared).await;
    if let Some((pid, false)) = dies {
        kill(pid);
        return refusal(503, "SlowDown", head, None);
    }
    let what = {
        let mut rules = shared.rules.lock().unwrap();
        rules
            .iter_mut()
            .find_map(|rule| rule.hits(op, &path).then(|| rule.what.clone()))
    };
    match what {
        Some(What::Refuse(status, code)) => return refusal(status, code, head, None),
        Some(What::Skewed) => {
            let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
            let date = ahead.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            return refusal(403, "RequestTimeTooSkewed", head, Some(date));
        }
        Some(What::Late(time)) => tokio::time::sleep(time).await,
        _ => {}
    }
    let answered = service.call(request.map(s3s::Body::from)).await;
    let (parts, body) = answered.expect("s3s answers").into_parts();
    let whole = BodyExt::collect(body)
        .await
        .expect("it is in memory")
        .to_bytes();
    if let Some((pid, true)) = dies {
        kill(pid);
    }
    Response::from_parts(parts, harmed(whole, what))
}

/// The body, or what becomes of it.
fn harmed(whole: Bytes, what: Option<What>) -> BoxBody<Bytes, std::io::Error> {
    let full = |bytes: Bytes| {
        http_body_util::Full::new(bytes)
            .map_err(|e| match e {})
            .boxed()
    };
    let half = whole.slice(..whole.len() / 2);
    let first = futures_util::stream::once(async move { Ok(Frame::data(half)) });
    match what {
        Some(What::Cut) => {
            let end = async { Err(std::io::Error::other("cut on purpose")) };
            BodyExt::boxed(StreamBody::new(
                first.chain(futures_util::stream::once(end)),
            ))
        }
        Some(What::Stall) => BodyExt::boxed(StreamBody::new(
            first.chain(futures_util::stream::pending()),
        )),
        Some(What::Corrupt) => {
            let mut bytes = whole.to_vec();
            if let Some(first) = bytes.first_mut() {
                *first ^= 1;
            }
            full(bytes.into())
        }
        _ => full(whole),
    }
}

fn refusal(status: u16, code: &str, head: bool, date: Option<String>) -> Answer {
    let body = match head {
        true => String::new(),
        false => format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>on purpose</Message></Error>"
        ),
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/xml");
    if let Some(date) = date {
        response = response.header("date", date);
    }
    response.body(harmed(body.into(), None)).unwrap()
}
