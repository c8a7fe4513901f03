//! How another part of the simulator answers requests to the camera's web server.

use async_trait::async_trait;

use super::wire::{Answer, Request};

/// A part of the web server with paths and a login of its own. Faults on request apply to its answers, too.
#[async_trait]
pub trait Service: Send + Sync {
    /// Whether it answers requests to `target`, which is path and query as they were on the wire.
    fn takes(&self, target: &str) -> bool;

    /// The answer to a request, whose login nobody checked before.
    async fn answer(&self, request: &Request) -> Answer;
}
