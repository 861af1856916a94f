//! Keys as every client presents them: each place × valid, invalid, absent, and what several say.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use base64::Engine;
use inrush::auth::table::Digest;
use inrush::auth::{AuthError, KeyTable, Memo, Scratch, authenticate, authenticate_remembering};
use inrush::http::Parsed;
use inrush::http::http1::head::{HeadOptions, HeadScan, parse};
use inrush::limits;

const SECRET: [u8; 32] = [7; 32];
const KEY_A: &str = "key-of-tenant-a+/=";
const KEY_B: &str = "key:of:tenant:b";
const WRONG: &str = "no-such-key";

fn digest(key: &str) -> Digest {
    KeyTable::digest(&SECRET, key.as_bytes())
}

fn table() -> KeyTable {
    KeyTable::new(&SECRET, [(digest(KEY_A), 10), (digest(KEY_B), 20)].into_iter())
}

/// The answer with and without a connection's memory, which must be one.
fn ask(target: &str, fields: &str) -> Result<u32, AuthError> {
    let bytes = format!("POST {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let mut scan = HeadScan::default();
    let head = match parse(bytes.as_bytes(), &HeadOptions::default(), &mut scan) {
        Ok(Parsed::Item { value, .. }) => value,
        other => panic!("{other:?}"),
    };
    let table = table();
    let mut scratch = Scratch::new();
    let answer = authenticate(&table, &head, &mut scratch);
    let mut memo = Memo::new();
    for _ in 0..3 {
        let remembered = authenticate_remembering(&table, &head, &mut scratch, &mut memo);
        assert_eq!(remembered, answer, "{target} {fields:?}");
    }
    answer
}

fn fields(lines: &str) -> Result<u32, AuthError> {
    ask("/v1/logs", lines)
}

fn basic(user: &str, password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

/// Every form in which a field may carry a key.
fn field_forms(key: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for name in [
        "token",
        "apikey",
        "api_key",
        "dd-api-key",
        "x-amz-firehose-access-key",
        "authorization",
        "Token",
        "ApiKey",
        "DD-API-KEY",
        "DD-Api-Key",
        "X-Amz-Firehose-Access-Key",
        "AUTHORIZATION",
    ] {
        forms.push(format!("{name}: {key}\r\n"));
        forms.push(format!("{name}:\t {key} \t\r\n"));
    }
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        forms.push(format!("Authorization: {scheme} {key}\r\n"));
        forms.push(format!("Authorization: {scheme}   {key}\r\n"));
    }
    for scheme in ["Basic", "basic", "BASIC"] {
        let encoded = basic("groundcover", key);
        forms.push(format!("Authorization: {scheme} {encoded}\r\n"));
        forms.push(format!("Authorization: {scheme}  {}\r\n", encoded.trim_end_matches('=')));
        // The product's gateway asks for no blank.
        forms.push(format!("Authorization: {scheme}{encoded}\r\n"));
    }
    forms
}

#[test]
fn every_field_form_is_understood() {
    for form in field_forms(KEY_A) {
        assert_eq!(fields(&form), Ok(10), "{form:?}");
    }
    for form in field_forms(KEY_B) {
        assert_eq!(fields(&form), Ok(20), "{form:?}");
    }
    for form in field_forms(WRONG) {
        assert_eq!(fields(&form), Err(AuthError::Invalid), "{form:?}");
    }
}

#[test]
fn nothing_presented_is_missing_and_not_invalid() {
    assert_eq!(fields(""), Err(AuthError::Missing));
    assert_eq!(fields("X-Token: key-of-tenant-a\r\n"), Err(AuthError::Missing));
    assert_eq!(fields("Proxy-Authorization: x\r\n"), Err(AuthError::Missing));
    assert_eq!(ask("/v1/logs?a=b&c", ""), Err(AuthError::Missing));
    assert_eq!(ask("/v1/logs?", ""), Err(AuthError::Missing));
}

/// An empty or unreadable credential is a wrong one: it must not pass for a sender without a key.
#[test]
fn empty_and_unreadable_credentials_are_invalid() {
    for line in [
        "token:\r\n",
        "Authorization:\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Basic !!!\r\n",
        "Authorization: Basic Zm9v\r\n",
        "Authorization: Digest username=x\r\n",
    ] {
        assert_eq!(fields(line), Err(AuthError::Invalid), "{line:?}");
    }
    assert_eq!(ask("/v1/logs?token=", ""), Err(AuthError::Invalid));
    assert_eq!(ask("/v1/logs?token=%zz", ""), Err(AuthError::Invalid));
    assert_eq!(ask("/v1/logs?token=%4", ""), Err(AuthError::Invalid));
    // A name without `=` is no credential.
    assert_eq!(ask("/v1/logs?token", ""), Err(AuthError::Missing));
}

#[test]
fn keys_are_compared_whole_and_with_their_case() {
    for key in ["key-of-tenant-a", "key-of-tenant-a+/==", "KEY-OF-TENANT-A+/=", " ", "k"] {
        assert_eq!(fields(&format!("token: {key}\r\n")), Err(AuthError::Invalid), "{key:?}");
    }
}

/// Prometheus and curl: the user is fixed, the password may hold colons.
#[test]
fn basic_is_split_at_the_first_colon_for_one_user_only() {
    let with = |user: &str, password: &str| {
        fields(&format!("Authorization: Basic {}\r\n", basic(user, password)))
    };
    assert_eq!(with("groundcover", KEY_B), Ok(20));
    assert_eq!(with("groundcover", "key:of:tenant"), Err(AuthError::Invalid));
    assert_eq!(with("groundcover", ""), Err(AuthError::Invalid));
    for user in ["Groundcover", "ground", "groundcoverx", "", "groundcover "] {
        assert_eq!(with(user, KEY_B), Err(AuthError::Invalid), "{user:?}");
    }
    // Only the bytes count: whichever colon the sender meant, the first one splits.
    assert_eq!(with("groundcover:key", "of:tenant:b"), Ok(20));
    assert_eq!(with("groundcover:x", KEY_B), Err(AuthError::Invalid));
}

#[test]
fn the_query_carries_the_same_names() {
    for name in
        ["token", "apikey", "api_key", "dd-api-key", "x-amz-firehose-access-key", "authorization"]
    {
        for (key, expected) in [
            (KEY_B, Ok(20)),
            ("key%3Aof%3atenant%3Ab", Ok(20)),
            ("%6bey:of:tenant:b", Ok(20)),
            (WRONG, Err(AuthError::Invalid)),
            // Decoded once, not twice.
            ("key%253Aof:tenant:b", Err(AuthError::Invalid)),
        ] {
            for target in [
                format!("/datadog/api/v1/validate?{name}={key}"),
                format!("/x?a=b&{name}={key}&c=d"),
            ] {
                assert_eq!(ask(&target, ""), expected, "{target}");
            }
        }
    }
    for name in ["Token", "APIKEY", "DD-API-KEY", "dd%2Dapi%2dkey", "X-Amz-Firehose-Access-Key"] {
        assert_eq!(ask(&format!("/x?{name}={KEY_B}"), ""), Ok(20), "{name}");
        assert_eq!(ask(&format!("/x?{name}={WRONG}"), ""), Err(AuthError::Invalid), "{name}");
    }
    for name in ["tokenx", "toke", "%token", "token%", "token%0", "token%zz", "dd%252Dapi-key", ""]
    {
        assert_eq!(ask(&format!("/x?{name}={KEY_B}"), ""), Err(AuthError::Missing), "{name}");
    }
    for value in ["Bearer%20", "bearer%20", "BEARER%20%20", "%42earer%20"] {
        assert_eq!(ask(&format!("/x?Authorization={value}{KEY_B}"), ""), Ok(20), "{value}");
        assert_eq!(ask(&format!("/x?token={value}{KEY_B}"), ""), Err(AuthError::Invalid));
    }
    assert_eq!(ask("/x?authorization=Bearer%20", ""), Err(AuthError::Invalid));
    assert_eq!(ask(&format!("/x?authorization=Bearer{KEY_B}"), ""), Err(AuthError::Invalid));
    // A plus is part of a key as base64 has it, and no blank.
    assert_eq!(ask("/x?token=key-of-tenant-a+/=", ""), Ok(10));
    assert_eq!(ask("/x?token=key-of-tenant-a%2B%2F%3D", ""), Ok(10));
}

/// Any valid credential wins: a proxy's own Authorization must not hide the key.
#[test]
fn a_wrong_credential_does_not_hide_a_right_one() {
    for good in field_forms(KEY_A) {
        for bad in field_forms(WRONG).into_iter().chain(["token:\r\n".to_owned()]) {
            assert_eq!(fields(&format!("{bad}{good}")), Ok(10), "{bad:?} {good:?}");
            assert_eq!(fields(&format!("{good}{bad}")), Ok(10), "{good:?} {bad:?}");
        }
    }
    assert_eq!(ask("/x?token=wrong&apikey=key:of:tenant:b", ""), Ok(20));
    assert_eq!(ask("/x?token=wrong&token=key:of:tenant:b", ""), Ok(20));
    assert_eq!(ask("/x?token=key:of:tenant:b", "token: wrong\r\n"), Ok(20));
}

/// Fields in their fixed order, then the query, then Basic: whatever the order of arrival.
#[test]
fn the_first_valid_credential_names_the_tenant() {
    let order =
        ["token", "apikey", "api_key", "dd-api-key", "x-amz-firehose-access-key", "authorization"];
    for (index, first) in order.iter().enumerate() {
        for second in &order[index + 1..] {
            let lines = [format!("{first}: {KEY_A}\r\n"), format!("{second}: {KEY_B}\r\n")];
            assert_eq!(fields(&lines.concat()), Ok(10), "{lines:?}");
            assert_eq!(fields(&format!("{}{}", lines[1], lines[0])), Ok(10), "{lines:?}");
        }
        assert_eq!(ask(&format!("/x?token={KEY_B}"), &format!("{first}: {KEY_A}\r\n")), Ok(10));
    }
    let basic = format!("Authorization: Basic {}\r\n", basic("groundcover", KEY_A));
    assert_eq!(ask(&format!("/x?authorization={KEY_B}"), &basic), Ok(20), "query before Basic");
    assert_eq!(fields(&format!("token: {KEY_A}\r\ntoken: {KEY_B}\r\n")), Ok(10));
    assert_eq!(fields(&format!("token: {KEY_B}\r\ntoken: {KEY_A}\r\n")), Ok(20));
}

/// A request cannot make us hash without end: beyond the bound the first ones count.
#[test]
fn only_so_many_credentials_are_looked_at() {
    let wrong = |count: usize| format!("token: {WRONG}\r\n").repeat(count);
    let last = format!("authorization: {KEY_A}\r\n");
    let most = limits::CREDENTIAL_COUNT_MAX;
    assert_eq!(fields(&(wrong(most - 1) + &last)), Ok(10));
    assert_eq!(fields(&(wrong(most) + &last)), Err(AuthError::Invalid));
}

#[test]
fn credentials_up_to_their_bound_are_looked_up() {
    for (size, good) in [
        (limits::CREDENTIAL_SIZE_MAX - 1, true),
        (limits::CREDENTIAL_SIZE_MAX, true),
        (limits::CREDENTIAL_SIZE_MAX + 1, false),
    ] {
        let key = "k".repeat(size);
        let table = KeyTable::new(&SECRET, std::iter::once((digest(&key), 1)));
        let expected = if good { Ok(1) } else { Err(AuthError::Invalid) };
        for line in [
            format!("X-Amz-Firehose-Access-Key: {key}\r\n"),
            format!("Authorization: Bearer {key}\r\n"),
            format!("Authorization: Basic {}\r\n", basic("groundcover", &key)),
        ] {
            let bytes = format!("POST / HTTP/1.1\r\nHost: h\r\n{line}\r\n");
            let mut scan = HeadScan::default();
            let Ok(Parsed::Item { value: head, .. }) =
                parse(bytes.as_bytes(), &HeadOptions::default(), &mut scan)
            else {
                panic!("no head");
            };
            assert_eq!(authenticate(&table, &head, &mut Scratch::new()), expected, "{size}");
        }
    }
}

/// The memory of a connection must not outlive the key it remembers.
#[test]
fn a_removed_key_is_not_remembered() {
    let mut memo = Memo::new();
    let both = table();
    assert_eq!(memo.lookup(&both, KEY_A.as_bytes()), Some(10));
    assert_eq!(memo.lookup(&both, KEY_A.as_bytes()), Some(10));
    assert_eq!(memo.lookup(&both, KEY_B.as_bytes()), Some(20));
    assert_eq!(memo.lookup(&both, KEY_A.as_bytes()), Some(10));
    let moved = KeyTable::new(&SECRET, std::iter::once((digest(KEY_A), 11)));
    assert_eq!(memo.lookup(&moved, KEY_A.as_bytes()), Some(11));
    assert_eq!(memo.lookup(&moved, KEY_B.as_bytes()), None);
    let none = KeyTable::new(&SECRET, std::iter::empty());
    assert_eq!(memo.lookup(&none, KEY_A.as_bytes()), None);
    // Longer than the memory has room for: always looked up, never wrong.
    let long = "l".repeat(1000);
    let table = KeyTable::new(&SECRET, [(digest(&long), 1), (digest(&long[..96]), 2)].into_iter());
    for _ in 0..3 {
        assert_eq!(memo.lookup(&table, long.as_bytes()), Some(1));
        assert_eq!(memo.lookup(&table, &long.as_bytes()[..96]), Some(2));
        assert_eq!(memo.lookup(&table, &long.as_bytes()[..95]), None);
    }
}

/// Thousands of keys, all found, none confused; and a fresh secret files them all elsewhere.
#[test]
fn tables_of_any_size_find_every_key_and_no_other() {
    for count in [0_u32, 1, 2, 3, 4, 5, 100, 5000] {
        for secret in [[0; 32], [0x5a; 32]] {
            let key = |number: u32| format!("key number {number}");
            let entries = (0..count).map(|n| (KeyTable::digest(&secret, key(n).as_bytes()), n));
            let table = KeyTable::new(&secret, entries);
            for number in 0..count {
                assert_eq!(table.lookup(key(number).as_bytes()), Some(number));
            }
            for number in count..count + 100 {
                assert_eq!(table.lookup(key(number).as_bytes()), None);
            }
            assert_eq!(table.lookup(b""), None);
        }
    }
}

#[test]
fn of_two_entries_for_one_key_the_first_holds() {
    let entries = [(digest(KEY_A), 1), (digest(KEY_A), 2)];
    assert_eq!(KeyTable::new(&SECRET, entries.into_iter()).lookup(KEY_A.as_bytes()), Some(1));
}

/// Debug output ends up in logs: no key may be in it.
#[test]
fn debug_output_holds_no_key() {
    let bytes = format!("POST /x?token={KEY_B} HTTP/1.1\r\nHost: h\r\ntoken: {KEY_A}\r\n\r\n");
    let mut scan = HeadScan::default();
    let Ok(Parsed::Item { value: head, .. }) =
        parse(bytes.as_bytes(), &HeadOptions::default(), &mut scan)
    else {
        panic!("no head");
    };
    let mut scratch = Scratch::new();
    let mut memo = Memo::new();
    let table = table();
    authenticate_remembering(&table, &head, &mut scratch, &mut memo).unwrap();
    let text = format!("{head:?} {scratch:?} {memo:?} {table:?}");
    assert!(text.contains("token"), "the field's name is there: {text}");
    assert!(!text.contains("tenant"), "{text}");
}

/// What stands in the journal must hold no key, however its name was written.
#[test]
fn a_kept_query_is_without_keys() {
    let kept = |query: &str| {
        let mut kept = None;
        assert!(inrush::auth::push_query(query, |query| {
            kept = Some(String::from_utf8(query.to_vec()).unwrap());
            true
        }));
        kept
    };
    for secret in
        ["token=a", "Api_Key=a", "dd%2Dapi%2dkey=a", "%41uthorization=Bearer%20a", "apikey"]
    {
        assert_eq!(kept(secret), None, "{secret}");
        assert_eq!(kept(&format!("x=1&{secret}&y=2")).as_deref(), Some("x=1&y=2"), "{secret}");
    }
    assert_eq!(kept("x=token&tokens=1").as_deref(), Some("x=token&tokens=1"));
}
