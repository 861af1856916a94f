//! A full device: refusals that keep the data at its senders, a restart that still serves, and healing.
//!
//! Needs the right to mount a small memory file system; says so and passes where there is none.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "store/read_back.rs"]
#[allow(dead_code, reason = "used in part")]
mod read_back;
#[path = "support/server.rs"]
mod server;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use inrush::batch::Table;
use server::Server;

struct Mount(PathBuf);

impl Mount {
    fn new(path: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(path)
            .output()
            .ok()?;
        mount.status.success().then(|| Self(path.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A megabyte of text that compresses badly, in one record that names itself.
fn body(tag: u64) -> Vec<u8> {
    let mut state = tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut records = Vec::new();
    for record in 0..4 {
        let noise: String = (0..60_000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                format!("{:04x}", state & 0xffff)
            })
            .collect();
        records.push(format!("{{\"message\":\"{tag}/{record}\",\"noise\":\"{noise}\"}}"));
    }
    format!("[{}]", records.join(",")).into_bytes()
}

fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let piece = vec![1; 1 << 20];
    while file.write_all(&piece).is_ok() {}
}

#[test]
fn a_full_device_refuses_restarts_and_heals() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(mount) = Mount::new(&folder.path().join("device"), "700m") else {
        println!("skipped: this user may not mount");
        return;
    };
    let data = mount.0.join("data");
    let ballast = mount.0.join("ballast");
    let server = Server::start(&data, &[]);
    std::thread::sleep(Duration::from_millis(500));
    fill(&ballast);
    let mut acknowledged = 0;
    let mut refused = 0;
    let started = Instant::now();
    while refused < 5 {
        let asked = Instant::now();
        let reply = server.post("/json/logs", &[], &body(acknowledged));
        assert!(asked.elapsed() < Duration::from_secs(6), "no reply for {:?}", asked.elapsed());
        match reply.status {
            200 => acknowledged += 1,
            503 => {
                assert!(reply.field("retry-after").is_some());
                refused += 1;
            }
            other => panic!("{other}: {}", reply.text()),
        }
        assert!(started.elapsed() < Duration::from_secs(120));
    }
    assert!(acknowledged > 20, "{acknowledged}");
    assert_eq!(server.get_admin("/readyz").status, 503, "full is not ready");
    server.kill();

    // The device is still full: what is acknowledged stays reachable, new data stays at its senders.
    let server = Server::start(&data, &[]);
    assert_eq!(server.post("/json/logs", &[], &body(acknowledged)).status, 503);
    std::fs::remove_file(&ballast).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.post("/json/logs", &[], &body(acknowledged)).status != 200 {
        assert!(Instant::now() < deadline, "it does not heal");
        std::thread::sleep(Duration::from_millis(200));
    }
    acknowledged += 1;
    server.wait_until_stored();
    assert_eq!(server.get_admin("/readyz").status, 200);
    assert!(server.stop().success());
    let mut bodies: Vec<_> = read_back::rows(&data, Table::Logs)
        .iter()
        .map(|row| row["Body"].as_str().unwrap().to_owned())
        .collect();
    bodies.sort();
    let mut expected: Vec<_> = (0..acknowledged)
        .flat_map(|tag| (0..4).map(move |record| format!("{tag}/{record}")))
        .collect();
    expected.sort();
    assert!(bodies == expected, "{} rows of {}", bodies.len(), expected.len());
}
