//! Compares two configurations: what a running agent applies, and what needs a restart.

#[cfg(feature = "alarms")]
use crate::config::Alarm;
#[cfg(feature = "update")]
use crate::config::Firmware;
#[cfg(any(feature = "alarms", feature = "linux"))]
use crate::config::Network;
use crate::config::{Account, Channel, Cloud, Config, Publish, Record, Runtime, Spool};

/// What an agent has to do to change from one configuration to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Numbers of the channels whose camera changed: backend, addresses, login, transport,
    /// patience, web server or bit rates. A running agent applies this. Empty where
    /// the number of channels changed.
    pub cameras: Vec<usize>,
    /// Whether anything of `[tlss]` changed. A running agent applies this, unless it needs more memory
    /// than was set aside for it.
    pub tlss: bool,
    /// Whether `cloud.allow_hosts` changed. A running agent applies this.
    pub allow_hosts: bool,
    /// Whether it changed which firmware is taken, and when. A running agent applies this.
    pub firmware: bool,
    /// Whether anything of `[web]` changed. A running agent applies this.
    pub web: bool,
    /// Whether `log.level` changed. A running agent applies this.
    pub log_level: bool,
    /// Changed keys, such as `cloud.url`, that count from the next start on.
    pub restart: Vec<String>,
}

/// Compares every field of a structure. A field that is not named here does not compile.
macro_rules! compare {
    ($found:expr, $section:expr, $old:expr, $new:expr, $type:ident { $($(#[$only:meta])? $field:ident: $key:literal),* $(,)? }) => {
        let $type { $($(#[$only])? $field),* } = $old;
        $($(#[$only])? if *$field != $new.$field {
            $found.push(format!("{}.{}", $section, $key));
        })*
    };
}

impl Differences {
    /// Compares the running configuration `old` with the wanted one.
    pub fn between(old: &Config, new: &Config) -> Self {
        let Config {
            cloud,
            model,
            state_dir,
            clock_steps,
            channels,
            #[cfg(any(feature = "alarms", feature = "linux"))]
            network,
            publish,
            record,
            tlss,
            #[cfg(feature = "update")]
                firmware: _,
            #[cfg(feature = "alarms")]
            alarm,
            #[cfg(feature = "ui")]
            web,
            #[cfg(feature = "sandbox")]
            sandbox,
            runtime,
            budget,
            log_level,
            notes: _,
        } = old;
        let (mut cameras, mut restart) = (Vec::new(), Vec::new());
        let opened = cloud.allow_hosts != new.cloud.allow_hosts;
        let mut wanted = Cloud { allow_hosts: cloud.allow_hosts.clone(), ..new.cloud.clone() };
        if let (Some(old), Some(new)) = (&cloud.account, &new.cloud.account) {
            compare!(
                restart,
                "cloud",
                old,
                new,
                Account { url: "url", login_code: "login_code", login_passwd: "login_passwd" }
            );
            wanted.account.clone_from(&cloud.account);
        }
        compare!(
            restart,
            "cloud",
            cloud,
            wanted,
            Cloud {
                account: "login",
                hardware_model: "hardware_model",
                firmware_model: "firmware_model",
                ca_file: "ca_file",
                stop_publish_on_disconnect: "stop_publish_on_disconnect",
                accept_bare_answers: "accept_bare_answers",
                preview: "preview",
                allow_hosts: "allow_hosts",
            }
        );
        if *model != new.model {
            restart.push("device.model".into());
        }
        if *state_dir != new.state_dir {
            restart.push("device.state_dir".into());
        }
        if *clock_steps != new.clock_steps {
            restart.push("device.clock_steps".into());
        }
        // By its position alone, a channel of the one is not that of the other.
        let paired = channels.len() == new.channels.len();
        if !paired {
            restart.push("channel (how many there are)".into());
        }
        let pairs = channels.iter().zip(&new.channels).enumerate().filter(|_| paired);
        for (number, (old, new)) in pairs {
            if old.backend != new.backend || old.bitrates != new.bitrates {
                cameras.push(number);
            }
            let Channel { backend: _, bitrates: _, quality, ring_bytes, always_on } = old;
            for (key, differs) in [
                ("quality", *quality != new.quality),
                ("ring_bytes", *ring_bytes != new.ring_bytes),
                ("always_on", *always_on != new.always_on),
            ] {
                if differs {
                    restart.push(format!("channel.{number}.{key}"));
                }
            }
        }
        #[cfg(any(feature = "alarms", feature = "linux"))]
        compare!(
            restart,
            "network",
            network,
            new.network,
            Network { tell_wifi_password: "tell_wifi_password", wifi_trial: "wifi_trial_seconds" }
        );
        compare!(
            restart,
            "publish",
            publish,
            new.publish,
            Publish { retry: "retry_seconds", linger: "linger_seconds" }
        );
        let Record { disconnect, spool, backfill } = record;
        if *disconnect != new.record.disconnect {
            restart.push("record.disconnect_seconds".into());
        }
        if *backfill != new.record.backfill {
            restart.push("record.backfill".into());
        }
        match (spool, &new.record.spool) {
            (Some(old), Some(new)) => {
                compare!(
                    restart,
                    "record",
                    old,
                    new,
                    Spool { dir: "spool_dir", mode: "spool", limit: "spool_limit" }
                );
            }
            (None, None) => {}
            _ => restart.push("record.spool_dir".into()),
        }
        #[cfg(feature = "alarms")]
        compare!(
            restart,
            "alarm",
            alarm,
            new.alarm,
            Alarm { enable: "enable", delay: "delay_seconds", bits: "bits" }
        );
        #[cfg(feature = "ui")]
        let web = *web != new.web;
        #[cfg(not(feature = "ui"))]
        let web = false;
        compare!(
            restart,
            "runtime",
            runtime,
            new.runtime,
            Runtime {
                worker_threads: "worker_threads",
                read_batch: "read_batch_ms",
                #[cfg(feature = "linux")]
                watchdog: "watchdog",
            }
        );
        #[cfg(feature = "sandbox")]
        if *sandbox != new.sandbox {
            restart.push("sandbox.enable (or what goes with it: of the whole process)".into());
        }
        if *budget != new.budget {
            restart.push("runtime.memory_limit (how it is shared out)".into());
        }
        let differs = *tlss != new.tlss;
        let tlss = differs && budget.holds(new.tlss.as_ref());
        if differs && !tlss {
            restart.push("tlss".into());
        }
        let firmware = firmware(old, new, &mut restart);
        let log_level = *log_level != new.log_level;
        Self { cameras, tlss, allow_hosts: opened, firmware, web, log_level, restart }
    }

    /// Names of the changes that a running agent applies: `channel.0` for the camera of that
    /// channel, `tlss`, `cloud.allow_hosts`, `firmware` for its rules, `web`,
    /// `log.level`.
    pub fn now(&self) -> Vec<String> {
        let mut names: Vec<_> = self.cameras.iter().map(|n| format!("channel.{n}")).collect();
        names.extend(self.tlss.then(|| "tlss".into()));
        names.extend(self.allow_hosts.then(|| "cloud.allow_hosts".into()));
        names.extend(self.firmware.then(|| "firmware".into()));
        names.extend(self.web.then(|| "web".into()));
        names.extend(self.log_level.then(|| "log.level".into()));
        names
    }
}

/// Whether the rules of `[firmware]` differ; what else differs there needs a restart.
#[cfg(feature = "update")]
fn firmware(old: &Config, new: &Config, restart: &mut Vec<String>) -> bool {
    let Firmware { place, restart: program, rules } = &old.firmware;
    if *place != new.firmware.place {
        restart.push("firmware.backend (and what goes with it)".into());
    }
    if *program != new.firmware.restart {
        restart.push("firmware.restart".into());
    }
    *rules != new.firmware.rules
}

#[cfg(not(feature = "update"))]
fn firmware(_: &Config, _: &Config, _: &mut Vec<String>) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
        [cloud]\nurl = 'ws://h/'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
        [device]\nmodel = 'nvr'\n\
        [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://h/a'\nusername = 'u'\nweb = 'http://h'\n\
        ring_bytes = 1048576\n\
        [[channel]]\nbackend = 'emulator'\n\
        [record]\nspool_dir = '/s'\n[runtime]\nmemory_limit = 99999999\n[tlss]\nport = 1\nserver = 'h'\n";

    /// The names of what changed after `key` was set.
    fn after(key: &str, value: &str) -> Differences {
        let text = super::super::edit::set(FILE, &key.parse().unwrap(), value).unwrap();
        let config = text.parse().unwrap_or_else(|e| panic!("{key}: {e}"));
        Differences::between(&FILE.parse().unwrap(), &config)
    }

    #[test]
    fn every_change_is_taken_over_or_needs_a_restart() {
        for (key, value) in [
            ("log.level", "'debug'"),
            ("cloud.allow_hosts", "['store.example.com']"),
            ("channel.0.main", "'rtsp://h/b'"),
            ("channel.0.username", "'v'"),
            ("channel.0.password", "'p'"),
            ("channel.0.transport", "'udp'"),
            ("channel.0.describe_seconds", "1"),
            ("channel.0.first_packet_seconds", "1"),
            ("channel.0.silence_seconds", "1"),
            ("channel.0.login_follows_redirects", "true"),
            ("channel.0.web", "'http://h:81'"),
            ("channel.0.snapshot", "'/p'"),
            ("channel.0.web_cgi", "false"),
            ("channel.0.bitrate", "1"),
            ("channel.1.sub_bitrate", "1"),
            ("channel.1.command", "['x']"),
            #[cfg(feature = "pattern")]
            ("channel.1.alarms", "['motion:every=60s']"),
            #[cfg(feature = "onvif")]
            ("channel.0.backend", "['rtsp', 'onvif']"),
            ("channel.0.abilities.snapshot", "'none'"),
        ] {
            let name = match key.split_once(".1.").or(key.split_once(".0.")) {
                Some((section, _)) => format!("{section}.{}", &key[section.len() + 1..][..1]),
                None => key.to_owned(),
            };
            let found = after(key, value);
            assert_eq!(found.now(), [name], "{key}");
        }
        for (key, value) in [
            ("cloud.url", "'ws://i/'"),
            ("cloud.login_code", "'d'"),
            ("cloud.login_passwd", "'q'"),
            ("cloud.hardware_model", "'m'"),
            ("cloud.firmware_model", "'m'"),
            ("cloud.ca_file", "'f'"),
            ("cloud.stop_publish_on_disconnect", "false"),
            ("cloud.accept_bare_answers", "true"),
            ("cloud.preview", "true"),
            ("device.clock_steps", "'any'"),
            ("channel.0.ring_bytes", "2097152"),
            ("channel.0.always_on", "['main']"),
            ("channel.1.quality", "{ hd = 'sub' }"),
            ("publish.retry_seconds", "1"),
            ("publish.linger_seconds", "1"),
            #[cfg(any(feature = "alarms", feature = "linux"))]
            ("network.tell_wifi_password", "true"),
            #[cfg(any(feature = "alarms", feature = "linux"))]
            ("network.wifi_trial_seconds", "60"),
            #[cfg(feature = "linux")]
            ("runtime.watchdog", "'/dev/watchdog1'"),
            ("record.disconnect_seconds", "1"),
            ("record.backfill", "'before'"),
            ("record.spool_dir", "'/t'"),
            ("record.spool", "'always'"),
            ("record.spool_limit", "1048576"),
            #[cfg(feature = "alarms")]
            ("alarm.enable", "['motion']"),
            #[cfg(feature = "alarms")]
            ("alarm.delay_seconds", "1"),
            #[cfg(feature = "alarms")]
            ("alarm.bits", "[1, 2, 3]"),
            ("runtime.worker_threads", "1"),
            ("runtime.read_batch_ms", "1"),
            ("runtime.memory_limit", "88888888"),
            #[cfg(feature = "sandbox")]
            ("sandbox.enable", "true"),
            #[cfg(feature = "update")]
            ("firmware.restart", "['reboot']"),
        ] {
            let found = after(key, value);
            assert_eq!(found.now(), [""; 0], "{key}");
            let restart = found.restart;
            assert!(
                restart.iter().any(|name| name.split(' ').next() == Some(key)),
                "{key}: {restart:?}"
            );
        }
    }

    #[cfg(feature = "update")]
    #[test]
    fn a_key_that_is_taken_out_counts_no_more_at_once() {
        let keys = "['RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3']";
        for (key, value) in [
            ("keys", keys),
            ("model", "'IPC-1'"),
            ("allow_unsigned", "true"),
            ("max_size", "1"),
            ("daily", "false"),
            ("defer_for_recording", "true"),
            ("commit_minutes", "1"),
            ("rollback_minutes", "60"),
        ] {
            let found = after(&format!("firmware.{key}"), value);
            assert_eq!((found.now(), found.restart), (vec!["firmware".into()], vec![]), "{key}");
        }
        let slots = "[firmware]\nbackend = 'slots'\nslot_a = 'a'\nslot_b = 'b'\nmarker = 'm'\n";
        let [old, new] =
            [FILE.into(), format!("{FILE}{slots}")].map(|text: String| text.parse().unwrap());
        let found = Differences::between(&old, &new);
        assert_eq!(found.restart, ["firmware.backend (and what goes with it)"]);
        assert!(found.now().is_empty());
    }

    #[test]
    fn the_number_of_channels_and_the_spool_itself_need_a_restart() {
        let old: Config = FILE.parse().unwrap();
        let more: Config = format!("{FILE}[[channel]]\nbackend = 'emulator'\n").parse().unwrap();
        let found = Differences::between(&old, &more);
        assert_eq!(found.restart[0], "channel (how many there are)");
        // What was channel 1 is channel 0 in the file from now on.
        let less = FILE.find("[[channel]]").zip(FILE.rfind("[[channel]]")).unwrap();
        let less: Config = [&FILE[..less.0], &FILE[less.1..]].concat().parse().unwrap();
        let found = Differences::between(&old, &less);
        assert_eq!(found.now(), [""; 0]);
        assert!(found.restart[0].starts_with("channel (how many"), "{found:?}");
        assert!(found.restart.iter().all(|name| !name.starts_with("channel.")), "{found:?}");
        let without: Config = FILE.replace("spool_dir = '/s'", "").parse().unwrap();
        let found = Differences::between(&old, &without);
        assert!(found.restart.contains(&"record.spool_dir".to_owned()), "{found:?}");
    }

    #[test]
    fn the_hosted_service_is_taken_over_within_the_memory_that_was_set_aside_for_it() {
        const SHARED_OUT: &str = "runtime.memory_limit (how it is shared out)";
        assert_eq!(after("tlss.port", "2"), Differences::default(), "it is off");
        let found = after("tlss.enable", "true");
        assert_eq!(found.now(), ["tlss"], "replies of the usual length need no restart");
        assert_eq!(found.restart, [SHARED_OUT]);
        let longer = FILE.replace("port = 1", "reply_limit = 9000000\nport = 1");
        let longer: Config = format!("{longer}enable = true\n").parse().unwrap();
        let found = Differences::between(&FILE.parse().unwrap(), &longer);
        assert_eq!((found.now(), found.restart), (vec![], vec![SHARED_OUT.into(), "tlss".into()]));

        let on: Config = format!("{FILE}enable = true\n").parse().unwrap();
        let with = |keys: &str| format!("{FILE}{keys}\n").parse::<Config>().unwrap();
        for (keys, now, restart) in [
            ("enable = true\nbrand = 'b'", &["tlss"][..], &[][..]),
            ("enable = true\nreply_limit = 65536", &["tlss"], &[SHARED_OUT]),
            ("enable = true\nreply_limit = 9000000\nbrand = 'b'", &[], &[SHARED_OUT, "tlss"]),
            ("", &["tlss"], &[SHARED_OUT]),
        ] {
            let found = Differences::between(&on, &with(keys));
            assert_eq!(found.now(), now, "{keys}");
            assert_eq!(found.restart, restart, "{keys}");
        }
        // What was set aside at the start is set aside while the service is off.
        let off = Config { tlss: None, ..on.clone() };
        assert_eq!(Differences::between(&off, &on).now(), ["tlss"]);
    }
}
