//! Tests of the services, by requests as clients send them.
