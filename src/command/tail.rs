//! `inrush tail`: what a running server commits, live, one line a record.
//!
//! Place: a client of the admin listener's `/tail`.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value};

#[derive(Clone, Debug)]
pub struct Options {
    pub admin: SocketAddr,
    /// `logs`, `spans` or `metrics`; none is all.
    pub signal: Option<String>,
    pub tenant: Option<String>,
    /// Lines as they come, instead of for people.
    pub json: bool,
}

/// Why nothing can be shown, in words that say what to do.
#[derive(Debug)]
pub enum TailError {
    Unreachable {
        admin: SocketAddr,
        error: ureq::Error,
    },
    Refused {
        text: String,
    },
    Output(io::Error),
    /// The stream ended: the server was stopped.
    Ended,
}

impl std::fmt::Display for TailError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable { admin, error } => write!(
                formatter,
                "no server answers at http://{admin}/tail ({error}): start one with `inrush serve`, or \
                 name its admin listener with --admin"
            ),
            Self::Refused { text } => write!(formatter, "the server refuses: {text}"),
            Self::Output(error) => write!(formatter, "cannot write: {error}"),
            Self::Ended => formatter.write_str("the server has stopped"),
        }
    }
}

impl std::error::Error for TailError {}

/// Shows records until the server or the reader of `out` ends.
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), TailError> {
    let admin = options.admin;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(5)))
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.get(format!("http://{admin}/tail"));
    for (name, text) in [("signal", &options.signal), ("tenant", &options.tenant)] {
        if let Some(text) = text {
            request = request.query(name, text);
        }
    }
    let mut reply = request.call().map_err(|error| TailError::Unreachable { admin, error })?;
    if reply.status() != 200 {
        let text = reply.body_mut().read_to_string().unwrap_or_default();
        return Err(TailError::Refused { text: text.trim_end().to_owned() });
    }
    let mut lines = BufReader::new(reply.body_mut().as_reader());
    let mut line = String::new();
    loop {
        line.clear();
        // An error here is a stream that was cut off: no other way to learn of the server's end.
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return Err(TailError::Ended);
        }
        if line.trim_end().is_empty() {
            continue;
        }
        let shown = if options.json { write_raw(&line, out) } else { write_readable(&line, out) };
        // What came together is shown together.
        let flushed =
            shown.and_then(|()| if lines.buffer().is_empty() { out.flush() } else { Ok(()) });
        match flushed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(TailError::Output(error)),
        }
    }
}

fn write_raw(line: &str, out: &mut impl Write) -> io::Result<()> {
    out.write_all(line.as_bytes())
}

fn write_readable(line: &str, out: &mut impl Write) -> io::Result<()> {
    match serde_json::from_str(line) {
        Ok(Value::Object(record)) => writeln!(out, "{}", readable(&record)),
        _ => write_raw(line, out),
    }
}

/// `12:00:00.250  acme  shop  ERROR payment failed  {user=7}`
fn readable(record: &Map<String, Value>) -> String {
    let field = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut text = String::new();
    if field("Signal") == "skipped" {
        let bytes = record.get("JournalBytes").and_then(Value::as_u64).unwrap_or_default();
        return format!("… {bytes} bytes of the journal were passed over, too fast to be shown");
    }
    let time = field("Timestamp");
    let clock = time.split_once('T').map_or(time, |(_, clock)| clock.trim_end_matches('Z'));
    let clock = clock.get(..clock.len().min(12)).unwrap_or(clock);
    let _ = write!(text, "{clock:<12}  {}", field("Tenant"));
    if let Some(service) = record.get("ServiceName") {
        let _ = write!(text, "  {}", plain(service));
    }
    match field("Signal") {
        "logs" => {
            let severity = field("SeverityText");
            if !severity.is_empty() {
                let _ = write!(text, "  {severity}");
            }
            let _ = write!(text, "  {}", plain(record.get("Body").unwrap_or(&Value::Null)));
            push_map(&mut text, record.get("LogAttributes"));
        }
        "spans" => {
            let nanos = record.get("Duration").and_then(Value::as_u64).unwrap_or_default();
            let _ = write!(
                text,
                "  {} {}  {}  trace {} span {}",
                field("SpanKind"),
                field("SpanName"),
                duration(nanos),
                field("TraceId"),
                field("SpanId")
            );
            if field("StatusCode") == "Error" {
                let _ = write!(text, "  ERROR {}", field("StatusMessage"));
            }
            push_map(&mut text, record.get("SpanAttributes"));
        }
        _ if field("Kind") == "metadata" => {
            let (family, kind) = (field("MetricFamily"), field("MetricType"));
            let _ = write!(text, "  {family} is a {kind}: {}", field("Help"));
        }
        _ => {
            let _ = write!(text, "  {}", field("MetricName"));
            push_map(&mut text, record.get("Labels"));
            for name in ["Value", "Count", "Sum"] {
                if let Some(value) = record.get(name) {
                    let name = if name == "Value" { "=" } else { name };
                    let _ = write!(text, " {name} {}", plain(value));
                }
            }
            let unit = field("Unit");
            if !unit.is_empty() {
                let _ = write!(text, " {unit}");
            }
            if field("Kind") != "sample" {
                let _ = write!(text, "  ({})", field("Kind"));
            }
        }
    }
    text
}

/// Text without its quotes and with what would disturb a terminal escaped; all else as JSON.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.trim_end().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    text.chars()
        .flat_map(|char| {
            let escaped = char.is_control().then(|| char.escape_default());
            let kept = escaped.is_none().then_some(char);
            escaped.into_iter().flatten().chain(kept)
        })
        .collect()
}

fn push_map(text: &mut String, map: Option<&Value>) {
    let Some(Value::Object(map)) = map else { return };
    let pairs: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{}={}", plain(&Value::String(key.clone())), plain(value)))
        .collect();
    let _ = write!(text, "  {{{}}}", pairs.join(" "));
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn duration(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.1} us", nanos as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        _ => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn shown(line: &str) -> String {
        let mut out = Vec::new();
        write_readable(line, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn records_become_one_line_each() {
        assert_eq!(
            shown(
                r#"{"Signal":"logs","Timestamp":"2026-01-02T03:04:05.678901Z","Tenant":"acme","SeverityText":"WARN","Body":"two\nlines\u001b[31m\n","LogAttributes":{"user":7,"path":"/x"},"ServiceName":"shop"}"#
            ),
            "03:04:05.678  acme  shop  WARN  two\\nlines\\u{1b}[31m  {path=/x user=7}\n"
        );
        assert_eq!(
            shown(
                r#"{"Signal":"spans","Timestamp":"2026-01-02T03:04:05Z","Tenant":"acme","SpanName":"GET /","SpanKind":"Server","Duration":1500000,"StatusCode":"Error","StatusMessage":"bad","TraceId":"aa","SpanId":"bb"}"#
            ),
            "03:04:05      acme  Server GET /  1.5 ms  trace aa span bb  ERROR bad\n"
        );
        assert_eq!(
            shown(
                r#"{"Signal":"metrics","Timestamp":"2026-01-02T03:04:05Z","Tenant":"acme","Kind":"sample","MetricName":"up","MetricType":"gauge","Labels":{"job":"try"},"Value":1}"#
            ),
            "03:04:05      acme  up  {job=try} = 1\n"
        );
        assert_eq!(shown("not JSON\n"), "not JSON\n");
    }
}
