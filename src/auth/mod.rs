//! From the credentials a request presents to the tenant it stands for.
//!
//! Place: after `route`, before any byte of the body is waited for. No IO: the table comes from
//! `command::key`. Any valid credential wins; the first valid one, in a fixed order of the places
//! where it may stand, names the tenant.

#![deny(clippy::indexing_slicing)]

pub mod credential;
pub mod keys_file;
mod memo;
pub mod table;

pub use credential::{Candidates, push_query};
pub use memo::Memo;
pub use table::KeyTable;

use crate::http::head::RequestHead;

/// Memory for the credentials of one request, used again for the next.
pub type Scratch = Candidates;

/// Why a request stands for no tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthError {
    /// No credential at all.
    Missing,
    /// Credentials, none of which is a key.
    Invalid,
}

/// Answers with the index of the tenant, as the table's entries gave it.
pub fn authenticate(
    table: &KeyTable,
    head: &RequestHead<'_>,
    scratch: &mut Scratch,
) -> Result<u32, AuthError> {
    authenticate_with(head, scratch, |secret| table.lookup(secret))
}

/// Like [`authenticate`], with the memory of a connection whose requests present the same key
/// again and again.
pub fn authenticate_remembering(
    table: &KeyTable,
    head: &RequestHead<'_>,
    scratch: &mut Scratch,
    memo: &mut Memo,
) -> Result<u32, AuthError> {
    authenticate_with(head, scratch, |secret| memo.lookup(table, secret))
}

fn authenticate_with(
    head: &RequestHead<'_>,
    scratch: &mut Scratch,
    mut lookup: impl FnMut(&[u8]) -> Option<u32>,
) -> Result<u32, AuthError> {
    credential::candidates(head, scratch);
    match scratch.iter().find_map(&mut lookup) {
        Some(tenant) => Ok(tenant),
        None if scratch.is_presented() => Err(AuthError::Invalid),
        None => Err(AuthError::Missing),
    }
}
