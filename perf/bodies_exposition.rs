//! Bodies in the Prometheus text format for benches and load: seeded, so that every run and every rival
//! gets the same.

#![allow(dead_code, reason = "each of the programs that include this file uses a part of it")]

use std::io::Write;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1) % bound
    }
}

/// The families of a scrape: name, type, words of help.
const FAMILIES: [(&str, &str, &str); 6] = [
    ("node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode."),
    ("node_disk_io_time_seconds_total", "counter", "Total seconds spent doing I/Os."),
    ("node_filesystem_avail_bytes", "gauge", "Filesystem space available."),
    ("node_network_receive_bytes_total", "counter", "Network device statistic receive_bytes."),
    ("http_requests_total", "counter", "Requests by code and method."),
    ("up", "gauge", "Whether the target answered."),
];
const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
const ZONES: [&str; 3] = ["eu-1a", "eu-1b", "eu-1c"];
/// A family's lines in one scrape.
const GROUP: usize = 64;

/// Lines of ten labels in order, about 150 bytes each, a family's together behind its HELP and TYPE.
/// `series` chooses the series, `values` what they are now.
pub fn exposition(series: u64, values: u64, lines: usize) -> Vec<u8> {
    let mut labels = Random::new(series);
    let mut numbers = Random::new(values ^ 0x5bd1_e995);
    let mut body = Vec::with_capacity(lines * 160);
    let time = 1_767_225_600_000 + numbers.below(1_000_000);
    for line in 0..lines {
        let family = line / GROUP % FAMILIES.len();
        let (name, kind, help) = FAMILIES.get(family).copied().unwrap_or_default();
        if line % GROUP == 0 {
            writeln!(body, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("memory");
        }
        let mut pick = |from: &[&'static str]| {
            let place = usize::try_from(labels.below(from.len() as u64)).unwrap_or_default();
            from.get(place).copied().unwrap_or_default()
        };
        let (mode, zone) = (pick(&MODES), pick(&ZONES));
        let (cpu, node, pod) = (labels.below(64), labels.below(1 << 12), labels.below(1 << 24));
        write!(
            body,
            "{name}{{app=\"web\",cluster=\"prod\",cpu=\"{cpu}\",env=\"live\",instance=\"n{node}:9100\",\
             job=\"node\",mode=\"{mode}\",ns=\"core\",pod=\"w-{pod:06x}\",zone=\"{zone}\"}} ",
        )
        .expect("memory");
        match numbers.below(3) {
            0 => write!(body, "{}", numbers.below(1_000_000)),
            1 => write!(body, "{}.{:02}", numbers.below(1_000_000), numbers.below(100)),
            _ => write!(body, "{}.{:06}e+09", 1 + numbers.below(9), numbers.below(1_000_000)),
        }
        .expect("memory");
        writeln!(body, " {time}").expect("memory");
    }
    body
}
