//! Replies' fields. Nothing is put into the peer's table, so no state is shared and a block can be made
//! before anybody knows which connection takes it.

use super::integer;
use super::tables::STATIC_TABLE;

/// `:status` (RFC 9113, section 8.3.2).
pub fn status(status: u16, out: &mut Vec<u8>) {
    let [hundreds, tens, ones] = [status / 100, status / 10 % 10, status % 10]
        .map(|digit| b'0' + u8::try_from(digit).unwrap_or(0));
    field(":status", &[hundreds, tens, ones], out);
}

/// A field: by index where the static table has all of it or its name, else literally (section 6.2.2).
pub fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    let mut named = 0;
    for (index, (known, known_value)) in (1..).zip(STATIC_TABLE) {
        if known != name {
            continue;
        }
        if known_value.as_bytes() == value && !value.is_empty() {
            return integer::encode(0x80, 7, index, out);
        }
        if named == 0 {
            named = index;
        }
    }
    integer::encode(0, 4, named, out);
    if named == 0 {
        string(name.as_bytes(), out);
    }
    string(value, out);
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    integer::encode(0, 7, bytes.len(), out);
    out.extend_from_slice(bytes);
}
