//! `inrush check` on captures that each have one fault: what it must say, word for word, and that the real
//! server says the same.
//!
//! `tests/check/NAME.body` is the capture, `NAME.expected` holds `--as`, `--header` lines, the exit
//! code, an empty line, and the output. `tests/check/make.py` made the bodies.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use server::Server;

struct Capture {
    name: String,
    endpoint: String,
    headers: Vec<String>,
    exit_code: i32,
    output: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check")
}

impl Capture {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (head, output) = text.split_once("\n\n").unwrap();
        let mut capture = Self {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            endpoint: String::new(),
            headers: Vec::new(),
            exit_code: -1,
            output: output.to_owned(),
        };
        for line in head.lines() {
            let (key, value) = line.split_once(' ').unwrap();
            match key {
                "--as" => capture.endpoint = value.to_owned(),
                "--header" => capture.headers.push(value.to_owned()),
                "exit" => capture.exit_code = value.parse().unwrap(),
                _ => panic!("{}: {line}", capture.name),
            }
        }
        capture
    }

    fn body(&self) -> Vec<u8> {
        fs::read(folder().join(format!("{}.body", self.name))).unwrap()
    }

    fn check(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inrush"));
        command.current_dir(folder()).arg("check").arg(format!("{}.body", self.name));
        command.arg("--as").arg(&self.endpoint);
        for header in &self.headers {
            command.arg("--header").arg(header);
        }
        command.output().unwrap()
    }

    /// Status and sentence, where the whole body is refused.
    fn refusal(&self) -> Option<(u16, &str)> {
        let rest = self.output.lines().next()?.split_once(": refused with ")?.1;
        let (status, sentence) = rest.split_once(": ")?;
        Some((status.parse().unwrap(), sentence))
    }

    /// The headers given, and those that `check` says it assumed or found.
    fn request_headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .map(|header| {
                let (name, value) = header.split_once(": ").unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect();
        let line = self.output.lines().find(|line| line.starts_with("    request: "));
        for part in line.into_iter().flat_map(|line| line.split([',', ';'])).map(str::trim) {
            if let Some(media) = part.strip_suffix(" (assumed)") {
                // A type may have a parameter, which no other part has.
                let media = if media.contains('/') { media } else { "text/plain; version=0.0.4" };
                headers.push(("Content-Type".to_owned(), media.to_owned()));
            } else if let Some(coding) = part.strip_suffix(" (found)") {
                headers.push(("Content-Encoding".to_owned(), coding.to_owned()));
            }
        }
        headers
    }
}

fn captures() -> Vec<Capture> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "expected"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 30, "{}", paths.len());
    paths.iter().map(|path| Capture::read(path)).collect()
}

#[test]
fn each_capture_is_told_in_the_words_beside_it() {
    for capture in captures() {
        let output = capture.check();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, capture.output, "{}", capture.name);
        assert_eq!(output.status.code(), Some(capture.exit_code), "{}", capture.name);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", capture.name);
    }
}

#[test]
fn the_server_refuses_in_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    let mut refused = 0;
    for capture in captures() {
        let headers = capture.request_headers();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let reply = server.post(&capture.endpoint, &headers, &capture.body());
        let text = reply.text().replace("\\\"", "\"");
        match capture.refusal() {
            Some((status, sentence)) => {
                refused += 1;
                assert_eq!(reply.status, status, "{}: {text}", capture.name);
                assert!(text.contains(sentence), "{}: {text}, not {sentence}", capture.name);
            }
            // Remote write 2.0 is refused by status where only a part is: its senders read no more.
            None => assert!(reply.status < 300, "{}: {} {text}", capture.name, reply.status),
        }
    }
    assert!(refused >= 20, "{refused}");
    assert!(server.stop().success());
}

fn check(arguments: &[&str], input: &[u8]) -> (String, String, Option<i32>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_inrush"))
        .current_dir(folder())
        .arg("check")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended already, without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn the_worst_of_several_files_is_the_exit_code() {
    let mut arguments = vec!["-", "json-numbers-between.body", "--as", "/json/logs"];
    let (said, _, code) = check(&arguments, b"{}");
    assert!(said.ends_with("2 files: 1 ok, 1 accepted in part\n"), "{said}");
    assert_eq!(code, Some(3));
    arguments.push("json-cut-off.body");
    let (said, _, code) = check(&arguments, b"{}");
    assert!(said.ends_with("3 files: 1 ok, 1 accepted in part, 1 refused\n"), "{said}");
    assert_eq!(code, Some(1));
    arguments.push("no such file");
    let (said, _, code) = check(&arguments, b"{}");
    assert!(said.contains("no such file: unreadable: "), "{said}");
    assert_eq!(code, Some(2));
}

#[test]
fn wrong_usage_is_told_apart_from_a_bad_body() {
    for arguments in [
        &["-", "--as", "/nowhere"][..],
        &["-", "--as", "v1/logs"],
        &["-", "--as", "/health"],
        &["-", "--as", "/v1/logs", "--header", "no colon"],
        &["-", "--as", "/v1/logs", "--header", "a: b\r\nc: d"],
        &["-", "--as", "/v1/logs", "--header", "bad name: x"],
        &["-", "--as", "/v1/logs with blanks"],
        &["-"],
        &["--as", "/v1/logs"],
    ] {
        let (said, complaint, code) = check(arguments, b"");
        assert_eq!((said.as_str(), code), ("", Some(2)), "{arguments:?}");
        assert!(!complaint.is_empty(), "{arguments:?}");
    }
}

#[test]
fn secrets_are_not_printed() {
    for header in
        ["Authorization: Bearer s3cret-value", "apikey: s3cret-value", "Cookie s3cret-value"]
    {
        let arguments = ["-", "--as", "/json/logs?token=s3cret-value", "--header", header];
        let (said, complaint, _) = check(&arguments, b"{");
        assert!(!said.contains("s3cret") && !complaint.contains("s3cret"), "{said}{complaint}");
    }
}

#[test]
fn a_file_larger_than_the_endpoint_takes_is_told_so() {
    let body = vec![b' '; (32 << 20) + 1];
    let (said, _, code) = check(&["-", "--as", "/api/v1/write"], &body);
    assert!(
        said.starts_with("-: refused with 413: the body is larger than 33554432 bytes"),
        "{said}"
    );
    assert_eq!(code, Some(1));
}
