//! Which ring the server takes, what it says of that, and that it works where io_uring is forbidden.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "store/read_back.rs"]
#[allow(dead_code, reason = "used in part")]
mod read_back;
#[path = "support/server.rs"]
mod server;

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use inrush::batch::Table;
use server::{KEY, Server, add_key, command};

/// The same number on x86-64 and arm64.
const IO_URING_SETUP: u32 = 425;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// What Docker's default profile does to `io_uring_setup`: it fails with EPERM.
#[allow(unsafe_code, reason = "a filter is set between fork and exec")]
fn forbid_io_uring(command: &mut Command) {
    let statement =
        |code: u32, k| libc::sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf: 0, k };
    let filter = [
        // The number of the system call is the first field of `seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, IO_URING_SETUP)
        },
        statement(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(),
        ),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let set = move || {
        let program = libc::sock_fprog { len: 4, filter: filter.as_ptr().cast_mut() };
        // SAFETY: two system calls, safe after a fork; `program` and `filter` outlive them.
        let result = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                + libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
        };
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: `set` allocates nothing and takes no lock.
    unsafe { command.pre_exec(set) };
}

fn serve(data: &Path, arguments: &[&str]) -> Command {
    if !data.join("keys.toml").exists() {
        add_key(data, "test", KEY, "acme");
    }
    let mut command = command(data);
    command
        .args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--shards", "1"])
        .arg("--data-dir")
        .arg(data)
        .args(arguments)
        .env("INRUSH_JOURNAL_SEGMENT_SIZE", "66MiB");
    command
}

/// Posts a row and finds it, over a restart.
fn keeps_a_row(data: &Path, mut start: impl FnMut() -> Command, ring: &str) -> String {
    let mut first = start();
    let log = data.parent().unwrap().join("log");
    first.stderr(std::fs::File::create(&log).unwrap());
    let server = Server::spawn(first, data);
    assert!(
        server.announcement.lines().any(|line| line == format!("ring        {ring}")),
        "{}",
        server.announcement
    );
    let reply = server.post("/json/logs", &[], br#"[{"message":"kept"}]"#);
    assert_eq!(reply.status, 200, "{}", reply.text());
    server.kill();
    let server = Server::spawn(start(), data);
    assert!(server.stop().success());
    let rows = read_back::rows(data, Table::Logs);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["Body"], "kept");
    std::fs::read_to_string(log).unwrap()
}

#[test]
fn poll_is_taken_when_it_is_asked_for() {
    let folder = folder();
    let data = folder.path().join("data");
    let log =
        keeps_a_row(&data, || serve(&data, &["--ring", "poll"]), "epoll, and a thread for files");
    assert!(!log.contains("io_uring"), "what is meant needs no warning: {log}");
}

/// What is at stake: Docker's default profile refuses io_uring, and the first try of a new user is there.
#[test]
fn where_io_uring_is_forbidden_auto_goes_on_with_epoll_and_says_how_to_allow_it() {
    let folder = folder();
    let data = folder.path().join("data");
    let start = || {
        let mut command = serve(&data, &[]);
        forbid_io_uring(&mut command);
        command
    };
    let log = keeps_a_row(&data, start, "epoll, and a thread for files");
    for word in ["WARN", "io_uring", "--security-opt", "SystemCallFilter", "io_uring_disabled"] {
        assert!(log.contains(word), "{word} is not in: {log}");
    }
    assert_eq!(log.matches("SystemCallFilter").count(), 1, "one warning: {log}");
}

#[test]
fn a_ring_that_was_asked_for_and_is_forbidden_is_a_clear_error() {
    let folder = folder();
    let data = folder.path().join("data");
    let mut command = serve(&data, &["--ring", "uring"]);
    forbid_io_uring(&mut command);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(text.contains("the kernel refuses io_uring"), "{text}");
    assert!(text.contains("--ring poll"), "it says what works here: {text}");
}

#[test]
fn an_unknown_ring_is_refused_by_name() {
    let folder = folder();
    let data = folder.path().join("data");
    let output = serve(&data, &["--ring", "kqueue"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("kqueue") && text.contains("`uring`, `poll`"), "{text}");
}
