//! GetPTZPresetList and GetPTZPresetTourList, and the events that move a camera.

use ivt_hal::{Direction, MOST_NAMED, Movement};
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{
    CtrlPtz, CtrlPtzPatrol, CtrlPtzPresetTour, GetPtzPresetList, GetPtzPresetTourList,
    GotoPtzPreset, PtzOp, PtzPreset, PtzTour, StartStop, to_value,
};
use serde_json::Value;

use super::{Dispatch, told};
use crate::ptz::Order;

/// Longest token of a preset or tour, in bytes.
const TOKEN: usize = 256;

pub(super) async fn presets(
    dispatch: &Dispatch,
    request: GetPtzPresetList,
) -> Result<Value, RpcError> {
    let presets = dispatch.ability(request.channel, "presets", |camera| &camera.presets)?;
    let list = told(request.channel, presets.list()).await?.into_iter().take(MOST_NAMED);
    let list = list.map(|preset| PtzPreset { name: preset.name, token: preset.token });
    to_value(&list.collect::<Vec<_>>())
}

pub(super) async fn tours(
    dispatch: &Dispatch,
    request: GetPtzPresetTourList,
) -> Result<Value, RpcError> {
    let tours = dispatch.ability(request.channel, "tours", |camera| &camera.tours)?;
    let list = told(request.channel, tours.list()).await?.into_iter().take(MOST_NAMED);
    let list = list.map(|tour| PtzTour { name: tour.name, token: tour.token });
    to_value(&list.collect::<Vec<_>>())
}

/// The order of a CtrlPTZ for a channel whose camera can move.
pub(super) fn movement(dispatch: &Dispatch, event: &CtrlPtz) -> Result<Order, RpcError> {
    dispatch.ability(event.channel, "pan, tilt and zoom", |camera| &camera.ptz)?;
    let direction = match event.op {
        PtzOp::Up => Direction::Up,
        PtzOp::Down => Direction::Down,
        PtzOp::Left => Direction::Left,
        PtzOp::Right => Direction::Right,
        PtzOp::UpLeft => Direction::UpLeft,
        PtzOp::UpRight => Direction::UpRight,
        PtzOp::DownLeft => Direction::DownLeft,
        PtzOp::DownRight => Direction::DownRight,
        PtzOp::ZoomIn => Direction::ZoomIn,
        PtzOp::ZoomOut => Direction::ZoomOut,
        PtzOp::Stop => return Ok(Order::Stop),
    };
    Ok(Order::Move(Movement { direction, speed: event.speed().value() }))
}

/// The order of a GotoPTZPreset for a channel whose camera has presets.
pub(super) fn preset(dispatch: &Dispatch, event: GotoPtzPreset) -> Result<Order, RpcError> {
    let token = token("GotoPTZPreset", event.token)?;
    dispatch.ability(event.channel, "presets", |camera| &camera.presets)?;
    Ok(Order::Preset(token))
}

/// The order of a CtrlPTZPresetTour for a channel whose camera has tours.
pub(super) fn tour(dispatch: &Dispatch, event: CtrlPtzPresetTour) -> Result<Order, RpcError> {
    let order = match event.op {
        StartStop::Stop if event.token.is_empty() => Order::EndTour(None),
        StartStop::Stop => Order::EndTour(Some(token("CtrlPTZPresetTour", event.token)?)),
        StartStop::Start => Order::Tour(token("CtrlPTZPresetTour", event.token)?),
    };
    dispatch.ability(event.channel, "tours", |camera| &camera.tours)?;
    Ok(order)
}

/// The order of a CtrlPTZPatrol for a channel whose camera has a patrol.
pub(super) fn patrol(dispatch: &Dispatch, event: &CtrlPtzPatrol) -> Result<Order, RpcError> {
    dispatch.ability(event.channel, "patrol", |camera| &camera.patrol)?;
    Ok(match event.op {
        StartStop::Start => Order::Patrol,
        StartStop::Stop => Order::EndPatrol,
    })
}

fn token(event: &str, token: String) -> Result<String, RpcError> {
    if token.is_empty() || token.len() > TOKEN {
        return Err(RpcError::internal(format!(
            "{event}: params.token must have 1 to {TOKEN} bytes"
        )));
    }
    Ok(token)
}
