//! Tours from preset to preset.

use async_trait::async_trait;

use super::presets::named;
use super::{Onvif, check_token, within};
use crate::xml::{Element, escape};
use crate::{Error, Kind, Named, Result, Tours};

const LIST: &str = "tours list";
const START: &str = "tours start";
const STOP: &str = "tours stop";
/// Most tours that are stopped where the caller names none.
const MOST_STOPPED: usize = 16;

#[async_trait]
impl Tours for Onvif {
    async fn list(&self) -> Result<Vec<Named>> {
        within(LIST, async { Ok(named(&self.ask_tours(LIST).await?, "PresetTour")) }).await
    }

    async fn start(&self, token: &str) -> Result<()> {
        check_token(START, token)?;
        within(START, async {
            self.operate(START, token, "Start").await?;
            self.rests();
            Ok(())
        })
        .await
    }

    async fn stop(&self, token: Option<&str>) -> Result<()> {
        if let Some(token) = token {
            check_token(STOP, token)?;
            return within(STOP, self.operate(STOP, token, "Stop")).await;
        }
        within(STOP, async {
            let answer = self.ask_tours(STOP).await?;
            // A tour whose state the camera does not tell may run.
            let running: Vec<_> = answer
                .children("PresetTour")
                .filter(|tour| !tour.text_at("Status/State").eq_ignore_ascii_case("Idle"))
                .map(|tour| {
                    (tour.attribute("token").unwrap_or_default(), tour.text_at("Status/State"))
                })
                .filter(|(token, _)| !token.is_empty())
                .take(MOST_STOPPED)
                .collect();
            let mut outcome = Ok(());
            for (token, state) in running {
                match self.operate(STOP, token, "Stop").await {
                    Err(error) if !state.is_empty() || !super::is_fault(&error) => {
                        outcome = Err(error)
                    }
                    _ => {}
                }
            }
            outcome
        })
        .await
    }
}

impl Onvif {
    async fn ask_tours(&self, op: &'static str) -> Result<Element> {
        self.ptz_call(op, "GetPresetTours", &|_| String::new()).await
    }

    async fn operate(&self, op: &'static str, token: &str, operation: &str) -> Result<()> {
        let body = |_: &_| {
            format!(
                "<PresetTourToken>{}</PresetTourToken><Operation>{operation}</Operation>",
                escape(token)
            )
        };
        match self.ptz_call(op, "OperatePresetTour", &body).await {
            Ok(_) => Ok(()),
            // A camera may find fault with the stop of a tour that it has and that does not run.
            Err(error) if error.kind == Kind::Refused && operation == "Stop" => {
                match self.is_idle(op, token).await {
                    true => Ok(()),
                    false => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn is_idle(&self, op: &'static str, token: &str) -> bool {
        let answer: std::result::Result<Element, Error> = self.ask_tours(op).await;
        answer.is_ok_and(|answer| {
            let mut tours = answer.children("PresetTour");
            let tour = tours.find(|tour| tour.attribute("token") == Some(token));
            tour.is_some_and(|tour| tour.text_at("Status/State").eq_ignore_ascii_case("Idle"))
        })
    }
}
