//! The CGI commands that the agent answers itself, for a camera without a web server: the camera appears as
//! one of the uapi family, with the parameters that the agent knows and no others.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ivt_base::date::Utc;
use ivt_hal::{Kind, Snapshot, Stream};
use ivt_proto::tlss::Identity;
use tokio::time::timeout;

use super::policy::Request;
use super::reply::Reply;

/// Time for a camera to give a picture.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);

/// The facts of which a parameter list is made.
pub(super) struct Facts<'a> {
    pub(super) identity: &'a Identity,
    /// The agent's own address on the connection to the server.
    pub(super) address: Option<IpAddr>,
    pub(super) now: SystemTime,
}

/// The reply to a command that the policy let through.
pub(super) async fn answer(
    request: &Request,
    facts: &Facts<'_>,
    snapshots: &[Option<Arc<dyn Snapshot>>],
) -> Reply {
    let file = request.path().rsplit('/').next().unwrap_or_default();
    match (file, request.value("action")) {
        ("param.fcgi", Some("list")) | ("param.cgi", None | Some("list")) => {
            list(request.value("group"), facts)
        }
        // Servers take a device that answers this one for a camera of the uapi family.
        ("network.cgi", None) if request.path().starts_with("/uapi-cgi/") => {
            list(Some("NETWORK"), facts)
        }
        ("snapshot.fcgi" | "snapshot.cgi", None) => {
            let channel = request.value("id").map_or(Some(0), |id| id.parse().ok());
            match channel.and_then(|channel: usize| snapshots.get(channel)?.as_deref()) {
                Some(snapshot) => picture(snapshot).await,
                None => Reply::error(404, "There is no such camera, or it takes no pictures."),
            }
        }
        _ => Reply::error(404, "This camera has no such command."),
    }
}

async fn picture(snapshot: &dyn Snapshot) -> Reply {
    match timeout(SNAPSHOT_TIMEOUT, snapshot.jpeg(Stream::Main)).await {
        Ok(Ok(jpeg)) => Reply::new(200, "image/jpeg", jpeg),
        Ok(Err(error)) => match error.kind {
            Kind::Unsupported => Reply::error(404, "This camera takes no pictures."),
            Kind::Timeout => Reply::error(504, "The camera did not answer in time."),
            _ => Reply::error(502, "The camera gives no picture."),
        },
        Err(_) => Reply::error(504, "The camera did not answer in time."),
    }
}

/// All parameters, or those of `groups` (separated by commas), one `Group.name=value` a line.
fn list(groups: Option<&str>, facts: &Facts<'_>) -> Reply {
    let asked = |name: &str| match groups {
        None => true,
        Some(groups) => groups.split(',').any(|group| within(name, group)),
    };
    let lines = parameters(facts).into_iter().filter(|(name, _)| asked(name));
    let lines: String = lines.map(|(name, value)| format!("{name}={value}\n")).collect();
    match lines.is_empty() {
        false => Reply::new(200, "text/plain", lines.into()),
        true => Reply::error(404, "This camera has no such group."),
    }
}

fn parameters(facts: &Facts<'_>) -> Vec<(&'static str, String)> {
    let Facts { identity, address, now } = facts;
    let mac = identity.mac().map(|byte| format!("{byte:02X}"));
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    // Deployed servers give up on a list that lacks any of these but the address, and miss the last line of a list.
    let mut all = vec![
        ("VERSION.firmware", env!("CARGO_PKG_VERSION").to_owned()),
        // Servers keep nine characters.
        ("VERSION.serialno", mac.concat()[3..].to_owned()),
        ("BRAND.brand", identity.brand().to_owned()),
        ("BRAND.Model.productid", identity.model().chars().map(word).collect()),
        ("BRAND.Product.shortname", identity.model().to_owned()),
        ("NETWORK.Eth0.mac", mac.join(":")),
        ("NETWORK.Eth0.dhcp.enable", "no".to_owned()),
    ];
    if let Some(address) = address {
        all.push(("NETWORK.Eth0.ipaddress", address.to_string()));
        all.push(("NETWORK.Eth0.dhcp.ipaddress", address.to_string()));
    }
    all.push(("SYSTEM.Datetime.datetime", stamp(*now)));
    // The agent tells its times in UTC, so the time zone is UTC whatever the device has.
    all.push(("SYSTEM.Datetime.Tz.name", "UTC".to_owned()));
    all.push(("SYSTEM.Datetime.Tz.posixrule", "UTC0".to_owned()));
    all
}

/// Whether the parameter `name` belongs to `group` or to one of its subgroups.
fn within(name: &str, group: &str) -> bool {
    match name.split_at_checked(group.len()) {
        Some((start, rest)) => {
            start.eq_ignore_ascii_case(group) && (rest.is_empty() || rest.starts_with('.'))
        }
        None => false,
    }
}

/// A time in UTC as the uapi family writes it: MMDDhhmmYYYY.ss.
fn stamp(time: SystemTime) -> String {
    let Utc { year, month, day, hour, minute, second } = time.into();
    format!("{month:02}{day:02}{hour:02}{minute:02}{year:04}.{second:02}")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use async_trait::async_trait;
    use bytes::Bytes;
    use ivt_hal::emulator::Emulator;
    use ivt_hal::{Error, Result};

    use super::*;
    use crate::tlss::policy::{Policy, Profile};

    async fn ask(command: &str, snapshots: &[Option<Arc<dyn Snapshot>>]) -> Reply {
        let policy = Policy::new(Profile::built_in(), &["timezone".to_owned()]).unwrap();
        let request = policy.check(command.as_bytes()).unwrap();
        let identity = Identity::new([0, 0x13, 0x23, 0xa0, 7, 0xad], "CAP", "NS6202HD").unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_585_744_205);
        let address = Some([192, 168, 1, 9].into());
        answer(&request, &Facts { identity: &identity, address, now }, snapshots).await
    }

    async fn listed(query: &str) -> String {
        let reply = ask(&format!("/uapi-cgi/param.fcgi?action=list{query}"), &[]).await;
        assert_eq!(reply.status, 200);
        String::from_utf8(reply.body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_parameters_of_the_deployed_server_are_there() {
        let version = listed("&group=VERSION").await;
        assert!(version.starts_with("VERSION.firmware="), "{version}");
        assert!(version.ends_with("\nVERSION.serialno=323A007AD\n"), "{version}");
        assert_eq!(
            listed("&group=BRAND").await,
            "BRAND.brand=CAP\nBRAND.Model.productid=NS6202HD\nBRAND.Product.shortname=NS6202HD\n"
        );
        let network = listed("&group=NETWORK").await;
        assert_eq!(
            network,
            "NETWORK.Eth0.mac=00:13:23:A0:07:AD\nNETWORK.Eth0.dhcp.enable=no\n\
             NETWORK.Eth0.ipaddress=192.168.1.9\nNETWORK.Eth0.dhcp.ipaddress=192.168.1.9\n"
        );
        assert_eq!(ask("/uapi-cgi/network.cgi", &[]).await.body, network, "the probe of servers");
        let clock = "SYSTEM.Datetime.datetime=040112302020.05\n";
        let zone = "SYSTEM.Datetime.Tz.name=UTC\nSYSTEM.Datetime.Tz.posixrule=UTC0\n";
        assert_eq!(listed("&group=SYSTEM.Datetime").await, [clock, zone].concat());
        assert_eq!(listed("&group=SYSTEM.Datetime.Tz").await, zone);
        assert_eq!(listed("&group=BRAND.brand,SYSTEM.Datetime.Tz.name").await.lines().count(), 2);
        let all = listed("").await;
        assert_eq!(all.lines().count(), 12);
        assert_eq!(ask("/cgi-bin/operator/param.cgi", &[]).await.body, all);
    }

    #[tokio::test]
    async fn what_the_camera_lacks_is_not_found() {
        for command in [
            "/uapi-cgi/param.fcgi?action=list&group=VCA",
            "/uapi-cgi/param.fcgi?action=list&group=BRAN",
            "/nvc-cgi/operator/snapshot.fcgi",
            "/uapi-cgi/reporthm.cgi?reportfmt=csv&from=yesterday&to=today&table=3&individual=no",
            "/cgi-bin/operator/countreport.cgi?reportfmt=csv&from=now-06:00&to=now",
            "/uapi-cgi/timezone.cgi?action=set",
            "/uapi-cgi/netinfo.cgi",
            "/cgi-bin/admin/network.cgi",
            "/nvc-cgi/admin/debug.cgi",
        ] {
            assert_eq!(ask(command, &[]).await.status, 404, "{command}");
        }
    }

    #[tokio::test]
    async fn a_snapshot_is_the_cameras_jpeg() {
        let emulator = Arc::new(Emulator::default());
        let reply = ask("/nvc-cgi/operator/snapshot.fcgi", &[Some(emulator.clone())]).await;
        assert_eq!(reply.status, 200);
        assert!(reply.head.windows(24).any(|part| part == b"Content-Type: image/jpeg"));
        assert_eq!(reply.body, emulator.jpeg(Stream::Main).await.unwrap());
    }

    struct Still(&'static [u8]);

    #[async_trait]
    impl Snapshot for Still {
        async fn jpeg(&self, _stream: Stream) -> Result<Bytes> {
            Ok(Bytes::from_static(self.0))
        }
    }

    #[tokio::test]
    async fn each_camera_of_an_nvr_has_its_own_picture() {
        let still = |picture| Some(Arc::new(Still(picture)) as Arc<dyn Snapshot>);
        let snapshots = [still(b"zero"), None, still(b"two")];
        for (query, expected) in [
            ("", Some("zero")),
            ("?id=0", Some("zero")),
            ("?id=1", None),
            ("?id=2", Some("two")),
            ("?id=3", None),
        ] {
            let reply = ask(&format!("/cgi-bin/operator/snapshot.cgi{query}"), &snapshots).await;
            match expected {
                Some(picture) => assert_eq!(reply.body, picture, "{query}"),
                None => assert_eq!(reply.status, 404, "{query}"),
            }
        }
    }

    struct Failing(Option<Kind>);

    #[async_trait]
    impl Snapshot for Failing {
        async fn jpeg(&self, _stream: Stream) -> Result<Bytes> {
            match self.0 {
                Some(kind) => Err(Error::new("snapshot jpeg", kind)),
                None => std::future::pending().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_fails_gives_an_error_page() {
        for (kind, status) in [
            (Some(Kind::Offline), 502),
            (Some(Kind::Timeout), 504),
            (Some(Kind::Unsupported), 404),
            (None, 504),
        ] {
            let reply = ask("/uapi-cgi/snapshot.fcgi", &[Some(Arc::new(Failing(kind)))]).await;
            assert_eq!(reply.status, status, "{kind:?}");
        }
    }
}
