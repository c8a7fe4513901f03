//! Which services a camera has, and where.

use super::address::{Address, Endpoint};
use super::client::{Call, Client, Service};
use crate::xml::Element;
use crate::{Error, Kind, Result};

/// The services of one camera.
pub(super) struct Services {
    found: Vec<(Service, Endpoint)>,
}

impl Services {
    /// Asks by GetServices, and by GetCapabilities where that does not tell of media and PTZ, as older cameras know
    /// the latter alone. Where a camera answers neither, everything is asked at its device service.
    ///
    /// # Errors
    /// `Refused`, `Offline`, `Timeout` or `Other`.
    pub(super) async fn ask(client: &Client, op: &'static str) -> Result<Self> {
        let mut services = Self { found: Vec::new() };
        let ask = async |action, body| {
            let (at, service) = (client.device(), Service::Device);
            client.call(Call { op, at, service, action, body }).await
        };
        let listed = ask("GetServices", "<IncludeCapability>false</IncludeCapability>").await;
        let (mut is_answered, mut refusal) = (listed.is_ok(), None);
        match listed {
            Ok(listed) => {
                for row in listed.children("Service") {
                    services.take(client, row.text_at("Namespace"), row.text_at("XAddr"));
                }
            }
            Err(error) if is_away(&error) => return Err(error),
            Err(error) => refusal = Some(error).filter(|error| error.kind == Kind::Refused),
        }
        if services.at(Service::Media).is_none() || services.at(Service::Ptz).is_none() {
            match ask("GetCapabilities", "<Category>All</Category>").await {
                Ok(told) => {
                    is_answered = true;
                    services.take_capabilities(client, &told);
                }
                Err(error) if is_away(&error) => return Err(error),
                Err(error) if !is_answered && error.kind == Kind::Refused => {
                    return Err(refusal.unwrap_or(error));
                }
                Err(_) => {}
            }
        }
        if !is_answered {
            for service in [Service::Media, Service::Ptz] {
                services.add(service, Endpoint::at(client.http(), &client.device().target));
            }
        }
        Ok(services)
    }

    /// Where a service is asked.
    pub(super) fn at(&self, service: Service) -> Option<&Endpoint> {
        self.found.iter().find(|(other, _)| *other == service).map(|(_, at)| at)
    }

    /// Where a service is asked.
    ///
    /// # Errors
    /// `Unsupported` from a camera without it.
    pub(super) fn require(&self, op: &'static str, service: Service) -> Result<&Endpoint> {
        self.at(service).ok_or_else(|| Error::new(op, Kind::Unsupported))
    }

    fn take_capabilities(&mut self, client: &Client, told: &Element) {
        let known = [(Service::Media, "Media"), (Service::Ptz, "PTZ"), (Service::Events, "Events")];
        for (service, name) in known {
            let address = told.text_at(&format!("Capabilities/{name}/XAddr"));
            self.take(client, service.namespace(), address);
        }
    }

    fn take(&mut self, client: &Client, namespace: &str, addresses: &str) {
        let namespace = namespace.trim_end_matches('/').to_ascii_lowercase();
        let Some(service) = Service::ALL.into_iter().find(|one| one.namespace() == namespace)
        else {
            return;
        };
        let read: Vec<Address> = addresses.split_whitespace().filter_map(Address::read).collect();
        let dialled = client.http().host();
        let near = read.iter().position(|one| one.host.eq_ignore_ascii_case(dialled)).unwrap_or(0);
        if let Some(address) = read.into_iter().nth(near) {
            self.add(service, address.endpoint(client.http()));
        }
    }

    /// Adds a service that is not known yet.
    fn add(&mut self, service: Service, at: Endpoint) {
        if self.at(service).is_none() {
            self.found.push((service, at));
        }
    }
}

/// Whether an error says that the camera does not answer at all.
fn is_away(error: &Error) -> bool {
    matches!(error.kind, Kind::Offline | Kind::Timeout)
}
