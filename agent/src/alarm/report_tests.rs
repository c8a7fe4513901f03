use std::collections::VecDeque;
use std::sync::Mutex;

use ivt_proto::rpc::RpcError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::super::desk::AlarmCounts;
use super::super::outbox::Place;
use super::*;
use crate::shutdown::{Stopper, stopper};

const GATE: Place = (0, Trigger::Input);
const PICTURE: &[u8] = b"\xff\xd8 a picture";
const SECRET: &str = "http://127.0.0.1/pictures?sign=geheim7";

/// A cloud that a test plays.
struct Played {
    connected: watch::Sender<bool>,
    /// What the next calls are answered with; then with an address for the picture.
    answers: Mutex<VecDeque<Answer>>,
    /// How long an answer takes.
    answers_after: Mutex<Duration>,
    told: Mutex<Vec<(Duration, AlarmNotify)>>,
    /// What the next uploads are answered with; then with success.
    uploads: Mutex<VecDeque<HttpError>>,
    sent: Mutex<Vec<(Duration, usize)>>,
    calls: Mutex<[usize; 2]>,
    began: Instant,
}

#[async_trait]
impl Outside for Played {
    fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    async fn connected(&self) {
        self.connected.subscribe().wait_for(|connected| *connected).await.unwrap();
    }

    async fn notify(&self, alarm: AlarmNotify) -> Answer {
        let outstanding = {
            let mut calls = self.calls.lock().unwrap();
            calls[0] += 1;
            calls[0] - calls[1]
        };
        assert_eq!(outstanding, 1, "one call at a time");
        let pause = *self.answers_after.lock().unwrap();
        sleep(pause).await;
        self.calls.lock().unwrap()[1] += 1;
        let answer = self.answers.lock().unwrap().pop_front();
        if answer.as_ref().is_none_or(|answer| !matches!(answer, Err(CallError::Full))) {
            self.told.lock().unwrap().push((self.began.elapsed(), alarm));
        }
        answer
            .unwrap_or_else(|| Ok(AlarmPicture { pic_upload_url: Secret::from(SECRET.to_owned()) }))
    }

    async fn upload(&self, to: &Address, picture: Bytes) -> Result<(), HttpError> {
        assert_eq!(to.as_ref(), SECRET);
        self.sent.lock().unwrap().push((self.began.elapsed(), picture.len()));
        self.uploads.lock().unwrap().pop_front().map_or(Ok(()), Err)
    }
}

/// A reporter that runs.
struct Rig {
    cloud: Arc<Played>,
    desk: Desk,
    bits: watch::Receiver<u32>,
    _stop: Stopper,
    task: JoinHandle<()>,
}

impl Rig {
    fn new(connected: bool) -> Self {
        let channels: Vec<watch::Sender<u32>> = (0..16).map(|_| watch::Sender::new(0)).collect();
        let bits = channels[0].subscribe();
        let desk = Desk::new(channels, [2, 3, 4]);
        let cloud = Arc::new(Played {
            connected: watch::Sender::new(connected),
            answers: Mutex::default(),
            answers_after: Mutex::default(),
            told: Mutex::default(),
            uploads: Mutex::default(),
            sent: Mutex::default(),
            calls: Mutex::default(),
            began: Instant::now(),
        });
        let (stop, stopping) = stopper();
        let task = tokio::spawn(run(desk.clone(), Arc::clone(&cloud) as _, stopping));
        Self { cloud, desk, bits, _stop: stop, task }
    }

    fn begin(&self, place: Place) -> u64 {
        self.desk.begin(place, "gate", noon(), true)
    }

    fn begin_with_picture(&self, place: Place) {
        let id = self.begin(place);
        self.desk.take_picture(id, Some(Bytes::from_static(PICTURE)));
    }

    fn end(&self, place: Place) {
        self.desk.end(place, noon());
    }

    /// Channels and edges in the order in which they were told.
    fn told(&self) -> Vec<(u32, AlarmEdge)> {
        self.cloud.told.lock().unwrap().iter().map(|(_, it)| (it.channel, it.state)).collect()
    }

    fn sent(&self) -> usize {
        self.cloud.sent.lock().unwrap().len()
    }

    fn counts(&self) -> AlarmCounts {
        self.desk.counts()
    }
}

fn noon() -> ivt_base::wall_time::WallTime {
    "2026-11-30T12:00:00".parse().unwrap()
}

async fn settle() {
    sleep(Duration::from_secs(300)).await;
}

#[tokio::test(start_paused = true)]
async fn an_alarm_is_told_at_once_and_its_picture_follows_when_it_is_there() {
    let rig = Rig::new(true);
    let id = rig.begin(GATE);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(rig.told(), [(0, AlarmEdge::Start)], "without waiting for the picture");
    assert_eq!(*rig.bits.borrow(), 4);
    sleep(Duration::from_secs(3)).await;
    rig.desk.take_picture(id, Some(Bytes::from_static(PICTURE)));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(*rig.cloud.sent.lock().unwrap(), [(Duration::from_millis(3_001), PICTURE.len())]);
    rig.end(GATE);
    settle().await;
    assert_eq!(rig.told(), [(0, AlarmEdge::Start), (0, AlarmEdge::End)]);
    assert_eq!((*rig.bits.borrow(), rig.sent()), (0, 1), "the end has no picture");
    let counts = rig.counts();
    assert_eq!((counts.begun, counts.reported, counts.late), (1, 2, 0));
    assert_eq!((counts.pictures_sent, counts.pictures_dropped), (1, 0));
    let told = rig.cloud.told.lock().unwrap();
    assert_eq!(told[0].1.desc, "Alarm input (gate), 2026-11-30 12:00:00");
    assert_eq!((told[0].1.kind, told[0].1.channel), (AlarmKind::External, 0));
}

#[tokio::test(start_paused = true)]
async fn what_happened_during_an_outage_is_told_late_with_its_picture() {
    let rig = Rig::new(false);
    rig.begin_with_picture(GATE);
    sleep(Duration::from_secs(20)).await;
    rig.end(GATE);
    rig.begin((3, Trigger::Motion));
    sleep(Duration::from_secs(600)).await;
    assert_eq!((rig.told(), *rig.bits.borrow()), (vec![], 4), "the bit waits for the end's report");
    rig.cloud.connected.send_replace(true);
    sleep(Duration::from_millis(1)).await;
    let told = rig.cloud.told.lock().unwrap().clone();
    let desc: Vec<&str> = told.iter().map(|(_, alarm)| &*alarm.desc).collect();
    assert_eq!(
        desc,
        [
            "Alarm input (gate), 2026-11-30 12:00:00, reported 10 min late",
            "Alarm input ended (gate), 2026-11-30 12:00:00, reported 10 min late",
            "Motion detected (gate), 2026-11-30 12:00:00, reported 10 min late",
        ]
    );
    assert_eq!((rig.sent(), *rig.bits.borrow()), (1, 0));
    assert_eq!((rig.counts().late, rig.counts().reported), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_report_whose_answer_was_lost_is_repeated_after_ever_longer_rests() {
    let rig = Rig::new(true);
    rig.cloud.answers.lock().unwrap().extend(vec![Err(CallError::Lost); 7]);
    rig.begin(GATE);
    sleep(Duration::from_secs(1)).await;
    rig.end(GATE);
    sleep(Duration::from_secs(3 * 3600)).await;
    let told = rig.cloud.told.lock().unwrap().clone();
    let seconds: Vec<u64> = told.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(seconds, [0, 1, 6, 26, 86, 686, 4_286, 7_886, 7_886]);
    assert!(told[..8].iter().all(|(_, alarm)| alarm.state == AlarmEdge::Start));
    assert_eq!((told[8].1.state, *rig.bits.borrow()), (AlarmEdge::End, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_never_answers_alarms_keeps_its_connection() {
    let rig = Rig::new(true);
    *rig.cloud.answers_after.lock().unwrap() = Duration::from_secs(20);
    rig.cloud.answers.lock().unwrap().extend(vec![Err(CallError::Lost); 1000]);
    for channel in 0..16 {
        rig.begin_with_picture((channel, Trigger::Motion));
    }
    sleep(Duration::from_secs(3600)).await;
    let lost = rig.told().len();
    assert!((5..=12).contains(&lost), "{lost} connections lost in an hour");
    // It answers again.
    rig.cloud.answers.lock().unwrap().clear();
    sleep(Duration::from_secs(2 * 3600)).await;
    assert_eq!((rig.counts().reported, rig.sent()), (16, 16));
}

#[tokio::test(start_paused = true)]
async fn a_picture_outlasts_an_outage_that_begins_after_its_report() {
    let rig = Rig::new(true);
    let away = || HttpError::Transport("no route".into());
    let id = rig.begin(GATE);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.told().len(), 1);
    rig.cloud.uploads.lock().unwrap().extend((0..9).map(|_| away()));
    rig.desk.take_picture(id, Some(Bytes::from_static(PICTURE)));
    // The outage is noticed after 20 s.
    sleep(Duration::from_secs(20)).await;
    rig.cloud.connected.send_replace(false);
    sleep(Duration::from_secs(20)).await;
    rig.cloud.uploads.lock().unwrap().extend((0..500).map(|_| away()));
    sleep(Duration::from_secs(600)).await;
    assert_eq!(rig.counts().pictures_dropped, 0);
    assert!((60..70).contains(&rig.sent()), "{} attempts in ten minutes", rig.sent());
    rig.cloud.uploads.lock().unwrap().clear();
    rig.cloud.uploads.lock().unwrap().extend([away(), away()]);
    rig.cloud.connected.send_replace(true);
    settle().await;
    assert_eq!((rig.counts().pictures_sent, rig.counts().pictures_dropped), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_refuses_an_alarm_is_asked_twice() {
    let rig = Rig::new(true);
    let refusal = || Err(CallError::Rejected(RpcError::new(101, "unknown")));
    rig.cloud.answers.lock().unwrap().extend([refusal(), refusal()]);
    rig.begin_with_picture(GATE);
    settle().await;
    assert_eq!(rig.told(), [(0, AlarmEdge::Start); 2]);
    assert_eq!((rig.counts().refused, rig.counts().pictures_dropped, rig.sent()), (1, 1, 0));
    rig.cloud.answers.lock().unwrap().push_back(refusal());
    rig.end(GATE);
    settle().await;
    assert_eq!(rig.told()[2..], [(0, AlarmEdge::End); 2], "the second try is answered");
    assert_eq!(*rig.bits.borrow(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_and_an_answer_that_cannot_be_read_lose_no_alarm() {
    let rig = Rig::new(true);
    rig.cloud.answers.lock().unwrap().extend([
        Err(CallError::Full),
        Err(CallError::Full),
        Err(CallError::Unreadable(RpcError::internal("no object"))),
    ]);
    rig.begin_with_picture(GATE);
    settle().await;
    assert_eq!((rig.told(), rig.sent()), (vec![(0, AlarmEdge::Start)], 0));
    assert_eq!((rig.counts().reported, rig.counts().refused), (1, 0));
    rig.cloud.answers.lock().unwrap().push_back(Ok(AlarmPicture::default()));
    rig.begin_with_picture((1, Trigger::Line));
    settle().await;
    assert_eq!((rig.told().len(), rig.sent()), (2, 0), "no picture is wanted");
    assert_eq!(rig.counts().pictures_dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_none_costs_the_picture_and_not_the_alarm() {
    let rig = Rig::new(true);
    let wrong = ["ftp://h/geheim7", "http://u:geheim7@h/", "no address", "http://"];
    for url in wrong {
        let answer = AlarmPicture { pic_upload_url: Secret::from(url.to_owned()) };
        rig.cloud.answers.lock().unwrap().push_back(Ok(answer));
        rig.begin_with_picture(GATE);
        settle().await;
        rig.end(GATE);
        settle().await;
    }
    assert_eq!((rig.told().len(), rig.sent()), (8, 0));
    assert_eq!(rig.counts().pictures_dropped, 4);
    assert!(!rig.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_sent_again_while_its_server_is_away() {
    let rig = Rig::new(true);
    let away = || HttpError::Transport("cut".into());
    rig.cloud
        .uploads
        .lock()
        .unwrap()
        .extend([away(), HttpError::Later("503".into(), Duration::from_secs(60))]);
    rig.begin_with_picture(GATE);
    settle().await;
    let seconds: Vec<u64> =
        rig.cloud.sent.lock().unwrap().iter().map(|it| it.0.as_secs()).collect();
    assert_eq!((seconds, rig.counts().pictures_sent), (vec![0, 2, 62], 1));
    rig.cloud.uploads.lock().unwrap().extend((0..9).map(|_| away()));
    rig.begin_with_picture((1, Trigger::Input));
    settle().await;
    assert_eq!((rig.sent(), rig.counts().pictures_dropped), (3 + 4, 1), "not for ever");
    rig.cloud.uploads.lock().unwrap().clear();
    rig.cloud.uploads.lock().unwrap().push_back(HttpError::Refused("a forbidden host".into()));
    rig.begin_with_picture((2, Trigger::Input));
    settle().await;
    assert_eq!((rig.sent(), rig.counts().pictures_dropped), (8, 2), "a refusal is final");
}

#[tokio::test(start_paused = true)]
async fn what_is_withdrawn_on_its_way_has_no_picture_and_no_end() {
    let rig = Rig::new(true);
    *rig.cloud.answers_after.lock().unwrap() = Duration::from_secs(5);
    rig.begin_with_picture(GATE);
    sleep(Duration::from_secs(1)).await;
    rig.desk.withdraw(GATE);
    assert_eq!(*rig.bits.borrow(), 0);
    settle().await;
    assert_eq!((rig.told(), rig.sent()), (vec![(0, AlarmEdge::Start)], 0));
}

#[tokio::test(start_paused = true)]
async fn thirty_alarms_at_once_are_all_told_with_their_pictures() {
    let rig = Rig::new(true);
    *rig.cloud.answers_after.lock().unwrap() = Duration::from_millis(50);
    let places =
        (0..16).flat_map(|channel| [(channel, Trigger::Input), (channel, Trigger::Motion)]);
    let places: Vec<Place> = places.take(30).collect();
    places.iter().for_each(|place| rig.begin_with_picture(*place));
    let all = async {
        while rig.sent() < 30 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(2), all).await.unwrap();
    places.iter().for_each(|place| rig.end(*place));
    settle().await;
    assert_eq!((rig.told().len(), rig.counts().pictures_dropped), (60, 0));
    assert_eq!(*rig.bits.borrow(), 0);
}

#[tokio::test(start_paused = true)]
async fn pictures_of_a_long_outage_are_bounded_and_the_newest_stay() {
    let rig = Rig::new(false);
    for channel in 0..100 {
        let id = rig.desk.begin((channel, Trigger::Input), "", noon(), true);
        rig.desk.take_picture(id, Some(Bytes::from(vec![0; 200 << 10])));
    }
    assert_eq!(rig.counts().pictures_dropped, 60, "8 MiB hold 40 of 200 KiB");
    let id = rig.desk.begin((0, Trigger::Motion), "", noon(), true);
    rig.desk.take_picture(id, Some(Bytes::from(vec![0; 10 << 20])));
    assert_eq!(rig.counts().pictures_dropped, 61, "one of 10 MB is left out");
    rig.cloud.connected.send_replace(true);
    settle().await;
    assert_eq!((rig.told().len(), rig.sent()), (101, 40));
}
