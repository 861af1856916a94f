//! Arguments, configuration, start, exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use inrush::command::{check, key, serve, tail};
use inrush::config::{self, ConfigError, Override};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Telemetry ingestion server: metrics, traces and logs in, durable before the reply, Parquet out.
#[derive(Parser)]
#[command(name = "inrush", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server. With nothing else it keeps its data in ./inrush-data and prints a key once.
    Serve(Serve),
    /// Manage ingestion keys; a running server sees changes within a second.
    #[command(subcommand)]
    Key(Key),
    /// Say what a captured body holds, or what is wrong with it.
    Check(Check),
    /// Show what a running server commits, live.
    Tail(Tail),
}

/// Show what a running server commits, live: a record is seen within a second of its reply. The server
/// pays for it only while somebody looks. Starts with what comes next; ends with Ctrl-C.
#[derive(Args)]
struct Tail {
    /// One signal alone [default: all]
    #[arg(value_parser = ["logs", "spans", "metrics"], value_name = "SIGNAL")]
    signal: Option<String>,
    /// Records of one tenant alone
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// A line of JSON each, named as in the tables
    #[arg(long)]
    json: bool,
    /// Admin listener of the server [default: that of the settings]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Settings file [default: ./inrush.toml if it exists]
    #[arg(long, env = "INRUSH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Say what a captured body holds, or what is wrong with it: the server's own decision, without one.
///
/// A refusal is told in the words of the server's reply, with the place of the fault and the bytes
/// around it. Header values and query strings are never printed.
#[derive(Args)]
#[command(after_help = "Exit codes: 0 all is well, 1 a body is refused, 2 wrong usage or a file \
that cannot be read, 3 accepted with rejected records.")]
struct Check {
    /// Bodies as they were sent, one a file; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Endpoint they were sent to: its path, perhaps with a query string
    #[arg(long = "as", value_name = "ENDPOINT")]
    endpoint: String,
    /// Header the request had, 'Name: value'; may be repeated. Without Content-Type the one of the
    /// endpoint's usual senders is assumed, without Content-Encoding the coding is told by the bytes
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    headers: Vec<String>,
}

/// Settings come from the file, then from INRUSH_… variables, then from flags; the last one wins.
#[derive(Args)]
struct Serve {
    /// Settings file [default: ./inrush.toml if it exists]
    #[arg(long, env = "INRUSH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of journal, store and keys [default: ./inrush-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Plaintext listener, HTTP/1.1 and HTTP/2; may be repeated [default: 127.0.0.1:8080, unless only
    /// --https is given]
    #[arg(long, value_name = "ADDR")]
    http: Vec<String>,
    /// TLS listener, HTTP/1.1 and HTTP/2; may be repeated [default: 0.0.0.0:8443, unless only --http is
    /// given]
    #[arg(long, value_name = "ADDR")]
    https: Vec<String>,
    /// Certificate chain of TLS listeners, PEM; read again when it changes [default: one for development,
    /// made in the data folder]
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Authorities whose client certificates are asked for, PEM; required unless --tls-client-auth says
    /// optional
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<String>,
    /// Client certificates: none, optional or required
    #[arg(long, value_name = "WHICH")]
    tls_client_auth: Option<String>,
    /// Metrics and health [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Cores that receive and acknowledge [default: a quarter of all, at least 1]
    #[arg(long, value_name = "N")]
    shards: Option<String>,
    /// Threads that write Parquet [default: the other cores]
    #[arg(long, value_name = "N")]
    store_workers: Option<String>,
    /// Tenant of requests without any credential on plaintext listeners, which must then be loopback:
    /// for tracers, which send no key. A wrong key is refused all the same
    #[arg(long, value_name = "NAME")]
    http_tenant: Option<String>,
    /// Allow --http-tenant on listeners that other machines reach
    #[arg(long)]
    http_tenant_anywhere: bool,
    /// Kernel interface: auto, uring or poll; auto is io_uring, and epoll where it is refused
    /// [default: auto]
    #[arg(long, value_name = "RING")]
    ring: Option<String>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Subcommand)]
enum Key {
    /// Add a key; without a secret one is made and printed once
    Add {
        /// Name of the key, unique
        name: String,
        /// Tenant it stands for [default: the key's name]
        #[arg(long, value_name = "T")]
        tenant: Option<String>,
        /// The secret itself (visible in the process list; better a file)
        #[arg(long, value_name = "VALUE", conflicts_with = "secret_file")]
        secret: Option<String>,
        /// File that holds the secret, or - for standard input
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        #[command(flatten)]
        place: KeyPlace,
    },
    /// List names and tenants; secrets are not kept
    List {
        #[command(flatten)]
        place: KeyPlace,
    },
    /// Remove a key
    Remove {
        name: String,
        #[command(flatten)]
        place: KeyPlace,
    },
}

#[derive(Args)]
struct KeyPlace {
    /// Data folder of the server [default: as the server finds it]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Settings file [default: ./inrush.toml if it exists]
    #[arg(long, env = "INRUSH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => match arguments.load() {
            Ok(config) => serve::run(config),
            Err(error) => fail(&error),
        },
        Command::Key(command) => match run_key(command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&*error),
        },
        Command::Tail(arguments) => match arguments.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&*error),
        },
        Command::Check(arguments) => {
            let Check { files, endpoint, headers } = arguments;
            let options = check::Options { files, endpoint, headers };
            match check::run(&options, &mut std::io::stdout().lock()) {
                Ok(finding) => ExitCode::from(finding.exit_code()),
                Err(error) => fail(&error),
            }
        }
    }
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("inrush: {error}");
    ExitCode::from(2)
}

impl Serve {
    fn load(&self) -> Result<config::Config, ConfigError> {
        let mut flags: Vec<Override> = Vec::new();
        let single: [(&'static [&'static str], &Option<String>); 11] = [
            (&["data_dir"], &self.data_dir),
            (&["admin"], &self.admin),
            (&["shards"], &self.shards),
            (&["store_workers"], &self.store_workers),
            (&["http_tenant"], &self.http_tenant),
            (&["ring", "mode"], &self.ring),
            (&["log_level"], &self.log_level),
            (&["tls", "certificate"], &self.tls_cert),
            (&["tls", "key"], &self.tls_key),
            (&["tls", "client_ca"], &self.tls_client_ca),
            (&["tls", "client_auth"], &self.tls_client_auth),
        ];
        for (place, value) in single {
            if let Some(value) = value {
                flags.push((place, vec![value.clone()]));
            }
        }
        if self.http_tenant_anywhere {
            flags.push((&["http_tenant_anywhere"], vec!["true".to_owned()]));
        }
        for (place, values) in [(&["http"] as &[&str], &self.http), (&["https"], &self.https)] {
            if !values.is_empty() {
                flags.push((place, values.clone()));
            }
        }
        load(self.config.as_deref(), &flags)
    }
}

impl Tail {
    fn run(self) -> Result<(), Box<dyn std::error::Error>> {
        let flags: Vec<Override> =
            self.admin.into_iter().map(|admin| (&["admin"] as &[&str], vec![admin])).collect();
        let admin = load(self.config.as_deref(), &flags)?.admin;
        let Self { signal, tenant, json, .. } = self;
        let options = tail::Options { admin, signal, tenant, json };
        Ok(tail::run(&options, &mut std::io::stdout().lock())?)
    }
}

/// Reads the file named, or `inrush.toml` beside us if there is one.
fn load(file: Option<&std::path::Path>, flags: &[Override]) -> Result<config::Config, ConfigError> {
    let default = std::path::Path::new("inrush.toml");
    let path = file.or_else(|| default.exists().then_some(default));
    let text = path
        .map(|path| {
            std::fs::read_to_string(path)
                .map_err(|error| ConfigError(format!("cannot read {}: {error}", path.display())))
        })
        .transpose()?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    config::load(path.zip(text.as_deref()), environment, flags)
}

impl KeyPlace {
    fn folder(&self) -> Result<PathBuf, ConfigError> {
        let flags: Vec<Override> = self
            .data_dir
            .iter()
            .map(|folder| (&["data_dir"] as &'static [&'static str], vec![folder.clone()]))
            .collect();
        load(self.config.as_deref(), &flags).map(|config| config.data_dir)
    }
}

fn run_key(command: Key) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Key::Add { name, tenant, secret, secret_file, place } => {
            let source = match (secret, secret_file) {
                (Some(secret), _) => key::SecretSource::Value(secret),
                (None, Some(file)) if file.as_os_str() == "-" => key::SecretSource::Stdin,
                (None, Some(file)) => key::SecretSource::File(file),
                (None, None) => key::SecretSource::Generated,
            };
            let added = key::add(&place.folder()?, &name, tenant.as_deref(), &source)?;
            eprintln!("added key {} for tenant {}", added.name, added.tenant);
            if let Some(generated) = added.generated {
                eprintln!("it is shown only now:");
                println!("{generated}");
            }
        }
        Key::List { place } => {
            for entry in key::list(&place.folder()?)? {
                println!("{}\t{}", entry.name, entry.tenant);
            }
        }
        Key::Remove { name, place } => {
            key::remove(&place.folder()?, &name)?;
            eprintln!("removed key {name}");
        }
    }
    Ok(())
}
