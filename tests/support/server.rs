//! The real binary in a folder of its own, over real sockets.

#![allow(dead_code, reason = "each program that includes this file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub const KEY: &str = "end-to-end-key-0123456789";

pub struct Server {
    child: Child,
    pub http: String,
    /// Empty without a TLS listener.
    pub https: String,
    pub admin: String,
    pub data: PathBuf,
    /// What the server said at start.
    pub announcement: String,
}

pub fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inrush"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INRUSH_")) {
        command.env_remove(name);
    }
    command.current_dir(data.parent().unwrap());
    command.envs(ring());
    command
}

/// The setting that makes the same tests run on another ring: `on_poll.rs` and `on_baseline.rs` are
/// made of the test programs themselves.
fn ring() -> Option<(&'static str, &'static str)> {
    match env!("CARGO_CRATE_NAME") {
        "on_poll" => Some(("INRUSH_RING_MODE", "poll")),
        "on_baseline" => Some(("INRUSH_RING_FEATURES", "baseline")),
        _ => None,
    }
}

pub fn add_key(data: &Path, name: &str, secret: &str, tenant: &str) {
    let status = command(data)
        .args(["key", "add", name, "--tenant", tenant, "--secret", secret, "--data-dir"])
        .arg(data)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

impl Server {
    /// Starts on free ports with small settings; `settings` are further environment variables.
    pub fn start(data: &Path, settings: &[(&str, &str)]) -> Self {
        if !data.join("keys.toml").exists() {
            add_key(data, "test", KEY, "acme");
        }
        let mut command = command(data);
        command
            .args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--shards", "1"])
            .arg("--data-dir")
            .arg(data)
            .env("INRUSH_STORE_MAX_DELAY", "500ms")
            .env("INRUSH_JOURNAL_SEGMENT_SIZE", "66MiB")
            .env("INRUSH_LOG_LEVEL", "warn")
            .envs(settings.iter().copied());
        Self::spawn(command, data)
    }

    /// Runs the command and reads what it announces.
    pub fn spawn(mut command: Command, data: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut announcement = String::new();
        while !announcement.contains("\nthen read") {
            if lines.read_line(&mut announcement).unwrap() == 0 {
                panic!("the server ended at start: {:?}\n{announcement}", child.wait());
            }
        }
        let address = |label: &str, scheme: &str| {
            let lines = announcement.lines().filter(|line| line.starts_with(label));
            let rest = lines.filter_map(|line| line.split(&format!(" {scheme}://")).nth(1)).next();
            rest.and_then(|rest| rest.split(['/', ' ']).next()).unwrap_or_default().to_owned()
        };
        let (http, admin) = (address("listening", "http"), address("admin", "http"));
        let https = address("listening", "https");
        Self { child, http, https, admin, data: data.to_owned(), announcement }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(&request("POST", path, headers, body)).unwrap();
        read_reply(&mut stream).unwrap()
    }

    pub fn get_admin(&self, path: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        read_reply(&mut stream).unwrap()
    }

    /// The value of one sample of `/metrics`, named with its labels.
    pub fn metric(&self, sample: &str) -> f64 {
        let page = self.get_admin("/metrics").text();
        let line = page.lines().find(|line| line.rsplit_once(' ').unwrap().0 == sample);
        line.map_or(0.0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }

    pub fn wait_until_stored(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.metric("inrush_follower_lag_bytes{follower=\"store\"}") > 0.0 {
            assert!(Instant::now() < deadline, "the store does not catch up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn signal(&self, signal: i32) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(15);
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: inrush\r\n").into_bytes();
    if !headers.iter().any(|(name, _)| *name == "apikey") {
        bytes.extend_from_slice(format!("apikey: {KEY}\r\n").as_bytes());
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !headers.iter().any(|(name, _)| *name == "Transfer-Encoding") {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn field(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

/// Reads one reply; `None` where the server closed before it.
pub fn read_reply(stream: &mut impl Read) -> Option<Reply> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            continue;
        }
        let mut reply = Reply { status, head, body: Vec::new() };
        let length: usize =
            reply.field("content-length").map_or(0, |length| length.parse().unwrap());
        reply.body.resize(length, 0);
        stream.read_exact(&mut reply.body).ok()?;
        if reply.field("transfer-encoding").is_some() {
            stream.read_to_end(&mut reply.body).ok()?;
        }
        return Some(reply);
    }
}
