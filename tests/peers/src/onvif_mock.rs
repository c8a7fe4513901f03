//! The mock camera of the crate oxvif: `onvif-mock PORT`. Its users are its own.
use oxvif::mock::MockServer;

#[tokio::main]
async fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("onvif-mock PORT");
    let server = MockServer::builder().port(port).start().await.expect("the port is free");
    println!("listening {}", server.device_url());
    std::future::pending::<()>().await;
}
