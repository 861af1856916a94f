//! Memory that travels: aligned buffers from socket to device, and the pool they come from.
//!
//! Place: below every stage. A buffer goes into a ring operation and comes back with its result, so
//! whoever holds it may touch it.

mod aligned;
mod heap;
mod pool;

pub use aligned::AlignedBuffer;
pub use heap::give_back;
pub use pool::{Pool, PoolError};
