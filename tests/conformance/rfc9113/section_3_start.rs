//! RFC 9113, section 3: how a connection begins.

use super::peer::{Wire, ends_connection, feed};
use inrush::http::http2::frame::Kind;
use inrush::http::http2::{ErrorCode, PREFACE};

/// 3.4: the server's first frame is SETTINGS; those of the client are acknowledged.
#[test]
fn settings_open_both_directions() {
    let answer = feed(&Wire::new());
    assert_eq!(answer.sent[0].kind, Kind::Settings);
    assert_eq!(answer.sent[0].flags, 0);
    let acknowledgements: Vec<_> =
        answer.sent_of(Kind::Settings).into_iter().filter(|sent| sent.flags == 1).collect();
    assert_eq!(acknowledgements.len(), 1);
    assert!(acknowledgements[0].payload.is_empty());
    // The connection's window starts at 65,535 whatever the settings say (6.9.2).
    assert_eq!(answer.sent[1].kind, Kind::WindowUpdate);
    assert_eq!(answer.sent[1].stream, 0);
}

#[test]
fn anything_else_than_the_preface_ends_the_connection() {
    for place in 4..PREFACE.len() {
        let mut wire = Wire::new();
        wire.0[place] ^= 0x20;
        ends_connection(&wire, ErrorCode::Protocol);
    }
}

#[test]
fn the_first_frame_must_be_settings() {
    let ping = Wire(PREFACE.to_vec()).frame(Kind::Ping, 0, 0, &[0; 8]);
    ends_connection(&ping, ErrorCode::Protocol);
    let acknowledgement = Wire(PREFACE.to_vec()).frame(Kind::Settings, 1, 0, b"");
    ends_connection(&acknowledgement, ErrorCode::Protocol);
}
