//! A forwarder between two programs that behaves like a bad network, from one seed.
