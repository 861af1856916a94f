//! Levels as log senders write them, to OpenTelemetry's severity numbers (logs data model,
//! "Severity fields" and its mapping of syslog).

/// The number of a word or of a number in words; 0 is unspecified.
pub(super) fn from_text(text: &[u8]) -> i32 {
    // The longest word below has 13 letters.
    let text = text.trim_ascii();
    let mut word = [0u8; 13];
    let Some(word) = word.get_mut(..text.len()) else { return 0 };
    word.copy_from_slice(text);
    word.make_ascii_lowercase();
    match &*word {
        b"trace" | b"verbose" | b"finest" | b"t" | b"v" => 1,
        b"finer" => 3,
        b"debug" | b"dbg" | b"fine" | b"d" => 5,
        b"config" => 7,
        b"info" | b"information" | b"informational" | b"i" | b"log" => 9,
        b"notice" | b"n" => 10,
        b"warn" | b"warning" | b"w" => 13,
        b"error" | b"err" | b"severe" | b"e" => 17,
        b"critical" | b"crit" | b"c" | b"dpanic" => 18,
        b"alert" | b"a" => 19,
        b"fatal" | b"emerg" | b"emergency" | b"panic" | b"f" => 21,
        digits if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => digits
            .iter()
            .try_fold(0i64, |sum, byte| Some(sum.checked_mul(10)? + i64::from(byte - b'0')))
            .map_or(0, from_int),
        _ => 0,
    }
}

/// pino and bunyan count in tens from 10 (trace) to 60 (fatal); syslog and GELF from 7 (debug) down
/// to 0 (emergency). The ranges do not meet.
pub(super) const fn from_int(number: i64) -> i32 {
    match number {
        0 => 21,
        1 => 19,
        2 => 18,
        3 => 17,
        4 => 13,
        5 => 10,
        6 => 9,
        7 => 5,
        10..20 => 1,
        20..30 => 5,
        30..40 => 9,
        40..50 => 13,
        50..60 => 17,
        60..70 => 21,
        _ => 0,
    }
}

/// A level that is whole, but written with a fraction.
#[allow(clippy::cast_possible_truncation, reason = "what does not fit is no level either")]
pub(super) const fn from_float(number: f64) -> i32 {
    from_int(number as i64)
}

/// The short name of a number (logs data model, "Displaying severity").
pub(super) const fn name(number: i32) -> &'static str {
    match number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_of_real_senders() {
        for (text, number) in [
            ("INFO", 9),
            ("Information", 9),
            ("notice", 10),
            ("warning", 13),
            ("Warn", 13),
            ("err", 17),
            ("ERROR", 17),
            ("crit", 18),
            ("alert", 19),
            ("emerg", 21),
            ("fatal", 21),
            (" debug ", 5),
            ("trace", 1),
            ("30", 9),
            ("60", 21),
            ("6", 9),
            ("", 0),
            ("loud", 0),
            ("informational", 9),
            ("informationally", 0),
            ("99999999999999999999", 0),
        ] {
            assert_eq!(from_text(text.as_bytes()), number, "{text}");
        }
        for (level, number) in [
            (10, 1),
            (20, 5),
            (30, 9),
            (35, 9),
            (40, 13),
            (50, 17),
            (60, 21),
            (8, 0),
            (-1, 0),
            (70, 0),
        ] {
            assert_eq!(from_int(level), number, "pino {level}");
        }
        for (level, number) in
            [(0, 21), (1, 19), (2, 18), (3, 17), (4, 13), (5, 10), (6, 9), (7, 5)]
        {
            assert_eq!(from_int(level), number, "syslog {level}");
        }
    }
}
