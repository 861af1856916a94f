//! Every stage's bench in one binary: one link instead of ten.
//! `cargo bench --bench stages -- NAME` runs those whose name holds NAME.

mod columns;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    columns::bench(&mut criterion);
    criterion.final_summary();
}
