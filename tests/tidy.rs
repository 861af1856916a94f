//! Style that a program can judge: who imports whom, where `unsafe` may stand, heads of files.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    files.sort();
    assert!(files.len() > 50, "the sources are where this test looks");
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Lines in front of the first unit test.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

/// The module that a file belongs to: its first folder, or its own name.
fn module(name: &str) -> &str {
    name.strip_prefix("src/").unwrap().split(['/', '.']).next().unwrap()
}

/// What a module may import of the crate. `buffer`, `envelope`, `limits`, `counters` are for all.
fn allowed(module: &str) -> &'static [&'static str] {
    match module {
        "main" | "lib" => &["command", "config"],
        // `check` goes the way of a request, without socket and journal.
        "command" => &[
            "server", "config", "route", "content", "decode", "journal", "auth", "batch", "ring",
            "http", "ingest", "outcome",
        ],
        // Joins everything once, at start.
        "server" => &[
            "admin", "command", "config", "decode", "ingest", "journal", "ring", "shard", "store",
            "tls",
        ],
        "config" => &["journal", "tls"],
        "shard" => &[
            "connection",
            "content",
            "decode",
            "http",
            "ingest",
            "journal",
            "outcome",
            "ring",
            "tls",
        ],
        "connection" => &[
            "auth", "content", "decode", "http", "ingest", "journal", "outcome", "ring", "route",
            "tls",
        ],
        "ingest" => &["auth", "batch", "content", "decode", "http", "journal", "outcome", "route"],
        "outcome" => &["auth", "content", "decode", "http", "route", "batch"],
        "route" | "auth" => &["http"],
        "decode" => &["batch", "content"],
        "journal" => &["ring"],
        "store" => &["journal", "content", "decode", "batch", "route"],
        "admin" => &["http", "route", "content", "decode", "batch", "journal", "store"],
        // How many kinds of abuse there are to count.
        "counters" => &["http"],
        _ => &[],
    }
}

const FOR_ALL: [&str; 4] = ["buffer", "envelope", "limits", "counters"];

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        if name.ends_with("tests.rs") {
            continue;
        }
        let own = module(&name);
        for (line, text) in without_tests(&text).lines().enumerate() {
            let code = text.split("//").next().unwrap();
            for found in code.match_indices("crate::") {
                let rest = &code[found.0 + "crate::".len()..];
                let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
                let target = &rest[..end.unwrap_or(rest.len())];
                if target.is_empty()
                    || target == own
                    || FOR_ALL.contains(&target)
                    || allowed(own).contains(&target)
                {
                    continue;
                }
                faults.push(format!("{name}:{}: {own} may not import {target}", line + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_the_journals_writer_and_recovery_know_the_ring() {
    for (name, text) in sources() {
        let reader = ["format", "read", "cursor", "scan"]
            .iter()
            .any(|file| name == format!("src/journal/{file}.rs"));
        assert!(!reader || !text.contains("crate::ring"), "{name} reads plain files");
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let may = |name: &str| {
        name.starts_with("src/buffer/")
            || name.starts_with("src/ring/")
            || name.starts_with("src/decode/wire/scan")
            || name == "src/content/inflate.rs"
    };
    for (name, text) in sources() {
        let code = text.lines().map(|line| line.split("//").next().unwrap());
        let holds = code.clone().any(|line| {
            line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl")
        });
        assert!(!holds || may(&name), "{name} holds unsafe code");
        // Every block says why it is sound.
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if line.contains("unsafe {") && !line.trim_start().starts_with("//") {
                let before = &lines[index.saturating_sub(8)..index];
                assert!(
                    before.iter().any(|line| line.contains("SAFETY:")),
                    "{name}:{}: which invariant holds?",
                    index + 1
                );
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (name, text) in sources() {
        assert!(text.starts_with("//! "), "{name} begins without //!");
    }
}

#[test]
fn silenced_checks_have_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "perf"] {
        rust_files(&root.join(folder), &mut files);
    }
    let (allow, ignore) = (concat!("[", "allow("), concat!("#[", "ignore"));
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for (start, _) in text.match_indices(allow) {
            let end = text[start..].find(")]").unwrap() + start;
            assert!(
                text[start..end].contains("reason ="),
                "{}: {}",
                path.display(),
                &text[start..end]
            );
        }
        assert!(!text.contains(ignore), "{} ignores a test", path.display());
    }
}

/// What is at stake: a golden vector that nothing reads proves nothing.
#[test]
fn every_vector_is_read_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let vectors = root.join("vectors");
    if !vectors.exists() {
        return;
    }
    let mut tests = Vec::new();
    rust_files(&root, &mut tests);
    let text: String = tests.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for entry in fs::read_dir(vectors).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // Rows are read with the vector that they belong to.
        let vector = name.strip_suffix(".rows").unwrap_or(&name);
        assert!(text.contains(vector), "no test reads tests/vectors/{name}");
    }
}
