//! `inrush check FILE… --as ENDPOINT`: what a captured body holds, or what is wrong with it, in words.
//!
//! ```text
//! file, headers ─ head ─ route ─ media, codings ─ content ─ decode(validate) ─ decode(summary) ─ words
//!                 └──────────────── the server's own code ─────────────────┘
//! ```
//!
//! Needs no server. The decision is the one that the server would make, and a refusal is told in the
//! sentence of its reply; the second walk only looks at records that the first one allowed.

mod blocks;
mod excerpt;
mod request;
mod summary;
mod words;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use self::excerpt::Place;
use self::request::{Body, Request, RequestError};
use self::summary::Summary;
use self::words::counted;
use crate::batch::Validating;
use crate::content::{self, Arena, ContentError};
use crate::decode::{self, DecodeError, Scratch, Verdict};
use crate::envelope::{Codings, Envelope, RequestFields, Route};
use crate::ingest::{self, Refusal};
use crate::outcome::{self, Cause, RequestEcho};
use crate::ring::clock::Clock;
use crate::route;

/// What the command line says.
pub struct Options {
    /// `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Path of an endpoint, perhaps with a query string. May hold a key: never printed.
    pub endpoint: String,
    /// `Name: value`, as the request had them. May hold a key: never printed.
    pub headers: Vec<String>,
}

/// How a file came out; the exit code is the worst of all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    Fine,
    RejectedInPart,
    Refused,
    Unreadable,
}

impl Finding {
    const ALL: [Self; 4] = [Self::Fine, Self::RejectedInPart, Self::Refused, Self::Unreadable];

    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Refused => 1,
            Self::Unreadable => 2,
            Self::RejectedInPart => 3,
        }
    }

    const fn of(verdict: &Verdict) -> Self {
        if verdict.rejected > 0 { Self::RejectedInPart } else { Self::Fine }
    }

    const fn rank(self) -> usize {
        match self {
            Self::Fine => 0,
            Self::RejectedInPart => 1,
            Self::Refused => 2,
            Self::Unreadable => 3,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::RejectedInPart => "accepted in part",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }
}

/// As much of a body without a bound as tells its coding.
const START_SIZE: u64 = 4096;

/// Checks every file and writes one block for each. `Err` is wrong usage, or an output that is gone.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Finding, CheckError> {
    let request = Request::new(&options.endpoint, &options.headers).map_err(CheckError::Request)?;
    let mut check = Check {
        request,
        arena: Arena::default(),
        scratch: Scratch::default(),
        progress: Progress::new(options.files.len()),
    };
    let mut counts = [0_u64; Finding::ALL.len()];
    let mut worst = Finding::Fine;
    for (index, file) in options.files.iter().enumerate() {
        check.progress.begin(index);
        let finding = check.file(file, out).map_err(CheckError::Output)?;
        if let Some(count) = counts.get_mut(finding.rank()) {
            *count += 1;
        }
        if finding.rank() > worst.rank() {
            worst = finding;
        }
    }
    if options.files.len() > 1 {
        let parts: Vec<String> = Finding::ALL
            .iter()
            .zip(counts)
            .filter(|&(_, count)| count > 0)
            .map(|(finding, count)| format!("{count} {}", finding.words()))
            .collect();
        let files = counted(options.files.len() as u64, "file", "files");
        writeln!(out, "{files}: {}", parts.join(", ")).map_err(CheckError::Output)?;
    }
    Ok(worst)
}

/// Why nothing could be checked.
#[derive(Debug)]
pub enum CheckError {
    Request(RequestError),
    Output(io::Error),
}

impl std::fmt::Display for CheckError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(error) => write!(formatter, "{error}"),
            Self::Output(error) => write!(formatter, "cannot write what was found: {error}"),
        }
    }
}

impl std::error::Error for CheckError {}

/// The stations, with the memory they reuse from file to file.
struct Check {
    request: Request,
    arena: Arena,
    scratch: Scratch,
    progress: Progress,
}

/// What the server would say to a body.
enum Answer {
    Accepted { verdict: Verdict, summary: Summary, payload_size: u64 },
    Refused(Cause),
}

impl Check {
    fn file(&mut self, path: &Path, out: &mut impl Write) -> io::Result<Finding> {
        let name = words::printable(&path.to_string_lossy());
        if self.request.is_cut() {
            return self.cut_file(path, &name, out);
        }
        let bytes = match read(path, self.request.read_limit()) {
            Ok(bytes) => bytes,
            Err(error) => {
                writeln!(out, "{name}: unreadable: {error}")?;
                return Ok(Finding::Unreadable);
            }
        };
        self.progress.add(bytes.len() as u64);
        let arrival_nanos = self.progress.clock.now().wall_nanos;
        let body = self.request.body(path, &bytes);
        let answer = self.answer(&body, &bytes, arrival_nanos);
        match answer {
            Answer::Accepted { verdict, summary, payload_size } => {
                let finding = Finding::of(&verdict);
                let what = summary.headline(&verdict);
                writeln!(out, "{name}: {}: {what}", finding.words())?;
                write_request(&body, bytes.len() as u64, Some(payload_size), out)?;
                write_notes(&body, &bytes, out)?;
                write_rejects(&verdict, out)?;
                if let Some((_, offset)) = verdict.first_reject {
                    self.write_payload(&body, &bytes, offset, out)?;
                }
                summary.write(&verdict, out)?;
                if verdict.kept() == 0 && verdict.rejected == 0 {
                    self.write_other_routes(&body, &bytes, arrival_nanos, out)?;
                } else if body.route == Route::JsonLogs {
                    self.write_delivery(&body, &bytes, arrival_nanos, out)?;
                }
                Ok(finding)
            }
            Answer::Refused(cause) => {
                let (status, sentence) = outcome::explain(&body.echo(), &cause);
                writeln!(out, "{name}: refused with {status}: {sentence}")?;
                write_request(&body, bytes.len() as u64, None, out)?;
                write_notes(&body, &bytes, out)?;
                self.write_excerpt(&body, &bytes, &cause, out)?;
                if let Cause::Decode(_) = cause {
                    self.write_other_routes(&body, &bytes, arrival_nanos, out)?;
                }
                Ok(Finding::Refused)
            }
        }
    }

    /// A body that the server cuts into blocks: any size, in the memory of one block.
    fn cut_file(&mut self, path: &Path, name: &str, out: &mut impl Write) -> io::Result<Finding> {
        let mut file;
        let mut standard;
        let input: &mut dyn Read = if path.as_os_str() == "-" {
            standard = io::stdin().lock();
            &mut standard
        } else {
            match File::open(path) {
                Ok(opened) => {
                    file = opened;
                    &mut file
                }
                Err(error) => {
                    writeln!(out, "{name}: unreadable: {error}")?;
                    return Ok(Finding::Unreadable);
                }
            }
        };
        let mut start = Vec::new();
        let read = (&mut *input).take(START_SIZE).read_to_end(&mut start);
        let body = self.request.body(path, &start);
        let walked = match (read, body.codings) {
            (Err(error), _) => Err(error),
            (_, Err(cause)) => {
                let (status, sentence) = outcome::explain(&body.echo(), &cause);
                writeln!(out, "{name}: refused with {status}: {sentence}")?;
                return Ok(Finding::Refused);
            }
            (Ok(_), Ok(codings)) => {
                // No bytes are an empty request, whatever coding a sender names for them.
                let codings = ingest::true_codings(body.route, codings, &start);
                let mut whole = start.as_slice().chain(input);
                let (scratch, arena) = (&mut self.scratch, &mut self.arena);
                blocks::walk(&body, codings, &mut whole, scratch, arena, &mut self.progress)
            }
        };
        let walked = match walked {
            Ok(walked) => walked,
            Err(error) => {
                writeln!(out, "{name}: unreadable: {error}")?;
                return Ok(Finding::Unreadable);
            }
        };
        let (verdict, what) = (&walked.verdict, walked.summary.headline(&walked.verdict));
        let finding = match &walked.fault {
            None => {
                let finding = Finding::of(verdict);
                writeln!(out, "{name}: {}: {what}", finding.words())?;
                write_request(&body, walked.coded_size, Some(walked.payload_size), out)?;
                finding
            }
            Some((cause, place)) => {
                let echo = RequestEcho { kept: verdict.kept(), ..body.echo() };
                let (status, sentence) = outcome::explain(&echo, cause);
                writeln!(out, "{name}: refused with {status}: {sentence}")?;
                write_request(&body, walked.coded_size, None, out)?;
                if let Some(place) = place {
                    place.write(out)?;
                }
                if let Some(kind) = request::resembles(&start)
                    && matches!(cause, Cause::Content(_))
                    && body
                        .codings
                        .is_ok_and(|codings| request::outermost(codings).0[0].name() != kind)
                {
                    writeln!(out, "    note: it begins like {kind}")?;
                }
                if verdict.kept() > 0 {
                    writeln!(out, "    in front of it: {what}")?;
                }
                Finding::Refused
            }
        };
        write_rejects(verdict, out)?;
        for reject in &walked.rejects {
            writeln!(out, "    line {}: {}", reject.line, reject.cause)?;
            reject.place.write(out)?;
        }
        walked.summary.write(verdict, out)?;
        Ok(finding)
    }

    /// The way of a request from its head to the verdict.
    fn answer(&mut self, body: &Body, bytes: &[u8], arrival_nanos: u64) -> Answer {
        let route = body.route;
        let codings = match body.codings {
            Ok(codings) => codings,
            Err(cause) => return Answer::Refused(cause),
        };
        if bytes.len() > route::body_limit(route) {
            return Answer::Refused(Cause::BodyTooLarge);
        }
        let codings = ingest::true_codings(route, codings, bytes);
        let envelope = envelope(route, codings, arrival_nanos, &body.fields);
        let limit = route::payload_limit(route);
        let (arena, scratch) = (&mut self.arena, &mut self.scratch);
        let walked = ingest::walk(&envelope, bytes, limit, arena, scratch, &mut Validating);
        let verdict = match walked {
            Ok(verdict) => verdict,
            Err(Refusal::Cause(cause)) => return Answer::Refused(cause),
            Err(Refusal::Large) => return Answer::Refused(Cause::PayloadTooLarge),
        };
        let mut summary = Summary::new(route, arrival_nanos);
        let walked = ingest::walk(&envelope, bytes, limit, arena, scratch, &mut summary);
        // What the store would meet behind the acknowledgement.
        if walked.is_err() {
            return Answer::Refused(Cause::Internal);
        }
        let payload_size =
            content::decode(codings, bytes, arena, limit).map_or(0, |payload| payload.len() as u64);
        Answer::Accepted { verdict, summary, payload_size }
    }

    /// The bytes around a place in the payload.
    fn write_payload(
        &mut self,
        body: &Body,
        bytes: &[u8],
        offset: u64,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Ok(codings) = body.codings else { return Ok(()) };
        let codings = ingest::true_codings(body.route, codings, bytes);
        let limit = route::payload_limit(body.route);
        if let Ok(payload) = content::decode(codings, bytes, &mut self.arena, limit) {
            Place::around("payload", payload, offset, 0).write(out)?;
            if let Some(kind) = request::resembles(payload)
                && !(kind == "JSON" && body.is_json())
            {
                writeln!(out, "    note: the payload begins like {kind}")?;
            }
        }
        Ok(())
    }

    /// The bytes around a fault: of the file for a content coding, else of the payload.
    fn write_excerpt(
        &mut self,
        body: &Body,
        bytes: &[u8],
        cause: &Cause,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Ok(codings) = body.codings else { return Ok(()) };
        let codings = ingest::true_codings(body.route, codings, bytes);
        let limit = route::payload_limit(body.route);
        match *cause {
            Cause::Content(error) => {
                let coding = request::outermost(codings);
                let mut outer = Arena::default();
                // Of two codings the outer one may be sound: then the fault is in what it holds.
                let (coded, what) = match content::decode(coding, bytes, &mut outer, limit) {
                    Ok(inner) if codings != coding => (inner, "inside the outer coding"),
                    _ => (bytes, "file"),
                };
                let at = match error {
                    ContentError::Truncated => Some(coded.len() as u64),
                    other => other.offset(),
                };
                if let Some(at) = at {
                    Place::around(what, coded, at, 0).write(out)?;
                }
                if let Some(kind) = request::resembles(coded)
                    && kind != coding.0[0].name()
                {
                    writeln!(out, "    note: it begins like {kind}")?;
                }
                let plain = envelope(body.route, Codings::IDENTITY, 0, &body.fields);
                let decoded = decode::decode(&plain, coded, &mut self.scratch, &mut Validating);
                if let Ok(verdict) = decoded
                    && verdict.kept() > 0
                    && verdict.rejected == 0
                {
                    let what = words::kept(&verdict);
                    writeln!(out, "    note: it is not compressed; as it is it holds {what}")?;
                }
            }
            Cause::Decode(DecodeError { offset, .. }) => {
                self.write_payload(body, bytes, offset, out)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Endpoints that would take the same payload and find something in it.
    fn write_other_routes(
        &mut self,
        body: &Body,
        bytes: &[u8],
        arrival_nanos: u64,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Ok(codings) = body.codings else { return Ok(()) };
        let codings = ingest::true_codings(body.route, codings, bytes);
        let limit = route::payload_limit(body.route);
        let Ok(payload) = content::decode(codings, bytes, &mut self.arena, limit) else {
            return Ok(());
        };
        let scratch = &mut self.scratch;
        let is_text = matches!(payload.trim_ascii_start().first(), Some(b'[' | b'{' | 0xef));
        let mut is_found = false;
        for reading @ (route, media) in request::OTHER_READINGS {
            let is_same = route == body.route && body.is_media(media);
            // There the bytes decide, whatever the type says.
            let is_misnamed =
                route == Route::DatadogTracesV04 && (media == request::JSON) != is_text;
            if is_same || is_misnamed {
                continue;
            }
            is_found |= write_reading(reading, payload, arrival_nanos, scratch, out)?;
        }
        if !is_found && body.route != request::LAST_READING.0 {
            write_reading(request::LAST_READING, payload, arrival_nanos, scratch, out)?;
        }
        Ok(())
    }

    /// A delivery of Firehose is JSON as well, and so becomes one log where JSON logs go.
    fn write_delivery(
        &mut self,
        body: &Body,
        bytes: &[u8],
        arrival_nanos: u64,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Ok(codings) = body.codings else { return Ok(()) };
        let limit = route::payload_limit(body.route);
        let Ok(payload) = content::decode(codings, bytes, &mut self.arena, limit) else {
            return Ok(());
        };
        let plain = envelope(Route::Firehose, Codings::IDENTITY, arrival_nanos, &[]);
        let decoded = decode::decode(&plain, payload, &mut self.scratch, &mut Validating);
        if decoded.is_ok() && !self.scratch.firehose.told.request_id.is_empty() {
            let reading = (Route::Firehose, request::JSON);
            write_reading(reading, payload, arrival_nanos, &mut self.scratch, out)?;
        }
        Ok(())
    }
}

fn write_request(
    body: &Body,
    size: u64,
    payload_size: Option<u64>,
    out: &mut impl Write,
) -> io::Result<()> {
    write!(out, "    request: {}; {size} bytes", body.words())?;
    match payload_size {
        Some(payload_size) if payload_size != size => writeln!(out, ", {payload_size} decoded"),
        _ => writeln!(out),
    }
}

fn write_notes(body: &Body, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    body.notes(bytes).iter().try_for_each(|note| writeln!(out, "    note: {note}"))
}

/// Says what another endpoint would find in a payload, if it is all good to it.
fn write_reading(
    (route, media): (Route, &str),
    payload: &[u8],
    arrival_nanos: u64,
    scratch: &mut Scratch,
    out: &mut impl Write,
) -> io::Result<bool> {
    let fields = request::media_field(media);
    let envelope = envelope(route, Codings::IDENTITY, arrival_nanos, &fields);
    let mut summary = Summary::new(route, arrival_nanos);
    let decoded = decode::decode(&envelope, payload, scratch, &mut summary);
    let verdict = decoded.unwrap_or_default();
    // One object of JSON is anything.
    let is_told = route != Route::JsonLogs || verdict.logs > 1;
    let is_good = verdict.kept() > 0 && verdict.rejected == 0 && summary.is_parsed() && is_told;
    if is_good {
        let what = words::kept(&verdict);
        writeln!(out, "    note: as {} ({media}) it holds {what}", route.path())?;
    }
    Ok(is_good)
}

fn write_rejects(verdict: &Verdict, out: &mut impl Write) -> io::Result<()> {
    match outcome::explain_rejects(verdict) {
        Some((cause, count)) => {
            writeln!(out, "    rejected: {}: {cause}", counted(count, "record", "records"))
        }
        None => Ok(()),
    }
}

fn envelope(route: Route, codings: Codings, arrival_nanos: u64, fields: &[u8]) -> Envelope<'_> {
    Envelope { route, codings, tenant: "check", arrival_nanos, fields: RequestFields::new(fields) }
}

/// The whole file, or one byte more than the server would take.
fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = limit as u64 + 1;
    if path.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// One line a second on stderr, where checking takes longer than that.
struct Progress {
    clock: Clock,
    file_count: usize,
    file: usize,
    size: u64,
    said_nanos: u64,
}

impl Progress {
    fn new(file_count: usize) -> Self {
        Self { clock: Clock::default(), file_count, file: 0, size: 0, said_nanos: 0 }
    }

    fn begin(&mut self, file: usize) {
        self.file = file;
        self.say();
    }

    fn add(&mut self, size: u64) {
        self.size += size;
        self.say();
    }

    fn say(&mut self) {
        const INTERVAL_NANOS: u64 = 1_000_000_000;
        let now = self.clock.now().monotonic_nanos;
        if now - self.said_nanos >= INTERVAL_NANOS {
            self.said_nanos = now;
            let (number, count) = (self.file + 1, self.file_count);
            eprintln!("inrush check: file {number} of {count}, {} MiB read", self.size >> 20);
        }
    }
}
