//! RFC 9112, HTTP/1.1.

mod section_2_message;
mod section_3_2_target;
mod section_3_request_line;
mod section_5_fields;
mod section_6_body_length;
mod section_7_chunked;
mod section_9_connection;
