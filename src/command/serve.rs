//! `inrush serve`: start, say what a user needs to begin, wait for a signal, drain.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::Config;
use crate::journal::RecoveryReport;
use crate::server::{self, Ended, Started};

/// Exit codes beside 0.
const EXIT_START: u8 = 1;
const EXIT_POISONED: u8 = 3;
const EXIT_STORE_BEHIND: u8 = 4;

pub fn run(config: Config) -> ExitCode {
    let (lines, guard) = tracing_appender::non_blocking(std::io::stderr());
    let level = config.log_level.parse().unwrap_or(tracing::Level::INFO);
    tracing_subscriber::fmt().with_writer(lines).with_max_level(level).with_ansi(false).init();
    // Before any thread, so that every thread leaves these signals to this one.
    let signals = match Signals::new([SIGTERM, SIGINT, SIGHUP]) {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("inrush: cannot listen for signals: {error}");
            return ExitCode::from(EXIT_START);
        }
    };
    let shards = config.shards;
    let workers = config.store_workers;
    let data_dir = config.data_dir.clone();
    if !data_dir.join("journal").exists() {
        // Unlike `eprintln!`, which panics where standard error is a file on a full device.
        let _ = writeln!(
            std::io::stderr(),
            "preparing {} (journal segments are zeroed once) …",
            data_dir.display()
        );
    }
    let started = match server::start(config) {
        Ok(started) => started,
        Err(error) => {
            drop(guard);
            eprintln!("inrush: {error}");
            return ExitCode::from(EXIT_START);
        }
    };
    announce(&started, &data_dir, shards, workers);
    wait(started, signals)
}

/// Until a signal or the end of all shards; then drains. A second signal exits at once.
fn wait(started: Started, mut signals: Signals) -> ExitCode {
    let (sender, receiver) = mpsc::channel();
    let handle = signals.handle();
    let thread = std::thread::spawn(move || {
        let mut is_ending = false;
        for signal in signals.forever() {
            if signal != SIGHUP && std::mem::replace(&mut is_ending, true) {
                eprintln!("inrush: second signal, exiting at once");
                std::process::exit(128 + signal);
            }
            let _ = sender.send(signal);
        }
    });
    loop {
        match receiver.recv_timeout(Duration::from_millis(500)) {
            Ok(SIGHUP) => started.server.reload(),
            Ok(_) => {
                tracing::info!(target: "stop", "draining: no new requests, the rest is finished");
                break;
            }
            Err(_) if started.server.all_shards_ended() => break,
            Err(_) => {}
        }
    }
    let ended = started.server.drain();
    handle.close();
    let _ = thread.join();
    match ended {
        Ended::Drained => {
            tracing::info!(target: "stop", "stopped; everything acknowledged is in Parquet");
            ExitCode::SUCCESS
        }
        Ended::AllShardsPoisoned => {
            eprintln!(
                "inrush: the journal of every shard failed (see the log for the device's error); \
                 what was acknowledged is safe. Check the device, then start again"
            );
            ExitCode::from(EXIT_POISONED)
        }
        Ended::StoreBehind(error) => {
            eprintln!(
                "inrush: stopped, but not all rows are in Parquet yet: {error}. They are safe in \
                 the journal and follow at the next start"
            );
            ExitCode::from(EXIT_STORE_BEHIND)
        }
    }
}

fn announce(started: &Started, data_dir: &Path, shards: u32, workers: u32) {
    let mut out = std::io::stdout().lock();
    let _ = write_announcement(&mut out, started, data_dir, shards, workers);
    let _ = out.flush();
}

fn write_announcement(
    out: &mut impl Write,
    started: &Started,
    data_dir: &Path,
    shards: u32,
    workers: u32,
) -> std::io::Result<()> {
    writeln!(out, "inrush {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "data        {}", data_dir.display())?;
    writeln!(out, "shards      {shards}, store workers {workers}")?;
    let writes = if started.is_direct { "direct" } else { "buffered, with fdatasync" };
    writeln!(out, "ring        {}", started.ring)?;
    writeln!(out, "journal     writes are {writes}")?;
    writeln!(out, "{}", started.memory_bound)?;
    write_recovery(out, &started.recovery)?;
    for address in &started.https {
        writeln!(out, "listening   https://{address}")?;
    }
    for address in &started.http {
        writeln!(out, "listening   http://{address}")?;
    }
    if let Some(certificate) = &started.certificate {
        let kind = if certificate.is_development { " (for development)" } else { "" };
        writeln!(out, "certificate {}{kind}", certificate.path.display())?;
        writeln!(out, "            SHA-256 {}", certificate.fingerprint)?;
    }
    writeln!(out, "admin       http://{}/metrics /healthz /readyz", started.admin)?;
    writeln!(
        out,
        "endpoints   POST /api/v1/write (Prometheus remote write)  /api/v1/import/prometheus\n            \
         /v1/logs /v1/traces /v1/metrics (OTLP)  /json/logs  /firehose/logs\n            \
         /datadog/api/v1/series /datadog/api/v2/series /datadog/api/beta/sketches\n            \
         /v0.3/traces /v0.4/traces /v0.5/traces /v0.7/traces (Datadog)  gRPC: OTLP, grpc.health.v1"
    )?;
    match &started.first_key {
        Some(key) => {
            writeln!(
                out,
                "\nkey         {key}   (shown only now; more with `inrush key add NAME`)"
            )?;
            write_curl(out, started, key)?;
        }
        None => write_curl(out, started, "YOUR_KEY")?,
    }
    writeln!(
        out,
        "then read {}/store/logs/*/*.parquet with any Parquet reader\n",
        data_dir.display()
    )
}

/// A line to paste for each kind of listener.
fn write_curl(out: &mut impl Write, started: &Started, key: &str) -> std::io::Result<()> {
    let request = format!(
        "-H 'apikey: {key}' -H 'Content-Type: application/json' \
         -d '[{{\"message\":\"hello\",\"level\":\"info\"}}]'"
    );
    writeln!(out, "\ntry it:")?;
    if let (Some(address), Some(certificate)) = (started.https.first(), &started.certificate) {
        let trust = if certificate.is_development {
            format!("--cacert '{}' ", certificate.path.display())
        } else {
            String::new()
        };
        // Not by its number: certificates are for names, that of development for this one.
        let host = if address.ip().is_unspecified() || address.ip().is_loopback() {
            format!("localhost:{}", address.port())
        } else {
            address.to_string()
        };
        writeln!(out, "  curl {trust}{request} https://{host}/json/logs")?;
    }
    if let Some(address) = started.http.first() {
        writeln!(out, "  curl {request} http://{address}/json/logs")?;
    }
    Ok(())
}

fn write_recovery(out: &mut impl Write, report: &RecoveryReport) -> std::io::Result<()> {
    if report.torn_commits > 0 {
        writeln!(
            out,
            "recovery    a commit was cut off by the last stop and was never acknowledged; {} \
             whole entries of it were kept",
            report.salvaged_entries
        )?;
    }
    if report.damaged_ranges > 0 {
        writeln!(
            out,
            "recovery    DAMAGE: {} ranges of acknowledged data are damaged on the device; they \
             are copied to quarantine",
            report.damaged_ranges
        )?;
    }
    if report.pending_bytes > 0 {
        writeln!(
            out,
            "recovery    {} bytes of the journal are on their way into Parquet",
            report.pending_bytes
        )?;
    }
    Ok(())
}
