//! Ways to make a commit durable, measured where they will run: latency of one commit after the
//! other, and CPU of the whole process (kernel workers counted) for each.
//!
//! `write_strategies DIR` prints a Markdown table. `DIR` must be on the disk in question.

#![allow(unsafe_code, reason = "the kernel reads memory that this program owns while it waits")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "a tool may panic and read the clock"
)]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use inrush::buffer::AlignedBuffer;
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{IoUring, opcode, squeue};

const FILE_SIZE: u64 = 128 << 20;
const COMMITS: u64 = 2_000;
const SECONDS_MAX: u64 = 4;

/// How the file comes to its length.
#[derive(Clone, Copy, PartialEq)]
enum Space {
    Zeroed,
    Allocated,
}

fn file(folder: &Path, space: Space, flags: i32) -> File {
    let path = folder.join("write_strategies.data");
    let _ = std::fs::remove_file(&path);
    let mut file = File::create(&path).unwrap();
    match space {
        Space::Zeroed => {
            (0..FILE_SIZE >> 20).for_each(|_| file.write_all(&[0; 1 << 20]).unwrap());
        }
        Space::Allocated => {
            let mode = rustix::fs::FallocateFlags::empty();
            rustix::fs::fallocate(&file, mode, 0, FILE_SIZE).unwrap();
        }
    }
    file.sync_all().unwrap();
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).unwrap()
}

fn cpu() -> Duration {
    // SAFETY: all zeros is a value of this plain structure.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to that structure.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let time = |time: libc::timeval| {
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_usec.unsigned_abs() as u32 * 1000)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Runs commits one after the other and prints their row. The bytes differ each time; the last one
/// is read back.
fn measure(
    name: &str,
    size: usize,
    folder: &Path,
    file: &File,
    mut commit: impl FnMut(u64, AlignedBuffer) -> AlignedBuffer,
) {
    let mut buffer = AlignedBuffer::new(size, 4096);
    buffer.extend_from_slice(&vec![0; size]);
    let mut latencies = Vec::new();
    let (begin, cpu_before) = (Instant::now(), cpu());
    let (mut position, mut last) = (0, 0);
    for number in 1..=COMMITS {
        buffer.as_mut_slice().fill(number as u8);
        buffer.as_mut_slice()[..8].copy_from_slice(&number.to_le_bytes());
        if position + size as u64 > FILE_SIZE {
            position = 0;
        }
        let start = Instant::now();
        buffer = commit(position, buffer);
        latencies.push(start.elapsed());
        last = position;
        position += size as u64;
        if begin.elapsed() > Duration::from_secs(SECONDS_MAX) {
            break;
        }
    }
    let used = (cpu() - cpu_before).as_secs_f64() * 1e6 / latencies.len() as f64;
    let mut back = vec![0; size];
    let path = folder.join("write_strategies.data");
    file.sync_all().unwrap();
    File::open(path).unwrap().read_exact_at(&mut back, last).unwrap();
    assert!(back == buffer.as_slice(), "what was committed reads back");
    latencies.sort();
    let at = |part: f64| latencies[(latencies.len() as f64 * part) as usize].as_micros();
    println!(
        "| {name} | {} KiB | {} | {} | {} | {used:.0} |",
        size >> 10,
        latencies.len(),
        at(0.5),
        at(0.99)
    );
}

fn run(ring: &mut IoUring, entries: &[squeue::Entry]) {
    for entry in entries {
        // SAFETY: the buffer is the caller's, who waits here.
        unsafe { ring.submission().push(entry) }.unwrap();
    }
    ring.submit_and_wait(entries.len()).unwrap();
    let mut completed = 0;
    while completed < entries.len() {
        let Some(entry) = ring.completion().next() else {
            ring.submit_and_wait(1).unwrap();
            continue;
        };
        assert!(entry.result() >= 0, "{}", std::io::Error::from_raw_os_error(-entry.result()));
        completed += 1;
    }
}

fn write(file: &File, position: u64, buffer: &AlignedBuffer) -> squeue::Entry {
    let bytes = buffer.as_slice();
    let write = opcode::Write::new(Fd(file.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32);
    write.offset(position).build()
}

fn main() {
    let folder = std::env::args().nth(1).expect("write_strategies DIR");
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let mut ring =
        IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(64).unwrap();
    println!("| strategy | commit | commits | p50 µs | p99 µs | CPU µs |");
    println!("|---|---:|---:|---:|---:|---:|");
    let direct = libc::O_DIRECT | libc::O_DSYNC;
    for size in [4 << 10, 64 << 10, 256 << 10] {
        for (name, space) in [
            ("ring write, O_DIRECT\\|O_DSYNC, zeroed", Space::Zeroed),
            ("ring write, O_DIRECT\\|O_DSYNC, fallocated", Space::Allocated),
        ] {
            let file = file(folder, space, direct);
            measure(name, size, folder, &file, |position, buffer| {
                run(&mut ring, &[write(&file, position, &buffer)]);
                buffer
            });
        }
        let plain = file(folder, Space::Zeroed, 0);
        measure(
            "ring write + fsync, linked, buffered",
            size,
            folder,
            &plain,
            |position, buffer| {
                let sync = opcode::Fsync::new(Fd(plain.as_raw_fd())).flags(FsyncFlags::DATASYNC);
                let write = write(&plain, position, &buffer).flags(squeue::Flags::IO_LINK);
                run(&mut ring, &[write, sync.build()]);
                buffer
            },
        );
        measure("pwrite + fdatasync on the spot", size, folder, &plain, |position, buffer| {
            plain.write_all_at(buffer.as_slice(), position).unwrap();
            plain.sync_data().unwrap();
            buffer
        });
        let (work, jobs) = mpsc::channel::<(u64, AlignedBuffer)>();
        let (back, done) = mpsc::channel();
        let flusher = plain.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            for (position, buffer) in jobs {
                flusher.write_all_at(buffer.as_slice(), position).unwrap();
                flusher.sync_data().unwrap();
                back.send(buffer).unwrap();
            }
        });
        measure("flusher thread, pwrite + fdatasync", size, folder, &plain, |position, buffer| {
            work.send((position, buffer)).unwrap();
            done.recv().unwrap()
        });
        drop(work);
        thread.join().unwrap();
        let file = file(folder, Space::Zeroed, direct);
        let (work, jobs) = mpsc::channel::<(u64, AlignedBuffer)>();
        let (back, done) = mpsc::channel();
        let flusher = file.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            for (position, buffer) in jobs {
                flusher.write_all_at(buffer.as_slice(), position).unwrap();
                back.send(buffer).unwrap();
            }
        });
        let name = "flusher thread, O_DIRECT\\|O_DSYNC, zeroed";
        measure(name, size, folder, &file, |position, buffer| {
            work.send((position, buffer)).unwrap();
            done.recv().unwrap()
        });
        drop(work);
        thread.join().unwrap();
    }
    let _ = std::fs::remove_file(folder.join("write_strategies.data"));
}
