//! Where the streams come from.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::address::{self, bracketed};
use super::client::{Call, READ_CLOCK, Service};
use super::envelope::{self, Said};
use super::{Onvif, within};
use crate::http::{Limits, Method, Request};
use crate::xml::{Element, escape};
use crate::{Encoder, Error, Kind, Result, RtspSource, Source, Stream};

const SOURCE: &str = "encoder source";
const BITRATE: &str = "encoder bitrate";
const REACH: &str = "encoder reach";
/// How long the camera may take to say that it is there.
const REACH_LIMIT: Duration = Duration::from_millis(4_500);
/// How long an address is used before the camera is asked again, as ports change without a fault.
const ADDRESS_AGE: Duration = Duration::from_secs(600);

/// The address of a stream.
pub(super) struct Address {
    url: String,
    /// When it is asked for again.
    until: Instant,
}

#[async_trait]
impl Encoder for Onvif {
    async fn source(&self, stream: Stream) -> Result<Source> {
        within(SOURCE, async {
            let kept = &self.addresses[stream as usize];
            kept.forget_if(|address| address.until <= Instant::now()).await;
            let address = kept.or_ask(self.ask_address(stream)).await?;
            Ok(Source::Rtsp(RtspSource {
                url: address.url.clone(),
                credentials: self.client.login().cloned(),
                transport: self.options.transport,
            }))
        })
        .await
    }

    async fn bitrate(&self, stream: Stream) -> Result<Option<u32>> {
        within(BITRATE, async {
            let media = self.media(BITRATE).await?;
            let configured = match stream {
                Stream::Main => self.options.bitrates.main,
                Stream::Sub => self.options.bitrates.sub,
            };
            let told = media.stream(stream).and_then(|profile| profile.bitrate);
            Ok(told.or(configured))
        })
        .await
    }

    async fn reach(&self) -> Result<()> {
        let limits = Limits { body: 1 << 20, deadline: REACH_LIMIT };
        let text = envelope::write("", Service::Device.namespace(), READ_CLOCK, "");
        let kind = "application/soap+xml; charset=utf-8";
        let target = &*self.client.device().target;
        let request = Request::with_body(Method::Post, target, kind, text);
        match self.client.http().with_limits(limits).send(REACH, &request).await {
            Ok(_) => Ok(()),
            Err(mut error) => {
                self.forget_addresses().await;
                if error.kind != Kind::Timeout {
                    error.kind = Kind::Offline;
                }
                Err(error)
            }
        }
    }
}

impl Onvif {
    async fn ask_address(&self, stream: Stream) -> Result<Address> {
        let old = "<StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>RTSP</tt:Protocol>\
                   </tt:Transport></StreamSetup>";
        let answer = self
            .ask_uri(SOURCE, "GetStreamUri", stream, [old, "<Protocol>RTSP</Protocol>"])
            .await?;
        let uri = uri(&answer);
        let told = address::Address::read(uri)
            .filter(|told| matches!(&*told.scheme, "rtsp" | "rtsps" | ""));
        let Some(told) = told else {
            return Err(Error::new(SOURCE, Kind::Other).because(Said("no RTSP address".into())));
        };
        let scheme = if told.scheme.is_empty() { "rtsp" } else { &told.scheme };
        let host = bracketed(self.client.http().host());
        let port = told.port.map(|port| format!(":{port}")).unwrap_or_default();
        let once =
            answer.descendant("InvalidAfterConnect").is_some_and(|flag| flag.text() == "true");
        let age = if once { Duration::ZERO } else { ADDRESS_AGE };
        let url = format!("{scheme}://{host}{port}{}", told.target);
        Ok(Address { url, until: Instant::now() + age })
    }

    /// Asks for an address of a stream's profile. `bodies` are what the earlier and the later edition of the media
    /// service are asked beside the profile. The camera is asked anew for its profiles when it finds fault with the
    /// one that was kept.
    pub(super) async fn ask_uri(
        &self,
        op: &'static str,
        action: &'static str,
        stream: Stream,
        bodies: [&str; 2],
    ) -> Result<Element> {
        let mut outcome = Err(Error::new(op, Kind::Unsupported));
        for again in [false, true] {
            if again {
                self.media.forget().await;
            }
            let (services, media) = (self.services(op).await?, self.media(op).await?);
            let profile = media.stream(stream).ok_or_else(|| Error::new(op, Kind::Unsupported))?;
            let token = escape(&profile.token);
            // A profile has the same token in both editions, and some cameras have the call in one alone.
            let editions = match media.service {
                Service::Media2 => [Service::Media2, Service::Media],
                _ => [Service::Media, Service::Media2],
            };
            for service in editions {
                let Some(at) = services.at(service) else { continue };
                let profile = format!("<ProfileToken>{token}</ProfileToken>");
                let body = match service {
                    Service::Media2 => format!("{}{profile}", bodies[1]),
                    _ => format!("{}{profile}", bodies[0]),
                };
                let answer = self.client.call(Call { op, at, service, action, body: &body }).await;
                match answer {
                    Ok(answer) if !uri(&answer).is_empty() => return Ok(answer),
                    Ok(_) => {}
                    Err(error) if !super::is_fault(&error) => return Err(error),
                    Err(error) => outcome = Err(error),
                }
            }
            // An answer without an address, or a call that the camera lacks, stays what it is.
            if !outcome.as_ref().is_err_and(|error: &Error| error.kind == Kind::Invalid) {
                break;
            }
        }
        outcome
    }
}

/// The address in an answer of either edition of the media service.
pub(super) fn uri(answer: &Element) -> &str {
    answer.find("MediaUri/Uri").or_else(|| answer.child("Uri")).map_or("", Element::text)
}
