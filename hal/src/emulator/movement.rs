//! The emulated camera's movements: by hand, to presets, on tours and on patrol.

use std::time::Duration;

use async_trait::async_trait;

use super::Emulator;
use super::drive::share;
use super::world::Running;
use crate::{Error, Kind, Movement, Named, Patrol, Presets, Ptz, Result, Tours};

/// How long a tour rests at each preset.
const DWELL: Duration = Duration::from_secs(3);
/// The two ends of the patrol.
const PATROL: [[f64; 3]; 2] = [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]];

/// Tokens and names of the tours, which go through all presets; the second one goes backwards.
const TOURS: [(&str, &str); 2] = [("1", "round"), ("2", "\u{5de1}\u{903b} back")];

#[async_trait]
impl Ptz for Emulator {
    async fn start(&self, movement: Movement) -> Result<()> {
        let Movement { direction, speed } = movement;
        let order = || format!("ptz {direction:?} {speed}");
        self.world.act("ptz start", order, |state| {
            state.running = Running::Nothing;
            state.drive.run(direction.axes().map(|sign| f64::from(sign) * share(speed)));
            Ok(())
        })
    }

    async fn stop(&self) -> Result<()> {
        self.world.act(
            "ptz stop",
            || "ptz stop".to_owned(),
            |state| {
                state.running = Running::Nothing;
                state.drive.stop();
                Ok(())
            },
        )
    }
}

#[async_trait]
impl Presets for Emulator {
    async fn list(&self) -> Result<Vec<Named>> {
        let state = self.world.present("presets list")?;
        let named = |preset: &super::Preset| Named {
            token: preset.token.clone(),
            name: preset.name.clone(),
        };
        Ok(state.presets.iter().map(named).collect())
    }

    async fn go_to(&self, token: &str) -> Result<()> {
        let op = "presets go_to";
        self.world.act(
            op,
            || format!("preset {token}"),
            |state| {
                let preset = state.presets.iter().find(|preset| preset.token == token);
                let at = preset.ok_or_else(|| Error::new(op, Kind::Invalid))?.at;
                state.running = Running::Nothing;
                state.drive.go_to(at);
                Ok(())
            },
        )
    }
}

#[async_trait]
impl Tours for Emulator {
    async fn list(&self) -> Result<Vec<Named>> {
        drop(self.world.present("tours list")?);
        let named = |(token, name): (&str, &str)| Named { token: token.into(), name: name.into() };
        Ok(TOURS.map(named).into())
    }

    async fn start(&self, token: &str) -> Result<()> {
        let op = "tours start";
        self.world.act(
            op,
            || format!("tour {token}"),
            |state| {
                let number = known(op, token)?;
                let mut stops: Vec<_> = state.presets.iter().map(|preset| preset.at).collect();
                if stops.is_empty() {
                    return Err(Error::new(op, Kind::Refused));
                }
                if number == 1 {
                    stops.reverse();
                }
                state.running = Running::Tour(token.to_owned());
                state.drive.tour(stops, DWELL);
                Ok(())
            },
        )
    }

    async fn stop(&self, token: Option<&str>) -> Result<()> {
        let op = "tours stop";
        let order = || format!("tour stop {}", token.unwrap_or("any"));
        self.world.act(op, order, |state| {
            token.map(|token| known(op, token)).transpose()?;
            if let Running::Tour(runs) = &state.running
                && token.is_none_or(|token| token == runs)
            {
                state.running = Running::Nothing;
                state.drive.stop();
            }
            Ok(())
        })
    }
}

#[async_trait]
impl Patrol for Emulator {
    async fn start(&self) -> Result<()> {
        self.world.act(
            "patrol start",
            || "patrol".to_owned(),
            |state| {
                state.running = Running::Patrol;
                state.drive.tour(PATROL.into(), Duration::ZERO);
                Ok(())
            },
        )
    }

    async fn stop(&self) -> Result<()> {
        self.world.act(
            "patrol stop",
            || "patrol stop".to_owned(),
            |state| {
                if state.running == Running::Patrol {
                    state.running = Running::Nothing;
                    state.drive.stop();
                }
                Ok(())
            },
        )
    }
}

/// The place of a tour in the list.
fn known(op: &'static str, token: &str) -> Result<usize> {
    let place = TOURS.iter().position(|(known, _)| *known == token);
    place.ok_or_else(|| Error::new(op, Kind::Invalid))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::Direction;
    use crate::conformance::{self, Unknown};

    #[tokio::test(start_paused = true)]
    async fn passes_conformance_there_and_away() {
        let emulator = Emulator::default();
        conformance::ptz(&emulator, &[]).await;
        conformance::presets(&emulator, Unknown::Refused).await;
        conformance::tours(&emulator, Unknown::Refused).await;
        conformance::patrol(&emulator).await;
        emulator.world.go_away(Duration::from_secs(5));
        conformance::offline_ptz(&emulator).await;
        conformance::offline_presets(&emulator).await;
        conformance::offline_tours(&emulator).await;
        conformance::offline_patrol(&emulator).await;
    }

    #[tokio::test(start_paused = true)]
    async fn every_direction_moves_its_axes_until_it_is_stopped() {
        let emulator = Emulator::default();
        for direction in Direction::ALL {
            emulator.world.go_to(0.0, 0.0, 0.5).unwrap();
            advance(Duration::from_secs(10)).await;
            Ptz::start(&emulator, Movement { direction, speed: 100 }).await.unwrap();
            advance(Duration::from_millis(500)).await;
            assert!(emulator.world.position().moving);
            Ptz::stop(&emulator).await.unwrap();
            let stopped = emulator.world.position();
            advance(Duration::from_secs(5)).await;
            assert_eq!(emulator.world.position(), stopped);
            let sign = |value: f64| if value == 0.0 { 0 } else { value.signum() as i8 };
            let moved = [stopped.pan, stopped.tilt, stopped.zoom - 0.5].map(sign);
            assert_eq!(moved, direction.axes(), "{direction:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_preset_is_reached_smoothly() {
        let emulator = Emulator::default();
        Presets::go_to(&emulator, "2").await.unwrap();
        advance(Duration::from_secs(1)).await;
        let under_way = emulator.world.position();
        assert!(under_way.moving && under_way.pan > 0.0 && under_way.pan < 0.8);
        advance(Duration::from_secs(5)).await;
        let there = emulator.world.position();
        assert_eq!((there.pan, there.tilt, there.zoom, there.moving), (0.8, 0.1, 0.5, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tour_visits_every_preset_and_a_movement_ends_it() {
        let emulator = Emulator::default();
        Tours::start(&emulator, "1").await.unwrap();
        assert_eq!(emulator.world.touring().as_deref(), Some("1"));
        let mut visited = Vec::new();
        for _ in 0..60 {
            advance(Duration::from_millis(500)).await;
            let now = emulator.world.position();
            let presets = emulator.world.presets();
            let preset = presets.iter().position(|p| p.at == [now.pan, now.tilt, now.zoom]);
            visited.extend(preset.filter(|preset| visited.last() != Some(preset)));
        }
        assert!(visited.starts_with(&[0, 1, 2, 0]), "{visited:?}");
        Tours::stop(&emulator, Some("2")).await.unwrap();
        assert!(emulator.world.touring().is_some(), "the other tour was stopped");
        Ptz::start(&emulator, Movement { direction: Direction::Up, speed: 1 }).await.unwrap();
        assert_eq!(emulator.world.touring(), None);
        Tours::stop(&emulator, None).await.unwrap();
        assert!(emulator.world.position().moving, "no tour ran, so nothing was stopped");
    }

    #[tokio::test(start_paused = true)]
    async fn the_patrol_sweeps_from_end_to_end() {
        let emulator = Emulator::default();
        Patrol::start(&emulator).await.unwrap();
        assert!(emulator.world.patrolling());
        let (mut least, mut most) = (0.0_f64, 0.0_f64);
        for _ in 0..40 {
            advance(Duration::from_millis(250)).await;
            let pan = emulator.world.position().pan;
            (least, most) = (least.min(pan), most.max(pan));
        }
        assert!(least < -0.9 && most > 0.9, "{least} to {most}");
        Patrol::stop(&emulator).await.unwrap();
        assert!(!emulator.world.position().moving && !emulator.world.patrolling());
    }
}
