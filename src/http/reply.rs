//! A reply before it is bytes: status, fields, body. Filled by `outcome`, written by `http1::reply`
//! (later also by HTTP/2). One is kept a connection and filled again and again: what it owns keeps its
//! memory from reply to reply.

/// Values made of bytes, all fields of a reply together: an echoed origin and header names.
pub const FIELD_BYTES_SIZE_MAX: usize = 2048;
/// Fields beside content type, length, date and connection.
pub const FIELD_COUNT_MAX: usize = 12;

/// The value of a reply's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Static(&'static str),
    Number(u64),
    Bytes(&'a [u8]),
}

#[derive(Clone, Copy, Debug)]
enum StoredValue {
    Static(&'static str),
    Number(u64),
    /// A range of the reply's inline bytes.
    Bytes {
        start: usize,
        end: usize,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Body {
    #[default]
    Empty,
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl Body {
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: Option<&'static str>,
    pub body: Body,
    /// The connection ends after this reply, whatever the client would like.
    pub close: bool,
    fields: [(&'static str, StoredValue); FIELD_COUNT_MAX],
    field_count: usize,
    field_bytes: [u8; FIELD_BYTES_SIZE_MAX],
    field_bytes_size: usize,
    /// The memory of a former body.
    spare: Vec<u8>,
}

impl Default for Reply {
    fn default() -> Self {
        Self::new()
    }
}

impl Reply {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            status: 200,
            content_type: None,
            body: Body::Empty,
            close: false,
            fields: [("", StoredValue::Number(0)); FIELD_COUNT_MAX],
            field_count: 0,
            field_bytes: [0; FIELD_BYTES_SIZE_MAX],
            field_bytes_size: 0,
            spare: Vec::new(),
        }
    }

    /// Back to an empty 200, keeping memory.
    pub fn clear(&mut self) {
        self.status = 200;
        self.content_type = None;
        self.close = false;
        self.field_count = 0;
        self.field_bytes_size = 0;
        if let Body::Owned(bytes) = std::mem::take(&mut self.body)
            && bytes.capacity() > self.spare.capacity()
        {
            self.spare = bytes;
        }
    }

    /// Makes the body an owned one, empty, in memory of a former body, to be written into.
    pub fn owned_body(&mut self) -> &mut Vec<u8> {
        let mut bytes = match std::mem::take(&mut self.body) {
            Body::Owned(bytes) => bytes,
            _ => std::mem::take(&mut self.spare),
        };
        bytes.clear();
        self.body = Body::Owned(bytes);
        match &mut self.body {
            Body::Owned(bytes) => bytes,
            // The line above made it owned.
            _ => &mut self.spare,
        }
    }

    /// Adds a field. False, and nothing added, where there is no room, or where `Bytes` hold
    /// anything that could end the value early: what a peer sent must not split a reply.
    pub fn push(&mut self, name: &'static str, value: Value<'_>) -> bool {
        let stored = match value {
            Value::Static(text) => StoredValue::Static(text),
            Value::Number(number) => StoredValue::Number(number),
            Value::Bytes(bytes) => {
                let start = self.field_bytes_size;
                let end = start + bytes.len();
                let clean = bytes.iter().all(|&byte| matches!(byte, b' '..=0x7e));
                match self.field_bytes.get_mut(start..end) {
                    Some(room) if clean => room.copy_from_slice(bytes),
                    _ => return false,
                }
                StoredValue::Bytes { start, end }
            }
        };
        let Some(slot) = self.fields.get_mut(self.field_count) else {
            return false;
        };
        *slot = (name, stored);
        self.field_count += 1;
        if let StoredValue::Bytes { end, .. } = stored {
            self.field_bytes_size = end;
        }
        true
    }

    /// The fields added, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        self.fields.iter().take(self.field_count).map(|&(name, value)| {
            let value = match value {
                StoredValue::Static(text) => Value::Static(text),
                StoredValue::Number(number) => Value::Number(number),
                StoredValue::Bytes { start, end } => {
                    Value::Bytes(self.field_bytes.get(start..end).unwrap_or_default())
                }
            };
            (name, value)
        })
    }

    #[must_use]
    pub fn field(&self, name: &str) -> Option<Value<'_>> {
        self.fields().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

/// The words behind a status code (RFC 9110, section 15).
#[must_use]
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        // The reason may be empty; the blank before it stays.
        _ => "",
    }
}
