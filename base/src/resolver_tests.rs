use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, LazyLock};

use tokio::task::JoinSet;

use super::*;

/// How often the resolver was asked, and whether it may answer.
struct Slow {
    asked: AtomicUsize,
    open: (Mutex<bool>, Condvar),
}

static SLOW: LazyLock<Slow> = LazyLock::new(|| Slow {
    asked: AtomicUsize::new(0),
    open: (Mutex::new(false), Condvar::new()),
});

fn slow(_: &str) -> io::Result<Vec<SocketAddr>> {
    SLOW.asked.fetch_add(1, Ordering::Relaxed);
    let (open, changed) = &SLOW.open;
    let _open = changed.wait_while(lock(open), |open| !*open).unwrap();
    Ok(vec![([127, 0, 0, 1], 0).into()])
}

#[tokio::test]
async fn look_ups_of_one_name_are_one_and_no_more_than_two_take_threads() {
    static LOOKUPS: Lookups = Lookups::new(slow);
    let mut tasks = JoinSet::new();
    let ask = |name: String| async move { LOOKUPS.find(&name).await.map(|found| found.len()) };
    (0..10).for_each(|_| drop(tasks.spawn(ask("same".into()))));
    (0..10).for_each(|n| drop(tasks.spawn(ask(format!("other-{n}")))));
    while SLOW.asked.load(Ordering::Relaxed) < THREADS {
        tokio::task::yield_now().await;
    }
    // Those who ask go away, while their threads hang.
    tasks.shutdown().await;
    for n in 0..10 {
        let waited = timeout(Duration::from_millis(5), LOOKUPS.find(&format!("more-{n}"))).await;
        assert!(waited.is_err(), "a third thread");
    }
    assert_eq!(SLOW.asked.load(Ordering::Relaxed), THREADS);
    assert_eq!(lock(&LOOKUPS.running).len(), THREADS, "only those that hang are remembered");

    *lock(&SLOW.open.0) = true;
    SLOW.open.1.notify_all();
    assert_eq!(LOOKUPS.find("after").await.unwrap().len(), 1);
    while lock(&LOOKUPS.running).iter().any(|running| running.until.is_none()) {
        tokio::task::yield_now().await;
    }
}

fn failing(_: &str) -> io::Result<Vec<SocketAddr>> {
    Err(io::Error::new(io::ErrorKind::NotFound, "no such name"))
}

#[tokio::test]
async fn a_failure_is_told_in_the_resolvers_own_words() {
    static LOOKUPS: Lookups = Lookups::new(failing);
    for _ in 0..2 {
        let error = LOOKUPS.find("name").await.unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), (io::ErrorKind::NotFound, "no such name"));
    }
}

#[tokio::test]
async fn the_last_good_address_helps_out_when_the_resolver_fails() {
    testing::answer("gone.test", &[&[]]);
    assert_eq!(resolve("gone.test", 7, &CAMERAS).await.unwrap(), []);
    let good = IpAddr::from([192, 0, 2, 7]);
    works("lost.invalid", good);
    assert_eq!(resolve("lost.invalid", 7, &CLOUD).await.unwrap(), [SocketAddr::new(good, 7)]);
    assert!(resolve("never.invalid", 7, &CLOUD).await.is_err());
}

#[tokio::test]
async fn few_names_are_remembered_and_no_addresses() {
    let mut good = VecDeque::new();
    for n in 0..3 * NAMES {
        remember(&mut good, &format!("many-{n}.test"), [192, 0, 2, 1].into());
        works(&format!("192.0.2.{n}"), [192, 0, 2, 1].into());
    }
    assert_eq!(good.len(), NAMES);
    assert_eq!(last_good("192.0.2.0"), None);
    assert_eq!(resolve("::1", 7, &CLOUD).await.unwrap(), ["[::1]:7".parse().unwrap()]);
}

/// Whether the server of [`slow_server`] may answer.
static ANSWERS: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

fn slow_server(_: &str) -> io::Result<Vec<SocketAddr>> {
    let _open = ANSWERS.1.wait_while(lock(&ANSWERS.0), |open| !*open).unwrap();
    Ok(vec![([192, 0, 2, 2], 0).into()])
}

#[tokio::test]
async fn a_name_that_moved_is_found_by_a_slow_resolver() {
    static LOOKUPS: Lookups = Lookups::new(slow_server);
    let [old, new] = [1, 2].map(|n| SocketAddr::from(([192, 0, 2, n], 7)));
    works("moved.test", old.ip());
    assert_eq!(resolve("moved.test", 7, &LOOKUPS).await.unwrap(), [old], "it worked before");
    doubt("moved.test");
    let patient = timeout(LIMIT_WITH_GOOD * 2, resolve("moved.test", 7, &LOOKUPS)).await;
    assert!(patient.is_err(), "{patient:?}: the old address takes no connection any more");

    // The answer comes when nobody waits.
    *lock(&ANSWERS.0) = true;
    ANSWERS.1.notify_all();
    while lock(&LOOKUPS.running).iter().any(|running| running.until.is_none()) {
        tokio::task::yield_now().await;
    }
    *lock(&ANSWERS.0) = false;
    assert_eq!(resolve("moved.test", 7, &LOOKUPS).await.unwrap(), [new]);

    // It is not kept for ever.
    lock(&LOOKUPS.running).iter_mut().for_each(|kept| kept.until = Some(Instant::now()));
    let anew = timeout(Duration::from_millis(5), LOOKUPS.find("moved.test")).await;
    assert!(anew.is_err(), "{anew:?}");
    *lock(&ANSWERS.0) = true;
    ANSWERS.1.notify_all();
}

#[tokio::test]
async fn names_of_servers_wait_for_no_cameras_name() {
    testing::answer("server.test", &[&[[127, 0, 0, 1].into()]]);
    let _silent = testing::silence(&CAMERAS).await;
    let waited = timeout(Duration::from_millis(5), CAMERAS.find("camera-5.test")).await;
    assert!(waited.is_err(), "a third thread");
    assert_eq!(resolve("server.test", 7, &SERVERS).await.unwrap().len(), 1);
}
