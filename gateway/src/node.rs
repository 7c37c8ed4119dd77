//! A running node, put together from its configuration: stores, log, trust, listeners, and the tasks beside them.

mod bootstrap;
pub mod close;
mod reload;
mod sweep;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_store::publisher::LOG_DIR;
use gateway_store::{DocKind, Objects, OpenOptions, Publisher, PublisherOptions, Records, Resumed, Uploads};
use policy::RuleSet;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::access::{self, Accesses};
use crate::admin::{Admin, AdminError, Metrics, MetricsError, Readiness};
use crate::clock::{self, Watch};
use crate::config::{Config, ConfigError};
use crate::drain::{Drain, Phase};
use crate::export::Settler;
use crate::files::Files;
use crate::gateway::{Denials, Gateway, Shared};
use crate::listener::{Door, Listener, ListenerError, ListenerOptions, Rules, RulesLayer};
use crate::rulesets::{self, RuleSets};
use crate::scrub::{self, Scrubbing};
use crate::secrets::{Secrets, SecretsError};
use crate::sessions::Sessions;
use crate::snapshot::{Catalog, SnapshotError};
use crate::trust::Trust;
use crate::vault::Vault;
use crate::witnessing::open::Own;
use crate::witnessing::rounds::Rounds;
use crate::witnessing::{Witnesses, Witnessing, WitnessingError};

/// How long a start waits for its first quorum, and how often it looks.
const QUORUM_WAIT: Duration = Duration::from_secs(2);
const QUORUM_LOOK: Duration = Duration::from_millis(10);

/// Why a node does not start. Nothing listens then.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that the configuration names cannot be used.
    #[error("{path}: {problem}")]
    File {
        /// Which.
        path: String,
        /// Why, and what would be right.
        problem: String,
    },
    /// A file that the configuration names is where it should be, and cannot be read.
    #[error("{}: {source}", path.display())]
    Unread {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The data directory cannot be opened.
    #[error("the data directory: {0}")]
    Records(#[from] gateway_store::OpenError),
    /// The object store cannot be opened.
    #[error("the data directory: {0}")]
    Objects(#[from] gateway_store::ObjectError),
    /// The uploads cannot be opened.
    #[error("the data directory: {0}")]
    Uploads(#[from] gateway_store::UploadError),
    /// A stored document does not parse.
    #[error("the data directory: {0}")]
    Catalog(#[from] SnapshotError),
    /// The stored documents cannot be read.
    #[error("the data directory: {0}")]
    Read(#[from] gateway_store::ReadError),
    /// The node's secrets cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The log cannot go on.
    #[error("the log: {0}")]
    Log(#[from] gateway_store::PublishError),
    /// The log's witnesses.
    #[error(transparent)]
    Witnessing(#[from] WitnessingError),
    /// The built-in rules do not load.
    #[error("the rules: {0}")]
    Rules(#[from] policy::RuleSetError),
    /// TLS cannot be set up.
    #[error("the server certificate: {0}")]
    Tls(#[from] certs::tls::TlsError),
    /// The port cannot be opened.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// The admin port cannot be opened.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Metrics cannot be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The first records cannot be written.
    #[error("the first participants or the law were not recorded: {0}")]
    Bootstrap(String),
    /// The operating system does not let us hear signals.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

impl NodeError {
    /// Whether the node's disk or a file on it failed: nothing that another configuration would mend.
    pub fn is_io(&self) -> bool {
        use gateway_store::{CommitError, ObjectError, UploadError};
        match self {
            Self::Records(error) => error.is_io(),
            Self::Read(error) | Self::Secrets(SecretsError::Read(error)) => error.is_io(),
            Self::Log(error) => error.is_io(),
            Self::Objects(error) => matches!(error, ObjectError::File { .. } | ObjectError::Full),
            Self::Uploads(error) => matches!(error, UploadError::File { .. } | UploadError::Full),
            Self::Unread { .. } | Self::Secrets(SecretsError::Io(_)) => true,
            Self::Secrets(SecretsError::Commit(error)) => {
                matches!(error, CommitError::Full | CommitError::Unavailable(_))
            }
            _ => false,
        }
    }
}

/// A node whose ports are open.
#[derive(Debug)]
pub struct Node {
    /// Of the mutual-TLS listener.
    pub address: SocketAddr,
    /// Of health and metrics.
    pub admin: SocketAddr,
    gateway: Shared,
    main: JoinHandle<()>,
}

impl Node {
    /// Everything that requests share.
    pub fn gateway(&self) -> &Shared {
        &self.gateway
    }

    /// Begins the drain and waits until nothing is left.
    pub async fn stop(self) {
        self.gateway.drain.begin();
        self.finished().await;
    }

    /// Waits until the node has drained, after a signal or [`Node::stop`].
    pub async fn finished(self) {
        if let Err(error) = self.main.await {
            tracing::error!(%error, "the node ended abruptly");
        }
    }
}

fn file_error(path: &std::path::Path, problem: impl std::fmt::Display) -> NodeError {
    NodeError::File { path: path.display().to_string(), problem: problem.to_string() }
}

fn read(path: &std::path::Path) -> Result<String, NodeError> {
    std::fs::read_to_string(path).map_err(|source| {
        let failing = gateway_store::durable::is_failing(&source);
        if failing { NodeError::Unread { path: path.to_owned(), source } } else { file_error(path, source) }
    })
}

/// Starts a node. When this returns both ports are open and requests are answered.
///
/// # Errors
/// [`NodeError`] before any port is bound, but for the ports' own errors.
pub async fn start(config: Config) -> Result<Node, NodeError> {
    raise_descriptors();
    let limits = config.limits.clone();
    let metrics = Metrics::install(&[crate::metrics::GATEWAY_METRICS])?;
    let rules = RuleSets::new(RuleSet::builtin()?);
    let identity = certs::tls::ServerIdentity::from_pem(&read(&config.server.cert)?, &read(&config.server.key)?)?;

    let options = OpenOptions {
        taxes: config.taxes()?,
        ballast_bytes: limits.ballast_bytes,
        unpublished_max: Some(limits.unpublished_entries_max),
        ..OpenOptions::new(clock::now())
    };
    let (records, recovered) = Records::open(&config.data, options)?;
    if let Some(latest) = recovered.latest {
        clock::record(latest);
    }
    if !recovered.clean {
        tracing::warn!(
            in_doubt = recovered.in_doubt.len(),
            log_size = recovered.log_size,
            "recovered after an unclean end"
        );
    }
    let objects = Objects::open(&config.data)?;
    let uploads = Uploads::open(&config.data)?;
    let secrets = config.data.join("secrets");
    let vault = Vault::open(records.clone(), &config.kek_folder(), &secrets.join("seal.key"), clock::now())?;
    let secrets = Secrets::open(&secrets, vault)?;
    let catalog = Arc::new(load(&records)?);
    let gauges = Arc::new(Notify::new());
    {
        let (catalog, gauges) = (Arc::clone(&catalog), Arc::clone(&gauges));
        records.on_commit(move |commit| {
            clock::record(commit.committed.at);
            if let Err(error) = catalog.apply(&commit.docs) {
                // What was just written does not parse: memory and store would drift apart from here.
                tracing::error!(%error, "a recorded document does not parse");
                std::process::abort();
            }
            if commit.docs.iter().any(|doc| matches!(doc.kind, DocKind::Review | DocKind::Mechanism)) {
                // Counting what is due takes its time, and this is the thread that makes commits durable.
                gauges.notify_one();
            }
        });
    }
    bootstrap::participants(&config, &records, &catalog).await?;
    let published = rulesets::publish_law(&records, &catalog, rules.law()).await;
    published.map_err(|error| NodeError::Bootstrap(error.to_string()))?;
    let publishing = PublisherOptions {
        next_key_file: config.next_log_key.clone(),
        now: clock::now(),
        adopt_missing_guard: config.adopt_missing_guard,
        ..PublisherOptions::new(config.log_key.clone(), config.guard.clone())
    };
    let log = Publisher::resume(&records, &publishing)?;
    let witnesses = witnesses(&config, &log).await?;
    let publisher = log.start()?;
    // Only now: a key that nobody vouched for has been refused by the log itself.
    if let Some(witnesses) = &witnesses {
        witnesses.names(publisher.key())?;
    }
    let (witnessing, rounds, own_witnesses) = witnessing(&config, witnesses, &publisher);

    let options = ListenerOptions {
        connections_max: limits.connections_max,
        per_trust_domain_max: limits.connections_per_participant_max,
        // One address may be a whole institution's way out, and a test's loopback.
        unverified_per_address_max: limits.connections_max,
        handshake_timeout: Duration::from_secs(limits.handshake_seconds),
        preface_timeout: Duration::from_secs(limits.handshake_seconds),
        header_read_timeout: Duration::from_secs(limits.handshake_seconds),
        stall_timeout: config.idle(),
        clock: Arc::new(clock::now),
        ..ListenerOptions::default()
    };
    let listener = Listener::bind(config.listen, options)?;
    let address = listener.local_addr();
    let admin = Admin::bind(config.admin).await?;
    let admin_address = admin.local_addr();

    let trust = Trust::new(&catalog.snapshot(), listener.connections());
    let verifier = certs::rustls_verifier::ClientVerifier::new(Arc::clone(trust.shared()));
    let tls = certs::tls::server_config(Arc::clone(&identity), verifier)?;
    let drain = Drain::new(
        Duration::from_secs(limits.drain_seconds),
        Duration::from_secs(limits.drain_seconds + limits.drain_cut_seconds),
    );
    let scrubbing = Scrubbing::new(scrub::last(&catalog.snapshot()), publisher.published(), publisher.problem());
    let (settler, settling) = Settler::new(records.clone());
    let gateway: Shared = Arc::new(Gateway {
        files: Arc::new(Files::new(objects)),
        uploads,
        catalog,
        rules,
        secrets,
        sessions: Arc::new(Sessions::default()),
        settler,
        tasks: TaskTracker::new(),
        intake: tokio::sync::Mutex::new(()),
        counting: tokio::sync::Mutex::new(()),
        counter_turn: tokio::sync::Mutex::new(()),
        retaining: tokio::sync::Mutex::new(()),
        erasing: tokio::sync::Mutex::new(()),
        drain: drain.clone(),
        trust: trust.clone(),
        log_vkey: publisher.key().to_string(),
        log_keys: publisher.keys().to_vec(),
        witnessing,
        scrubbing,
        clock: Watch::new(),
        denials: Denials::default(),
        accesses: Accesses::default(),
        gauges,
        records: records.clone(),
        config,
    });

    let door = Door { tls, trust: Arc::clone(trust.shared()) };
    let service = service(&gateway, address);
    let readiness = readiness(&gateway, &publisher);
    let reload = Arc::new(Notify::new());
    let signals = crate::drain::signals().map_err(NodeError::Signals)?;
    let running = Running {
        listener,
        admin,
        door,
        service,
        readiness,
        metrics,
        publisher,
        signals,
        reload,
        identity,
        rounds,
        own_witnesses,
    };
    let main = tokio::spawn(running.run(Arc::clone(&gateway), settling));
    // Whoever asks first need not be told to come again because the witnesses have not been asked yet.
    let quorum = async {
        while gateway.witnessing.may_leave(tokio::time::Instant::now()).is_err() {
            tokio::time::sleep(QUORUM_LOOK).await;
        }
    };
    let _ = tokio::time::timeout(QUORUM_WAIT, quorum).await;
    Ok(Node { address, admin: admin_address, gateway, main })
}

/// The log's witnesses, who have been asked whether they have seen more of it than is here: nothing is signed before.
async fn witnesses(config: &Config, log: &Resumed) -> Result<Option<Witnesses>, WitnessingError> {
    let Some(section) = &config.witness else { return Ok(None) };
    let mut witnesses = Witnesses::open(section).await?;
    witnesses.compare(&config.data.join(LOG_DIR), &log.signed()?).await?;
    Ok(Some(witnesses))
}

/// What is known of the witnesses, and the rounds that find out more.
fn witnessing(
    config: &Config,
    witnesses: Option<Witnesses>,
    publisher: &Publisher,
) -> (Witnessing, Option<Rounds>, Option<Own>) {
    let (Some(section), Some(witnesses)) = (&config.witness, witnesses) else {
        return (Witnessing::default(), None, None);
    };
    let Witnesses { policy, policy_text, asked, own, .. } = witnesses;
    let (published, folder) = (publisher.published(), config.data.join(LOG_DIR));
    let witnessing = Witnessing::new(
        section,
        (policy, policy_text),
        published.clone(),
        publisher.witnessed(),
        // Not held back by the log: a witness has a clock of its own.
        (clock::wall(), tokio::time::Instant::now()),
    );
    let rounds = Rounds { asked, folder, published, sink: publisher.sink(), lost_after: section.lost_after() };
    (witnessing, Some(rounds), Some(own))
}

/// Takes every file descriptor that the system allows: each connection is one, and so is each file that is opened.
fn raise_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write the struct that they are given and keep nothing of it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

fn load(records: &Records) -> Result<Catalog, NodeError> {
    let mut docs = Vec::new();
    for kind in DocKind::ALL {
        let rows = records.read(|reader| reader.docs(kind))?;
        docs.extend(rows.into_iter().map(|row| (kind, row.id, row.revision, row.body)));
    }
    Ok(Catalog::load(docs.into_iter())?)
}

/// The whole of what a connection's requests go through, outermost first.
fn service(gateway: &Shared, address: SocketAddr) -> axum::Router {
    let port = address.port();
    let own = ["localhost", "127.0.0.1"].map(|name| format!("https://{name}:{port}"));
    let origins = gateway.config.origins.iter().cloned().chain(own);
    crate::rest::router(Arc::clone(gateway))
        .merge(crate::door::flight::router(gateway))
        // Host, Origin and Sec-Fetch-Site are judged before anything looks at the path.
        .layer(RulesLayer::new(Rules::new(origins)))
}

fn readiness(gateway: &Shared, publisher: &Publisher) -> Readiness {
    let drain = gateway.drain.clone();
    let problem = publisher.problem();
    let trust = gateway.trust.clone();
    let halted = gateway.records.halted();
    let (witnessing, watch, scrubbing) = (gateway.witnessing.clone(), gateway.clock.clone(), gateway.scrubbing.clone());
    Readiness::new()
        .with("drain", move || if drain.is_serving() { Ok(()) } else { Err("stopping".to_owned()) })
        .with("disk", move || if *halted.borrow() { Err("full: nothing new leaves".to_owned()) } else { Ok(()) })
        .with("log", move || problem.borrow().clone().map_or(Ok(()), Err))
        .with("witness", move || witnessing.check(tokio::time::Instant::now()))
        .with("scrub", move || scrubbing.may_leave().map_err(|damaged| format!("records_damaged: {damaged}")))
        .with("clock", move || watch.may_leave().map_err(|behind| behind.to_string()))
        .with("crl", move || {
            let now = clock::now();
            let stale = trust.shared().load().crls().filter(|crl| crl.next_update <= now).count();
            if stale == 0 { Ok(()) } else { Err(format!("{stale} revocation lists have ended")) }
        })
}

/// What runs until the node has drained.
struct Running {
    listener: Listener,
    admin: Admin,
    door: Door,
    service: axum::Router,
    readiness: Readiness,
    metrics: Metrics,
    publisher: Publisher,
    signals: crate::drain::Signals,
    reload: Arc<Notify>,
    identity: Arc<certs::tls::ServerIdentity>,
    rounds: Option<Rounds>,
    own_witnesses: Option<Own>,
}

impl Running {
    async fn run(self, gateway: Shared, settling: impl Future<Output = ()> + Send + 'static) {
        let drain = gateway.drain.clone();
        let mut tasks = tokio::task::JoinSet::new();
        let settling = tokio::spawn(settling);
        tasks.spawn(sweep::run(Arc::clone(&gateway)));
        tasks.spawn(access::run(Arc::clone(&gateway)));
        tasks.spawn(rulesets::run(Arc::clone(&gateway)));
        tasks.spawn(gateway.clock.clone().run(Arc::clone(&gateway)));
        tasks.spawn(crate::vault::reseal::run(Arc::clone(&gateway)));
        if let Some(rounds) = self.rounds {
            tasks.spawn(rounds.run(Arc::clone(&gateway)));
        }
        tasks.spawn(reload::run(Arc::clone(&gateway), Arc::clone(&self.identity), Arc::clone(&self.reload)));
        {
            let (drain, reload, signals) = (drain.clone(), Arc::clone(&self.reload), self.signals);
            tasks.spawn(async move {
                signals.run(drain, reload).await;
            });
        }
        let ended = Arc::new(Notify::new());
        {
            let ended = Arc::clone(&ended);
            let (admin, readiness, metrics) = (self.admin, self.readiness, self.metrics);
            tasks.spawn(async move { admin.run(readiness, metrics, ended.notified_owned()).await });
        }
        cut_at_drain(&gateway, &mut tasks);
        let service = self.service;
        self.listener.run(self.door, move |_| service.clone(), drain).await;

        // No connection is open any more: what they left behind is written, then the log is brought up to date.
        gateway.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(2), gateway.tasks.wait()).await;
        ended.notify_waiters();
        ended.notify_one();
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        if let Some(own) = self.own_witnesses {
            own.stop().await;
        }
        if let Err(problem) = access::write(&gateway, clock::now()).await {
            tracing::error!(error = problem.detail, "the last reads of the log were not written");
        }
        let records = gateway.records.clone();
        // Streams are gone, and with them every settler but the gateway's own.
        gateway.settler.finish();
        let _ = tokio::time::timeout(Duration::from_secs(5), settling).await;
        let publisher = self.publisher;
        let _ = tokio::task::spawn_blocking(move || {
            publisher.close();
            records.close();
        })
        .await;
    }
}

/// At the drain's second phase every stream ends: what has been sent is good, and its consumer resumes elsewhere or later.
fn cut_at_drain(gateway: &Shared, tasks: &mut tokio::task::JoinSet<()>) {
    let gateway = Arc::clone(gateway);
    tasks.spawn(async move {
        gateway.drain.reached(Phase::Cutting).await;
        gateway.sessions.end_all("the gateway is stopping: resume later").await;
    });
}
