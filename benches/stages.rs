//! Every stage against a rival, with bytes or items per second. One binary, one link.

#![allow(clippy::unwrap_used, reason = "a panic is how a bench fails")]

mod auth;
mod head;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    head::bench(&mut criterion);
    auth::bench(&mut criterion);
    criterion.final_summary();
}
