//! The rules of the hosted service (TLSS).
