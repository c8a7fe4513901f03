//! What the camera's clock shows.

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use ivt_base::date::Utc;

use super::clock::{Clock, DateAndTime, off_by_a_zone};
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
            self.set_utc(&told, moment).await?;
            // Some cameras tell a zone that they do not follow, or tell local time as UTC and take UTC.
            let after = self.client.date_and_time(SET, self.client.login()).await;
            let shown = after.ok().and_then(|after| after.shown());
            if let Some(off) = shown.and_then(|shown| off_by_a_zone(shown, time))
                && let Some(moment) = moment.checked_add_signed(-off)
            {
                self.set_utc(&told, moment).await?;
            }
            Ok(())
        })
        .await
    }
}

impl Onvif {
    /// Sets the clock to a moment, in seconds since 1970, and keeps what the camera told of its zone.
    async fn set_utc(&self, told: &DateAndTime, moment: u64) -> Result<()> {
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
    }
}
