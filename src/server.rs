//! Shards and followers: start, watch, drain.
//!
//! Place: between `command::serve` and the threads. Everything that can be wrong with the machine is
//! found here, before the first connection, and said with what to do.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::admin::{self, Status};
use crate::buffer::Pool;
use crate::command::key;
use crate::config::{Config, RingFeatures, RingMode};
use crate::counters::{ShardCounters, StoreCounters, Tenants};
use crate::ingest::{Ingest, Keys, Tenant};
use crate::journal::write::Writer;
use crate::journal::{self, Journal, Recovered, RecoveryReport};
use crate::limits;
use crate::ring::clock::Clock;
use crate::ring::poll::Poll;
use crate::ring::uring::Uring;
use crate::ring::{Errno, Features, Ring};
use crate::shard::{
    JOURNAL_TOKEN, LargeBodies, Listen, Load, Mailbox, Message, Parts, Placement, Sender, Shard,
    mailbox,
};
use crate::store::{self, Store};
use crate::tls::files::{self, CertificateError};
use crate::tls::{Acceptor, Tickets};

/// Why the server cannot start, in words that say what to do.
#[derive(Debug)]
pub enum StartError {
    KernelTooOld { release: String },
    UringRefused { errno: Errno },
    UringDisabled { value: String },
    DataFolder { path: PathBuf, error: io::Error },
    DataFolderLocked { path: PathBuf },
    Keys(key::KeyError),
    Journal(journal::OpenError),
    Listen { address: SocketAddr, errno: Errno },
    Certificate(CertificateError),
    Admin { address: SocketAddr, error: io::Error },
    Store(io::Error),
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelTooOld { release } => write!(
                formatter,
                "the kernel is {release}, but io_uring needs Linux 6.1 or newer here"
            ),
            Self::UringRefused { errno } => write!(
                formatter,
                "the kernel refuses io_uring ({errno}). In Docker allow it with --security-opt \
                 seccomp=unconfined or a profile with io_uring_setup, io_uring_enter and \
                 io_uring_register; under systemd check SystemCallFilter; on the host set sysctl \
                 kernel.io_uring_disabled=0; with ENOMEM raise the locked-memory limit (ulimit -l). \
                 --ring poll does without"
            ),
            Self::UringDisabled { value } => write!(
                formatter,
                "io_uring is switched off on this host (kernel.io_uring_disabled = {value}): run \
                 `sysctl kernel.io_uring_disabled=0`"
            ),
            Self::DataFolder { path, error } => write!(
                formatter,
                "the data folder {} cannot be used: {error}. Give a folder that this user may write \
                 with --data-dir",
                path.display()
            ),
            Self::DataFolderLocked { path } => write!(
                formatter,
                "the data folder {} is in use by another inrush: stop it, or give another folder \
                 with --data-dir",
                path.display()
            ),
            Self::Keys(error) => write!(formatter, "{error}"),
            Self::Journal(error) => write!(formatter, "{error}"),
            Self::Listen { address, errno: Errno::ADDRINUSE } => write!(
                formatter,
                "port {} on {} is in use: stop what listens there, or choose another with --http or \
                 --https",
                address.port(),
                address.ip()
            ),
            Self::Listen { address, errno } => {
                write!(formatter, "cannot listen on {address}: {errno}")
            }
            Self::Certificate(error) => write!(formatter, "{error}"),
            Self::Admin { address, error } => write!(
                formatter,
                "cannot listen on {address} for admin: {error}. Choose another with --admin"
            ),
            Self::Store(error) => write!(formatter, "the store cannot start: {error}"),
            Self::Thread(error) => write!(formatter, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// What a start made, to be told to the user.
pub struct Started {
    pub server: Server,
    pub http: Vec<SocketAddr>,
    pub https: Vec<SocketAddr>,
    pub certificate: Option<Certificate>,
    pub admin: SocketAddr,
    /// A key made because there was none; printed once.
    pub first_key: Option<String>,
    pub recovery: RecoveryReport,
    pub memory_bound: MemoryBound,
    pub is_direct: bool,
    pub ring: RingChoice,
}

/// How shards speak with the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingChoice {
    Uring(Features),
    Poll,
}

impl fmt::Display for RingChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Uring(Features::Auto) => "io_uring",
            Self::Uring(Features::Baseline) => "io_uring, features of kernel 6.1",
            Self::Poll => "epoll, and a thread for files",
        })
    }
}

/// What TLS listeners show.
pub struct Certificate {
    pub path: PathBuf,
    pub fingerprint: String,
    /// Made here: clients must be told to trust it.
    pub is_development: bool,
}

/// The largest memory of the data path, by part.
#[derive(Clone, Copy, Debug)]
pub struct MemoryBound {
    pub bodies: u64,
    pub receive_buffers: u64,
    pub arenas: u64,
    pub large_bodies: u64,
    pub store: u64,
}

impl MemoryBound {
    fn of(config: &Config) -> Self {
        let shards = u64::from(config.shards);
        // An arena holds two stacked codings; JSON scratch, pipelines and what codes blocks anew are small
        // beside it. So is what stands beside a Firehose record's place: JSON of Datadog traces as
        // `MessagePack` is a payload and its growth, tables of texts and symbols are half of one.
        // A record of a Firehose delivery is inflated by itself; its base64 is three quarters of the body.
        let record = limits::FIREHOSE_RECORD_SIZE_MAX as u64;
        let arena = 3 * limits::LARGE_BODY as u64 + 4 * limits::BLOCK_SIZE_MAX as u64 + record;
        let large =
            3 * limits::PAYLOAD_SIZE_MAX as u64 + record + limits::PAYLOAD_SIZE_MAX as u64 / 4 * 3;
        // Columns, their sorted copy, the encoded part, and one decoded body, which leaves in parts if it
        // becomes more than one.
        let worker = 3 * config.store.part_size.0 + large;
        Self {
            bodies: shards * config.limits.body_memory.0,
            receive_buffers: shards
                * u64::from(limits::RECEIVE_BUFFER_COUNT)
                * limits::RECEIVE_BUFFER_SIZE as u64,
            arenas: shards * arena,
            large_bodies: u64::from(config.limits.large_body_threads) * large,
            store: u64::from(config.store_workers) * worker,
        }
    }

    pub const fn total(&self) -> u64 {
        self.bodies + self.receive_buffers + self.arenas + self.large_bodies + self.store
    }
}

impl fmt::Display for MemoryBound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "memory bound {} bytes (bodies and commits {}, receive buffers {}, arenas {}, large \
             bodies {}, store {})",
            self.total(),
            self.bodies,
            self.receive_buffers,
            self.arenas,
            self.large_bodies,
            self.store
        )
    }
}

pub struct Server {
    config: Config,
    shards: Running,
    journal: Arc<Journal>,
    store: Option<Store>,
    status: Arc<Status>,
    stop_watching: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
    admin: admin::Server,
    _lock: File,
}

/// Starts everything; when this returns the listeners accept.
pub fn start(config: Config) -> Result<Started, StartError> {
    let ring = choose_ring(&config)?;
    raise_open_files();
    let lock = lock_data_folder(&config.data_dir)?;
    let first_key = first_key(&config.data_dir)?;
    let keys = key::load(&config.data_dir).map_err(StartError::Keys)?;
    let tls = if config.https.is_empty() { None } else { Some(Tls::load(&config)?) };
    let Listening { shards: listeners, http, https } = listen(&config)?;
    let admin_listener = admin::bind(config.admin)
        .map_err(|error| StartError::Admin { address: config.admin, error })?;

    let options = journal::Options {
        directory: config.data_dir.join("journal"),
        shards: config.shards,
        segment_size: config.journal.segment_size.0,
        size_max: config.journal.max_size.0,
        direct: config.journal.direct,
    };
    let followed = |incarnation, shard| -> u64 {
        store::followed(&config.data_dir, incarnation).get(&shard).copied().unwrap_or(0)
    };
    let (journal, recovered, recovery) =
        Journal::open(&options, &followed).map_err(StartError::Journal)?;
    let is_direct = recovered.iter().all(|recovered| !recovered.first.needs_sync);

    let tenants = Arc::new(Tenants::default());
    let counters: Vec<Arc<ShardCounters>> = (0..config.shards).map(|_| Arc::default()).collect();
    let large = LargeBodies::start(limits::size(u64::from(config.limits.large_body_threads)))
        .map_err(StartError::Thread)?;
    let allowed = allowed_cpus();
    let shards = start_shards(Shards {
        config: &config,
        ring,
        recovered,
        listeners,
        acceptor: tls.as_ref().map(|tls| tls.acceptor.clone()),
        counters: &counters,
        tenants: &tenants,
        keys: &keys,
        journal: &journal,
        large: &large,
        cpus: &allowed,
    })?;
    drop(large);
    leave_shard_cpus(&allowed, limits::size(u64::from(config.shards)));

    let store_counters = Arc::new(StoreCounters::default());
    let mut store_options = store::Options::new(config.data_dir.clone());
    store_options.max_delay = config.store.max_delay.0;
    store_options.workers = limits::size(u64::from(config.store_workers));
    store_options.part_size_max = limits::size(config.store.part_size.0);
    let store = store::start(store_options, Arc::clone(&journal) as _, Arc::clone(&store_counters))
        .map_err(StartError::Store)?;

    let status = Arc::new(Status::new(
        counters,
        Arc::clone(&tenants),
        Arc::clone(&journal),
        store_counters,
        store.lag(),
        recovery,
    ));
    let admin = admin::serve(admin_listener, Arc::clone(&status))
        .map_err(|error| StartError::Admin { address: config.admin, error })?;
    let admin_address = admin.address();
    let stop_watching = Arc::new(AtomicBool::new(false));
    let certificate = tls.as_ref().map(Tls::certificate);
    let reload = Arc::new(AtomicBool::new(false));
    let watched = Watched {
        senders: shards.iter().map(|(sender, _)| sender.clone()).collect(),
        tenants: Arc::clone(&tenants),
        reload: Arc::clone(&reload),
        stop: Arc::clone(&stop_watching),
    };
    let watcher = watch_files(&config, watched, tls)?;
    let memory_bound = MemoryBound::of(&config);
    let server = Server {
        config,
        shards,
        journal,
        store: Some(store),
        status,
        stop_watching,
        reload,
        watcher: Some(watcher),
        admin,
        _lock: lock,
    };
    Ok(Started {
        server,
        http,
        https,
        certificate,
        admin: admin_address,
        first_key,
        recovery,
        memory_bound,
        is_direct,
        ring,
    })
}

/// What ended a server.
#[derive(Debug)]
pub enum Ended {
    /// Asked to, and everything acknowledged is readable.
    Drained,
    /// Every shard's journal failed.
    AllShardsPoisoned,
    /// Asked to, but the store could not publish all; it stays in the journal.
    StoreBehind(io::Error),
}

impl Server {
    /// Whether every shard has stopped by itself: all journals failed, or a ring did.
    pub fn all_shards_ended(&self) -> bool {
        self.shards.iter().all(|(_, thread)| thread.is_finished())
    }

    /// Keys and certificates are read again soon, whether their files changed or not.
    pub fn reload(&self) {
        self.reload.store(true, Ordering::Relaxed);
    }

    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Stops accepting, answers what is in flight, commits, lets the followers finish.
    pub fn drain(mut self) -> Ended {
        self.status.begin_drain();
        let poisoned = self.journal.logs().iter().filter(|log| log.is_poisoned()).count();
        let all_poisoned = poisoned > 0 && poisoned >= self.shards.len();
        for (sender, _) in &self.shards {
            tell(sender, Message::Drain);
        }
        for (_, thread) in self.shards.drain(..) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(errno)) => tracing::error!(target: "shard", %errno, "a shard's ring failed"),
                Err(_) => tracing::error!(target: "shard", "a shard panicked"),
            }
        }
        self.stop_watching.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
        let drained = self.store.take().map_or(Ok(()), Store::drain);
        self.journal.stop();
        self.admin.stop();
        match drained {
            Err(error) => Ended::StoreBehind(error),
            Ok(()) if all_poisoned => Ended::AllShardsPoisoned,
            Ok(()) => Ended::Drained,
        }
    }
}

/// A mailbox is full only for moments, and that of a shard that has ended is full for ever.
fn tell(sender: &Sender<Message>, mut message: Message) {
    for _ in 0..1000 {
        match sender.try_send(message) {
            Ok(()) => return,
            Err(back) => message = back,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

// ── Start-up checks ───────────────────────────────────────────────────────────────────────────

/// io_uring if it may be used, else what the settings say of that.
fn choose_ring(config: &Config) -> Result<RingChoice, StartError> {
    let features = match config.ring.features {
        RingFeatures::Auto => Features::Auto,
        RingFeatures::Baseline => Features::Baseline,
    };
    match config.ring.mode {
        RingMode::Poll => Ok(RingChoice::Poll),
        RingMode::Uring => check_uring(features).map(|()| RingChoice::Uring(features)),
        RingMode::Auto => match check_uring(features) {
            Ok(()) => Ok(RingChoice::Uring(features)),
            Err(refusal) => {
                tracing::warn!(
                    target: "start",
                    "{refusal}. Going on with epoll, which costs more a request; --ring poll says \
                     that this is meant"
                );
                Ok(RingChoice::Poll)
            }
        },
    }
}

fn check_uring(features: Features) -> Result<(), StartError> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let version = (numbers.next(), numbers.next());
    if let (Some(Ok(major)), Some(Ok(minor))) = version
        && (major, minor) < (6, 1)
    {
        return Err(StartError::KernelTooOld { release });
    }
    Uring::new(features).map(drop).map_err(|errno| {
        let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
        match disabled.trim() {
            "" | "0" => StartError::UringRefused { errno },
            value => StartError::UringDisabled { value: value.to_owned() },
        }
    })
}

/// Every connection is a descriptor: the soft limit goes up to the hard one.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    if limit.current.is_some_and(|count| count < 4096) {
        tracing::warn!(
            target: "start",
            limit = limit.current,
            "few open files are allowed; raise the hard limit (ulimit -Hn, LimitNOFILE) for more \
             connections"
        );
    }
}

fn lock_data_folder(path: &Path) -> Result<File, StartError> {
    let fail = |error| StartError::DataFolder { path: path.to_owned(), error };
    fs::create_dir_all(path).map_err(fail)?;
    let lock = File::create(path.join("lock")).map_err(fail)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(StartError::DataFolderLocked { path: path.to_owned() }),
        Err(errno) => Err(fail(errno.into())),
    }
}

/// A folder without keys gets one, so that the first `curl` works.
fn first_key(data_dir: &Path) -> Result<Option<String>, StartError> {
    if !key::list(data_dir).map_err(StartError::Keys)?.is_empty() {
        return Ok(None);
    }
    // A removed last key is a decision, not an empty folder.
    if key::watched_path(data_dir).exists() {
        return Ok(None);
    }
    let added = key::add(data_dir, "default", None, &key::SecretSource::Generated)
        .map_err(StartError::Keys)?;
    Ok(added.generated)
}

// ── Listeners ─────────────────────────────────────────────────────────────────────────────────

/// A bound socket, and whether it speaks TLS.
type Bound = (OwnedFd, bool);

struct Listening {
    /// By shard.
    shards: Vec<Vec<Bound>>,
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
}

/// One listener a shard and address, all on the same ports.
fn listen(config: &Config) -> Result<Listening, StartError> {
    let mut shards: Vec<Vec<Bound>> = (0..config.shards).map(|_| Vec::new()).collect();
    let http = listen_on(&config.http, false, &mut shards)?;
    let https = listen_on(&config.https, true, &mut shards)?;
    Ok(Listening { shards, http, https })
}

fn listen_on(
    addresses: &[SocketAddr],
    speaks_tls: bool,
    shards: &mut [Vec<Bound>],
) -> Result<Vec<SocketAddr>, StartError> {
    let mut bound = Vec::with_capacity(addresses.len());
    for &address in addresses {
        let fail = |errno| StartError::Listen { address, errno };
        // Without SO_REUSEPORT first: with it two servers would share a port without a word.
        if address.port() != 0 {
            drop(listener(address, false).map_err(fail)?);
        }
        let mut actual = address;
        for listeners in &mut *shards {
            let listener = listener(actual, true).map_err(fail)?;
            let name = rustix::net::getsockname(&listener).map_err(fail)?;
            if let Ok(name) = SocketAddr::try_from(name) {
                actual = name;
            }
            listeners.push((listener, speaks_tls));
        }
        bound.push(actual);
    }
    Ok(bound)
}

fn listener(address: SocketAddr, shared: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, shared)?;
    rustix::net::bind(&socket, &address)?;
    if shared {
        rustix::net::listen(&socket, 4096)?;
    }
    Ok(socket)
}

// ── Shards ────────────────────────────────────────────────────────────────────────────────────

fn allowed_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

/// Background threads are started from this one and inherit where it may run: off the shards' cores,
/// if any are left.
fn leave_shard_cpus(allowed: &[usize], shards: usize) {
    if allowed.len() <= shards {
        return;
    }
    let mut set = CpuSet::new();
    for &cpu in &allowed[shards..] {
        set.set(cpu);
    }
    let _ = sched_setaffinity(None, &set);
}

struct Shards<'a> {
    config: &'a Config,
    ring: RingChoice,
    recovered: Vec<Recovered>,
    listeners: Vec<Vec<Bound>>,
    acceptor: Option<Acceptor>,
    counters: &'a [Arc<ShardCounters>],
    tenants: &'a Arc<Tenants>,
    keys: &'a key::KeySet,
    journal: &'a Arc<Journal>,
    large: &'a LargeBodies,
    cpus: &'a [usize],
}

type Running = Vec<RunningShard>;
type RunningShard = (Sender<Message>, JoinHandle<Result<(), Errno>>);

fn start_shards(shards: Shards<'_>) -> Result<Running, StartError> {
    let count = shards.recovered.len();
    let boxes: Vec<(Sender<Message>, Mailbox<Message>)> =
        (0..count).map(|_| mailbox(1024)).collect();
    let senders: Vec<_> = boxes.iter().map(|(sender, _)| sender.clone()).collect();
    let loads: Arc<[Load]> = (0..count).map(|_| Load::default()).collect();
    let mut running = Vec::with_capacity(count);
    let parts = shards.recovered.into_iter().zip(shards.listeners).zip(boxes);
    for (index, ((recovered, listeners), (own, mailbox))) in parts.enumerate() {
        let sender = own.clone();
        let ring = shards.ring;
        let start = ShardStart {
            index,
            cpu: shards.cpus.get(index).copied().filter(|_| shards.cpus.len() > count),
            budget: limits::size(shards.config.limits.body_memory.0),
            recovered,
            listeners,
            acceptor: shards.acceptor.clone(),
            keys: keys_of(shards.keys, shards.config.http_tenant.as_deref(), shards.tenants, index),
            pressure: shards.journal.pressure(),
            large: shards.large.clone(),
            own,
            mailbox,
            others: senders.clone(),
            loads: Arc::clone(&loads),
            counters: Arc::clone(&shards.counters[index]),
        };
        let thread = std::thread::Builder::new()
            .name(format!("shard-{index}"))
            .spawn(move || {
                let _guard = ExitOnPanic;
                // A ring is made on its shard's thread, and before that is pinned: the thread that
                // writes files for `Poll` goes where there is room.
                match ring {
                    RingChoice::Uring(features) => start.run(Uring::new(features)?),
                    RingChoice::Poll => start.run(Poll::new(format!("file-{index}"))?),
                }
            })
            .map_err(StartError::Thread)?;
        running.push((sender, thread));
    }
    Ok(running)
}

/// What a shard's thread takes with it.
struct ShardStart {
    index: usize,
    /// Where it is pinned.
    cpu: Option<usize>,
    budget: usize,
    recovered: Recovered,
    listeners: Vec<Bound>,
    acceptor: Option<Acceptor>,
    keys: Box<dyn FnOnce() -> Keys + Send>,
    pressure: Arc<AtomicU8>,
    large: LargeBodies,
    own: Sender<Message>,
    mailbox: Mailbox<Message>,
    others: Vec<Sender<Message>>,
    loads: Arc<[Load]>,
    counters: Arc<ShardCounters>,
}

impl ShardStart {
    fn run(self, ring: impl Ring) -> Result<(), Errno> {
        if let Some(cpu) = self.cpu {
            let mut set = CpuSet::new();
            set.set(cpu);
            let _ = sched_setaffinity(None, &set);
        }
        let recovered = self.recovered;
        recovered.mailbox.register(ring.waker());
        let pool = Pool::new(self.budget, recovered.first.alignment);
        let writer = Writer::new(
            recovered.incarnation,
            recovered.log,
            recovered.first,
            recovered.base,
            recovered.position,
            recovered.mailbox,
        )
        .with_token(JOURNAL_TOKEN);
        let scratch = crate::decode::Scratch::default();
        let ingest = Ingest::new((self.keys)(), writer, scratch, self.pressure);
        // From here on the ring closes them.
        let listeners = self
            .listeners
            .into_iter()
            .map(|(socket, speaks_tls)| Listen { socket: crate::ring::disown(socket), speaks_tls })
            .collect();
        let seed = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(self.index as u64 + 1);
        let parts = Parts {
            listeners,
            acceptor: self.acceptor,
            ingest,
            pool,
            large: self.large,
            own: self.own,
            mailbox: self.mailbox,
            others: self.others,
            placement: Placement::new(self.index, self.loads, seed),
            counters: self.counters,
        };
        Shard::new(ring, parts).run().inspect_err(|errno| {
            eprintln!("inrush: the ring of a shard failed ({errno}); exiting");
            std::process::abort();
        })
    }
}

/// A shard that panicked would leave a listener that nobody serves. What is acknowledged is durable, so
/// the whole process ends, for its supervisor to start it again.
struct ExitOnPanic;

impl Drop for ExitOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("inrush: a shard panicked; exiting, nothing acknowledged is lost");
            std::process::abort();
        }
    }
}

/// A shard's own copy of keys and tenants, made on its thread.
fn keys_of(
    keys: &key::KeySet,
    http_tenant: Option<&str>,
    tenants: &Arc<Tenants>,
    shard: usize,
) -> Box<dyn FnOnce() -> Keys + Send> {
    let table = keys.table();
    let shard = u32::try_from(shard).unwrap_or(0);
    let mut known: Vec<_> =
        keys.tenants.iter().map(|name| (name.clone(), tenants.counters(name, shard))).collect();
    let keyless = http_tenant.and_then(|name| {
        let place = known.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            known.push((name.to_owned(), tenants.counters(name, shard)));
            known.len() - 1
        });
        u32::try_from(place).ok()
    });
    Box::new(move || Keys {
        table,
        keyless,
        tenants: known
            .into_iter()
            .map(|(name, counters)| Tenant { name: Rc::from(name), counters })
            .collect(),
    })
}

// ── Files that change ─────────────────────────────────────────────────────────────────────────

/// Certificates as TLS listeners have them.
struct Tls {
    paths: files::Paths,
    is_development: bool,
    tickets: Tickets,
    stamp: files::Stamp,
    acceptor: Acceptor,
    fingerprint: String,
}

impl Tls {
    fn load(config: &Config) -> Result<Self, StartError> {
        let clients = config.tls.clients();
        let is_development = config.tls.certificate.is_none();
        let paths = match (&config.tls.certificate, &config.tls.key) {
            (Some(certificate), Some(key)) => {
                files::Paths { certificate: certificate.clone(), key: key.clone(), clients }
            }
            _ => {
                let folder = config.data_dir.join("tls");
                let now = UNIX_EPOCH + Duration::from_nanos(Clock::default().now().wall_nanos);
                let made = files::development(&folder, now).map_err(StartError::Certificate)?;
                files::Paths { clients, ..made }
            }
        };
        let tickets = Tickets::new().map_err(StartError::Certificate)?;
        let stamp = files::stamp(&paths);
        let files::Loaded { acceptor, fingerprint } =
            files::load(&paths, &tickets).map_err(StartError::Certificate)?;
        Ok(Self { paths, is_development, tickets, stamp, acceptor, fingerprint })
    }

    fn certificate(&self) -> Certificate {
        Certificate {
            path: self.paths.certificate.clone(),
            fingerprint: self.fingerprint.clone(),
            is_development: self.is_development,
        }
    }

    /// Another certificate, if its files changed and are good; those who are connected stay so.
    fn reload(&mut self, asked: bool) -> Option<Acceptor> {
        let stamp = files::stamp(&self.paths);
        if stamp == self.stamp && !asked {
            return None;
        }
        self.stamp = stamp;
        match files::load(&self.paths, &self.tickets) {
            Ok(loaded) => {
                let fingerprint = &loaded.fingerprint;
                tracing::info!(target: "tls", %fingerprint, "certificates were reloaded");
                Some(loaded.acceptor)
            }
            // Certificate and key are two files: when one of them is still the old one, the second change
            // comes soon.
            Err(error) => {
                tracing::error!(target: "tls", %error, "certificates were not reloaded; the old ones hold");
                None
            }
        }
    }
}

/// Who hears of changed files, and who says when to look.
struct Watched {
    senders: Vec<Sender<Message>>,
    tenants: Arc<Tenants>,
    reload: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

/// Looks at keys and certificates a few times a second and hands changed ones to every shard.
fn watch_files(
    config: &Config,
    watched: Watched,
    mut tls: Option<Tls>,
) -> Result<JoinHandle<()>, StartError> {
    let data_dir = config.data_dir.clone();
    let http_tenant = config.http_tenant.clone();
    let Watched { senders, tenants, reload, stop } = watched;
    let path = key::watched_path(&data_dir);
    let stamp = move || -> Option<(SystemTime, u64, u64)> {
        let metadata = fs::metadata(&path).ok()?;
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        Some((metadata.modified().ok()?, metadata.len(), inode))
    };
    let mut seen = stamp();
    let run = move || {
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(200));
            let asked = reload.swap(false, Ordering::Relaxed);
            if let Some(acceptor) = tls.as_mut().and_then(|tls| tls.reload(asked)) {
                for sender in &senders {
                    tell(sender, Message::Tls(acceptor.clone()));
                }
            }
            let now = stamp();
            if now == seen && !asked {
                continue;
            }
            match key::load(&data_dir) {
                Ok(keys) => {
                    seen = now;
                    for (index, sender) in senders.iter().enumerate() {
                        let keys = keys_of(&keys, http_tenant.as_deref(), &tenants, index);
                        tell(sender, Message::Keys(keys));
                    }
                    tracing::info!(target: "keys", keys = keys.entries.len(), "keys were reloaded");
                }
                // Half a file cannot be: it is replaced atomically. The old keys hold.
                Err(error) => {
                    seen = now;
                    tracing::error!(target: "keys", %error, "keys were not reloaded");
                }
            }
        }
    };
    std::thread::Builder::new().name("admin-keys".to_owned()).spawn(run).map_err(StartError::Thread)
}
