//! What is stopped, switched and set up on a camera, and what is left as it was.

use super::*;

#[tokio::test]
async fn the_zoom_of_an_axis_without_pan_and_tilt_is_stopped() {
    let camera = Camera::start(|request| match request.contains("pantilt") {
        true => http(200, "Error:\nno pan and tilt\n"),
        false => http(200, ""),
    })
    .await;
    let ptz = channel("axis", &camera.http(), 1).ptz.unwrap();
    ptz.start(Movement { direction: Direction::ZoomIn, speed: 50 }).await.unwrap();
    let before = lines(&camera).len();
    ptz.stop().await.unwrap();
    let sent = lines(&camera).split_off(before);
    assert!(sent[0].ends_with("continuouszoommove=0"), "what moves is stopped first: {sent:?}");
    ptz.start(Movement { direction: Direction::Up, speed: 50 }).await.unwrap_err();
}
