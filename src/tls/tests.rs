//! TLS sessions against a client in memory.
