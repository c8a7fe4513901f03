//! One login at several ports of a host.

use super::*;

#[tokio::test]
async fn the_ports_of_a_host_share_the_rest_of_a_refused_login() {
    let (one, other) = (Guarded::start(&[AUTH]).await, Guarded::start(&[AUTH]).await);
    let at_one = one.http("wrong");
    let at_other = at_one.at_port(other.camera.port);
    let wrong = || (one.wrong(), other.wrong());
    let mut tasks = JoinSet::new();
    for http in [&at_one, &at_other].repeat(10) {
        let http = http.clone();
        tasks.spawn(async move { http.get("/a", "").await.unwrap().status });
    }
    assert_eq!(tasks.join_all().await, [401; 20]);
    assert_eq!(one.wrong() + other.wrong(), 1, "also at once");
    let (before, _) = wrong();
    assert_eq!(at_other.get("/b", "").await.unwrap().status, 401);
    for port in [one.camera.port, other.camera.port] {
        // Clients that are made later know it too.
        assert_eq!(at_other.at_port(port).get("/c", "").await.unwrap().status, 401);
    }
    assert_eq!(wrong(), (before, 2 - before), "the second path has taken all with it");
    pass(10 * MINUTE).await;
    assert_eq!(at_one.get("/c", "").await.unwrap().status, 401);
    assert_eq!(one.wrong(), before + 1);
}

#[tokio::test]
async fn the_ports_of_a_host_have_challenges_of_their_own() {
    let (one, other) = (Guarded::start(&[AUTH]).await, Guarded::start(&[AUTH]).await);
    // Each port counts the nonces of the other one as wrong.
    other.guard().only_nonce = Some("other");
    let at_one = one.http("right");
    let at_other = at_one.at_port(other.camera.port);
    for _ in 0..10 {
        assert_eq!(at_one.get("/a", "").await.unwrap().status, 200);
        assert_eq!(at_other.get("/a", "").await.unwrap().status, 200);
    }
    assert_eq!((one.camera.requests().len(), other.camera.requests().len()), (11, 11));
}
