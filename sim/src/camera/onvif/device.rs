//! The device service (`http://www.onvif.org/ver10/device/wsdl`).

use std::net::IpAddr;

use ivt_hal::Interface;

use super::clock::utc_text;
use super::envelope::{Call, Service};
use super::fault::{Fault, failed};
use super::node::{Node, leaf, node};
use super::quirk::Quirk;
use super::site::Site;
use crate::camera::web::calendar::Date;
use crate::camera::world::Order;

const MODEL: &str = "camera-sim";
/// Version of the ONVIF network interface that the services follow.
const VERSION: [u8; 2] = [2, 60];

/// Whether an operation needs no login (ONVIF core specification, access class PRE_AUTH).
pub fn is_open(site: &Site, name: &str) -> bool {
    match name {
        "GetSystemDateAndTime" => !site.quirks.has(Quirk::ClockLocked),
        "GetCapabilities"
        | "GetServices"
        | "GetServiceCapabilities"
        | "GetHostname"
        | "GetWsdlUrl" => true,
        _ => false,
    }
}

/// The answer to a call. The camera restarts after the answer of `SystemReboot`.
///
/// # Errors
/// What the operation refuses.
pub async fn answer(site: &Site, host: IpAddr, user: &str, call: &Call) -> Result<Node, Fault> {
    Ok(match call.name() {
        "GetSystemDateAndTime" => node("tds:GetSystemDateAndTimeResponse", [time(site)]),
        "SetSystemDateAndTime" => set_time(site, call)?,
        "GetDeviceInformation" => node(
            "tds:GetDeviceInformationResponse",
            [
                leaf("tds:Manufacturer", "IVT"),
                leaf("tds:Model", MODEL),
                leaf("tds:FirmwareVersion", env!("CARGO_PKG_VERSION")),
                leaf("tds:SerialNumber", format!("SIM{:05}", site.http)),
                leaf("tds:HardwareId", "emulator"),
            ],
        ),
        "GetCapabilities" => capabilities(site, host, call)?,
        "GetServices" => services(site, host, call)?,
        "GetServiceCapabilities" => {
            node("tds:GetServiceCapabilitiesResponse", [own("tds:Capabilities")])
        }
        "GetScopes" => {
            let scope = |item: String| {
                node("tds:Scopes", [leaf("tt:ScopeDef", "Fixed"), leaf("tt:ScopeItem", item)])
            };
            node("tds:GetScopesResponse", scopes(site).into_iter().map(scope))
        }
        "GetHostname" => node(
            "tds:GetHostnameResponse",
            [node("tds:HostnameInformation", [leaf("tt:FromDHCP", false), leaf("tt:Name", MODEL)])],
        ),
        "GetNetworkInterfaces" => {
            let all = interfaces(site).await?;
            node("tds:GetNetworkInterfacesResponse", all.iter().map(interface))
        }
        "GetDNS" => {
            let all = interfaces(site).await?;
            let first = all.first();
            let servers = first.map(|first| &first.dns[..]).unwrap_or_default();
            let (from, dhcp) = match first.is_some_and(|first| first.dhcp) {
                true => ("tt:DNSFromDHCP", true),
                false => ("tt:DNSManual", false),
            };
            let address = |address: &String| {
                node(from, [leaf("tt:Type", "IPv4"), leaf("tt:IPv4Address", address)])
            };
            let servers = servers.iter().filter(|server| !server.is_empty()).map(address);
            let content = [leaf("tt:FromDHCP", dhcp)].into_iter().chain(servers);
            node("tds:GetDNSResponse", [node("tds:DNSInformation", content)])
        }
        "GetNetworkDefaultGateway" => {
            let all = interfaces(site).await?;
            let gateways = all.iter().map(|one| &one.gateway).filter(|one| !one.is_empty());
            let gateways = gateways.map(|gateway| leaf("tt:IPv4Address", gateway));
            node("tds:GetNetworkDefaultGatewayResponse", [node("tds:NetworkGateway", gateways)])
        }
        "GetNetworkProtocols" => {
            let protocol = |(name, port)| {
                let content =
                    [leaf("tt:Name", name), leaf("tt:Enabled", true), leaf("tt:Port", port)];
                node("tds:NetworkProtocols", content)
            };
            let all = [("HTTP", site.http), ("RTSP", site.rtsp)];
            node("tds:GetNetworkProtocolsResponse", all.map(protocol))
        }
        "GetUsers" => {
            let one = node(
                "tds:User",
                [leaf("tt:Username", user), leaf("tt:UserLevel", "Administrator")],
            );
            node("tds:GetUsersResponse", (!user.is_empty()).then_some(one))
        }
        "GetWsdlUrl" => {
            let url = leaf("tds:WsdlUrl", "http://www.onvif.org/ver10/device/wsdl/devicemgmt.wsdl");
            node("tds:GetWsdlUrlResponse", [url])
        }
        "SystemReboot" => {
            for unit in site.world.units() {
                unit.carry_out(Order::Reboot).await.map_err(failed)?;
            }
            node("tds:SystemRebootResponse", [leaf("tds:Message", "Rebooting in 1 second")])
        }
        name => return Err(Fault::unsupported(name)),
    })
}

/// What the camera says about itself in scopes, as GetScopes and WS-Discovery tell it.
pub fn scopes(site: &Site) -> Vec<String> {
    let has_ptz = site.profiles().into_iter().any(|profile| site.has_ptz(profile));
    let mut all = vec!["type/video_encoder", "Profile/Streaming", "location/here"];
    all.extend(has_ptz.then_some("type/ptz"));
    let own = [format!("name/{MODEL}"), "hardware/emulator".to_owned()];
    let all = all.into_iter().map(str::to_owned).chain(own);
    all.map(|scope| format!("onvif://www.onvif.org/{scope}")).collect()
}

fn time(site: &Site) -> Node {
    let setting = site.clock.setting();
    let told = site.clock.told(&site.quirks);
    let zone = site.clock.zone(&site.quirks);
    let date = |name, date: Date| {
        let Date { year, month, day, hour, minute, second } = date;
        let time = [leaf("tt:Hour", hour), leaf("tt:Minute", minute), leaf("tt:Second", second)];
        let day = [leaf("tt:Year", year), leaf("tt:Month", month), leaf("tt:Day", day)];
        node(name, [node("tt:Time", time), node("tt:Date", day)])
    };
    let mut content = vec![
        leaf("tt:DateTimeType", if site.world.is_clock_manual() { "Manual" } else { "NTP" }),
        leaf("tt:DaylightSavings", setting.daylight),
        node("tt:TimeZone", [leaf("tt:TZ", zone)]),
        date("tt:UTCDateTime", told),
    ];
    content.push(date("tt:LocalDateTime", site.clock.local()));
    log::debug!(target: "camera", "ONVIF: the time is told as {}", utc_text(told));
    node("tds:SystemDateAndTime", content)
}

fn set_time(site: &Site, call: &Call) -> Result<Node, Fault> {
    let number = |path: &str| {
        let text = call.argument(path)?;
        text.parse::<i64>().map_err(|_| Fault::arguments(format!("{path} is no number")))
    };
    let wrong = |what: &str| Fault::argument("ter:InvalidDateTime", what);
    let time = match call.argument("DateTimeType")? {
        "NTP" => None,
        "Manual" => {
            let date = Date {
                year: number("UTCDateTime/Date/Year")?,
                month: number("UTCDateTime/Date/Month")?,
                day: number("UTCDateTime/Date/Day")?,
                hour: number("UTCDateTime/Time/Hour")?,
                minute: number("UTCDateTime/Time/Minute")?,
                second: number("UTCDateTime/Time/Second")?,
            };
            Some(date.unix().ok_or_else(|| wrong("there is no such date"))?)
        }
        _ => return Err(wrong("DateTimeType is Manual or NTP")),
    };
    let daylight = matches!(call.argument("DaylightSavings")?, "true" | "1");
    let zone = call.optional("TimeZone/TZ").map(|zone| zone.chars().take(64).collect());
    let set = site.clock.set(time, daylight, zone, &site.quirks);
    set.ok_or_else(|| wrong("there is no such date, or no such zone"))?;
    Ok(node("tds:SetSystemDateAndTimeResponse", []))
}

/// The services in the order in which they are listed.
fn listed(site: &Site) -> Vec<Service> {
    let mut all =
        vec![Service::Device, Service::Media, Service::Media2, Service::Events, Service::DeviceIo];
    let has_ptz = site.profiles().into_iter().any(|profile| site.has_ptz(profile));
    all.extend(has_ptz.then_some(Service::Ptz));
    all
}

fn services(site: &Site, host: IpAddr, call: &Call) -> Result<Node, Fault> {
    if site.quirks.has(Quirk::NoServices) {
        return Err(Fault::unsupported("GetServices"));
    }
    let full = matches!(call.argument("IncludeCapability")?, "true" | "1");
    let service = |service: Service| {
        let own = match service {
            Service::Device => own("tds:Capabilities"),
            Service::Media => super::media::own(),
            Service::Media2 => super::media2::own(),
            Service::Ptz => super::ptz::own(),
            Service::DeviceIo => super::device_io::own(site),
            Service::Events | Service::Subscription => super::events::own(),
        };
        let mut content = vec![
            leaf("tds:Namespace", service.namespace()),
            leaf("tds:XAddr", site.service(host, service)),
        ];
        content.extend(full.then(|| node("tds:Capabilities", [own])));
        let [major, minor] = VERSION;
        content.push(node("tds:Version", [leaf("tt:Major", major), leaf("tt:Minor", minor)]));
        node("tds:Service", content)
    };
    Ok(node("tds:GetServicesResponse", listed(site).into_iter().map(service)))
}

/// The capabilities of this service, as attributes; those left out are `false` or 0.
fn own(name: &'static str) -> Node {
    let security = node("tds:Security", [])
        .with("UsernameToken", true)
        .with("HttpDigest", true)
        .with("MaxUsers", 1);
    let content = [
        node("tds:Network", []).with("NTP", 1),
        security,
        node("tds:System", []).with("DiscoveryBye", false),
    ];
    node(name, content)
}

fn capabilities(site: &Site, host: IpAddr, call: &Call) -> Result<Node, Fault> {
    let wanted = call.optional("Category").unwrap_or("All");
    let listed = listed(site);
    let flags = |names: &[(&'static str, bool)]| -> Vec<Node> {
        names.iter().map(|(name, on)| leaf(name, on)).collect()
    };
    let address = |service| leaf("tt:XAddr", site.service(host, service));
    let category = |name: &str| wanted == "All" || wanted == name;
    let mut content = Vec::new();
    if category("Device") {
        let [major, minor] = VERSION;
        let mut system = flags(&[
            ("tt:DiscoveryResolve", false),
            ("tt:DiscoveryBye", false),
            ("tt:RemoteDiscovery", false),
            ("tt:SystemBackup", false),
            ("tt:SystemLogging", false),
            ("tt:FirmwareUpgrade", false),
        ]);
        let versions = [leaf("tt:Major", major), leaf("tt:Minor", minor)];
        system.push(node("tt:SupportedVersions", versions));
        let network = flags(&[
            ("tt:IPFilter", false),
            ("tt:ZeroConfiguration", false),
            ("tt:IPVersion6", false),
            ("tt:DynDNS", false),
        ]);
        let security = flags(&[
            ("tt:TLS1.1", false),
            ("tt:TLS1.2", false),
            ("tt:OnboardKeyGeneration", false),
            ("tt:AccessPolicyConfig", false),
            ("tt:X.509Token", false),
            ("tt:SAMLToken", false),
            ("tt:KerberosToken", false),
            ("tt:RELToken", false),
        ]);
        content.push(node(
            "tt:Device",
            [
                address(Service::Device),
                node("tt:Network", network),
                node("tt:System", system),
                node(
                    "tt:IO",
                    [
                        leaf("tt:InputConnectors", site.world.units().len()),
                        leaf("tt:RelayOutputs", 0),
                    ],
                ),
                node("tt:Security", security),
            ],
        ));
    }
    if category("Events") {
        let flags = flags(&[
            ("tt:WSSubscriptionPolicySupport", false),
            ("tt:WSPullPointSupport", !site.quirks.has(Quirk::PullHidden)),
            ("tt:WSPausableSubscriptionManagerInterfaceSupport", false),
        ]);
        content.push(node("tt:Events", std::iter::once(address(Service::Events)).chain(flags)));
    }
    if category("Media") {
        let streaming =
            flags(&[("tt:RTPMulticast", false), ("tt:RTP_TCP", true), ("tt:RTP_RTSP_TCP", true)]);
        let streaming = node("tt:StreamingCapabilities", streaming);
        content.push(node("tt:Media", [address(Service::Media), streaming]));
    }
    if category("PTZ") && listed.contains(&Service::Ptz) {
        content.push(node("tt:PTZ", [address(Service::Ptz)]));
    }
    if wanted == "All" {
        let sources = leaf("tt:VideoSources", super::media::mains(site).len());
        let others = ["tt:VideoOutputs", "tt:AudioSources", "tt:AudioOutputs", "tt:RelayOutputs"];
        let others = others.map(|name| leaf(name, 0));
        let inputs = [address(Service::DeviceIo), sources].into_iter().chain(others);
        content.push(node("tt:Extension", [node("tt:DeviceIO", inputs)]));
    }
    if content.is_empty() {
        return Err(Fault::receiver("ter:ActionNotSupported", format!("no service {wanted}"))
            .within("ter:NoSuchService"));
    }
    Ok(node("tds:GetCapabilitiesResponse", [node("tds:Capabilities", content)]))
}

/// The wired interfaces of the device, as its first channel has them.
async fn interfaces(site: &Site) -> Result<Vec<Interface>, Fault> {
    let unit = site.unit(0)?;
    let network = unit.channel.network.as_ref();
    let network = network.ok_or_else(|| Fault::unsupported("the network"))?;
    network.interfaces().await.map_err(failed)
}

fn interface(interface: &Interface) -> Node {
    let bits: u32 = interface
        .netmask
        .parse::<std::net::Ipv4Addr>()
        .map_or(24, |mask| u32::from(mask).leading_ones());
    let address = [leaf("tt:Address", &interface.ip), leaf("tt:PrefixLength", bits)];
    let (name, dhcp) = if interface.dhcp { ("tt:FromDHCP", true) } else { ("tt:Manual", false) };
    let config = node("tt:Config", [node(name, address), leaf("tt:DHCP", dhcp)]);
    let info = [
        leaf("tt:Name", &interface.name),
        leaf("tt:HwAddress", &interface.mac),
        leaf("tt:MTU", 1500),
    ];
    node(
        "tds:NetworkInterfaces",
        [
            leaf("tt:Enabled", true),
            node("tt:Info", info),
            node("tt:IPv4", [leaf("tt:Enabled", true), config]),
        ],
    )
    .with("token", &interface.name)
}
