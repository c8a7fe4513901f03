//! What the camera's clock shows.

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use ivt_base::date::Utc;

use super::clock::Clock;
use super::{Onvif, within};
use crate::xml::escape;
use crate::{Error, Kind, Result, WallTime};

const NOW: &str = "clock now";
const SET: &str = "clock set";

#[async_trait]
impl crate::Clock for Onvif {
    async fn now(&self) -> Result<WallTime> {
        let told = self.client.date_and_time(NOW, self.client.login());
        within(NOW, told).await?.shown().ok_or_else(|| Error::new(NOW, Kind::Other))
    }

    /// NTP sets the clock no more from then on: a camera whose clock has to be set does not reach its server, and one
    /// that obeys NTP refuses a time that it is told. Its zone and its daylight saving time stay.
    async fn set(&self, time: WallTime) -> Result<()> {
        within(SET, async {
            let told = self.client.date_and_time(SET, self.client.login()).await?;
            let moment = told.moment_of(time).ok_or_else(|| Error::new(SET, Kind::Invalid))?;
            let moment = UNIX_EPOCH + Duration::from_secs(moment);
            let zone = match &*told.zone {
                "" => String::new(),
                zone => format!("<TimeZone><tt:TZ>{}</tt:TZ></TimeZone>", escape(zone)),
            };
            let (daylight, at) = (told.daylight_saving, Utc::from(moment));
            let body = format!(
                "<DateTimeType>Manual</DateTimeType><DaylightSavings>{daylight}</DaylightSavings>{zone}<UTCDateTime>\
                 <tt:Time><tt:Hour>{}</tt:Hour><tt:Minute>{}</tt:Minute><tt:Second>{}</tt:Second></tt:Time>\
                 <tt:Date><tt:Year>{}</tt:Year><tt:Month>{}</tt:Month><tt:Day>{}</tt:Day></tt:Date></UTCDateTime>",
                at.hour, at.minute, at.second, at.year, at.month, at.day
            );
            self.ask_device(SET, "SetSystemDateAndTime", &body).await?;
            // The camera judges logins by the new time at once.
            self.client.set_clock(Clock::of(moment));
            Ok(())
        })
        .await
    }
}
