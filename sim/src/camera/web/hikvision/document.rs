//! The documents that clients read, change and send back as a whole.

use std::time::Duration;

use ivt_hal::xml::{self, Element, Limits, escape};
use ivt_hal::{Area, Armed, Detection, Point};

use super::{NOT_SUPPORTED, Order, Refusal, Unit, refused, wrapped};

/// Last column and row of the grid of coordinates.
const GRID: u32 = 1000;
/// Digits of the map of motion: 18 rows of 22 cells, each row in six digits.
const MAP: usize = 18 * 6;
/// What a document may leave out or add.
const OPTIONAL: [&str; 2] = ["RegionCoordinatesList", "detectionTarget"];

/// A document of one input, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    Motion(usize),
    Field(usize),
    MotionTimes(usize),
    FieldTimes(usize),
    Wireless,
}

impl Document {
    /// The document at this path behind `/ISAPI`.
    pub fn at(parts: &[&str], recorder: bool) -> Option<Self> {
        let input = |text: &str| text.parse::<usize>().ok()?.checked_sub(1);
        Some(match parts {
            ["System", "Video", "inputs", "channels", id, "motionDetection"] if !recorder => {
                Self::Motion(input(id)?)
            }
            ["ContentMgmt", "InputProxy", "channels", id, "video", "motionDetection"]
                if recorder =>
            {
                Self::Motion(input(id)?)
            }
            ["Smart", "FieldDetection", id] => Self::Field(input(id)?),
            ["Event", "schedules", "motionDetections", id] => {
                Self::MotionTimes(input(id.strip_prefix("VMD_video")?)?)
            }
            ["Event", "schedules", "fieldDetections", id] => {
                Self::FieldTimes(input(id.strip_prefix("fielddetection_video")?)?)
            }
            ["System", "Network", "interfaces", "2", "wireless"] => Self::Wireless,
            _ => return None,
        })
    }

    /// The input that it is about.
    pub fn input(self) -> usize {
        match self {
            Self::Motion(input)
            | Self::Field(input)
            | Self::MotionTimes(input)
            | Self::FieldTimes(input) => input,
            Self::Wireless => 0,
        }
    }

    /// A name that no other document has.
    pub fn key(self) -> String {
        format!("{self:?}")
    }

    /// The other half of a detection: its times, or what they are for.
    pub fn twin(self) -> Option<Self> {
        Some(match self {
            Self::Motion(input) => Self::MotionTimes(input),
            Self::Field(input) => Self::FieldTimes(input),
            Self::MotionTimes(input) => Self::Motion(input),
            Self::FieldTimes(input) => Self::Field(input),
            Self::Wireless => return None,
        })
    }

    /// The document of a camera that nobody has set up.
    pub async fn factory(self, unit: &Unit) -> Result<Element, Refusal> {
        let id = self.input() + 1;
        let text = match self {
            Self::Motion(_) => wrapped(
                "MotionDetection",
                &format!(
                    "<enabled>false</enabled><startTriggerTime>500</startTriggerTime>\
                 <endTriggerTime>500</endTriggerTime><regionType>grid</regionType>\
                 <Grid><rowGranularity>18</rowGranularity><columnGranularity>22</columnGranularity></Grid>\
                 <MotionDetectionLayout><sensitivityLevel>60</sensitivityLevel><layout><gridMap>{}</gridMap>\
                 </layout></MotionDetectionLayout>",
                    "fffffc".repeat(18)
                ),
            ),
            Self::Field(_) => wrapped(
                "FieldDetection",
                &format!(
                    "<id>{id}</id><enabled>false</enabled><normalizedScreenSize>\
                 <normalizedScreenWidth>{GRID}</normalizedScreenWidth>\
                 <normalizedScreenHeight>{GRID}</normalizedScreenHeight></normalizedScreenSize>\
                 <FieldDetectionRegionList><FieldDetectionRegion><id>1</id><enabled>false</enabled>\
                 <sensitivityLevel>50</sensitivityLevel><timeThreshold>0</timeThreshold>\
                 </FieldDetectionRegion></FieldDetectionRegionList>"
                ),
            ),
            Self::MotionTimes(_) => times(&format!("VMD_video{id}")),
            Self::FieldTimes(_) => times(&format!("fielddetection_video{id}")),
            Self::Wireless => {
                let wifi = unit.channel.wifi.as_ref().ok_or(NOT_SUPPORTED)?;
                let status = wifi.status().await.map_err(refused)?;
                let key = status.password.map(|word| word.into_exposed()).unwrap_or_default();
                wrapped(
                    "Wireless",
                    &format!(
                        "<enabled>{}</enabled><wirelessNetworkMode>infrastructure</wirelessNetworkMode>\
                     <channel>1</channel><ssid>{}</ssid><wmmEnabled>false</wmmEnabled><WirelessSecurity>\
                     <securityMode>WPA2-personal</securityMode><WPA><algorithmType>AES</algorithmType>\
                     <sharedKey>{}</sharedKey><wpaKeyLength>64</wpaKeyLength></WPA></WirelessSecurity>",
                        status.enable,
                        escape(&status.ssid),
                        escape(&key)
                    ),
                )
            }
        };
        xml::parse(text.as_bytes(), &Limits::default()).map_err(|_| Refusal(500, 3, "deviceError"))
    }

    /// What a new document means to the camera, with its other half as it is; `None` where it does not fit.
    pub fn order(self, new: &Element, twin: Option<&Element>) -> Option<Option<Order>> {
        let twin = twin.unwrap_or(new);
        Some(Some(match self {
            Self::Motion(_) => Order::Motion(motion(new, armed(twin)?)?),
            Self::MotionTimes(_) => Order::Motion(motion(twin, armed(new)?)?),
            Self::Field(_) => field(new, armed(twin)?)?,
            Self::FieldTimes(_) => field(twin, armed(new)?)?,
            Self::Wireless => {
                let open = new.text_at("WirelessSecurity/securityMode") == "disable";
                let text = |path| new.find(path).map(Element::exact_text);
                let key = text("WirelessSecurity/WPA/sharedKey")?;
                truth(new, "enabled")?;
                Order::Join {
                    ssid: Some(text("ssid")?),
                    password: Some(if open { String::new() } else { key }),
                }
            }
        }))
    }
}

/// Whether `new` has everything that `old` has, by names, and nothing else.
pub fn is_whole(old: &Element, new: &Element) -> bool {
    let has = |of: &Element, name: &str| of.child(name).is_some() || OPTIONAL.contains(&name);
    old.local_name() == new.local_name()
        && old.elements().all(|child| has(new, child.local_name()))
        && (old.elements().next().is_none()
            || new.elements().all(|child| has(old, child.local_name())))
        && old
            .elements()
            .all(|child| new.child(child.local_name()).is_none_or(|other| is_whole(child, other)))
}

/// A schedule of the whole week.
fn times(id: &str) -> String {
    let day = |day| {
        format!(
            "<TimeBlock><dayOfWeek>{day}</dayOfWeek><TimeRange><beginTime>00:00:00</beginTime>\
             <endTime>24:00:00</endTime></TimeRange></TimeBlock>"
        )
    };
    let days: String = (1..=7).map(day).collect();
    wrapped("Schedule", &format!("<id>{id}</id><TimeBlockList size=\"8\">{days}</TimeBlockList>"))
}

/// The part of each day that a schedule holds; its days have to be alike, as the HAL knows only one.
fn armed(schedule: &Element) -> Option<Armed> {
    let mut days = vec![Vec::new(); 7];
    for block in schedule.find_all("TimeBlockList/TimeBlock") {
        let day = block.text_at("dayOfWeek").parse::<usize>().ok()?.checked_sub(1)?;
        let range = [block.text_at("TimeRange/beginTime"), block.text_at("TimeRange/endTime")];
        let [Some(from), Some(to)] = range.map(seconds) else { return None };
        if from >= to {
            return None;
        }
        days.get_mut(day)?.push((from, to));
    }
    days.iter_mut().for_each(|windows| windows.sort_unstable());
    if days.iter().any(|windows| *windows != days[0]) {
        return None;
    }
    match days[0].as_slice() {
        [(start, end)] => Some(Armed { start: *start, end: *end }),
        [(0, end), (start, 86_400)] if end < start => Some(Armed { start: *start, end: *end }),
        _ => None,
    }
}

/// Seconds after midnight of a time such as `06:30:00` or `06:30`.
fn seconds(text: &str) -> Option<u32> {
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let fits = hour <= 24 && minute < 60 && second < 60 && parts.next().is_none();
    fits.then(|| hour * 3600 + minute * 60 + second).filter(|all| *all <= 86_400)
}

fn motion(document: &Element, armed: Armed) -> Option<Detection> {
    let map = document.text_at("MotionDetectionLayout/layout/gridMap");
    let level = document.text_at("MotionDetectionLayout/sensitivityLevel").parse::<u8>().ok()?;
    let end = document.text_at("endTriggerTime").parse::<u64>().ok()?;
    let fits = map.len() == MAP
        && map.bytes().all(|digit| digit.is_ascii_hexdigit())
        && level <= 100
        && level % 20 == 0
        && end <= 3_600_000;
    let enable = truth(document, "enabled")?;
    let delay = Duration::from_millis(end);
    fits.then_some(Detection { enable, armed, sensitivity: level, delay })
}

fn field(document: &Element, armed: Armed) -> Option<Order> {
    let region = document.find("FieldDetectionRegionList/FieldDetectionRegion")?;
    let level = region.text_at("sensitivityLevel").parse::<u8>().ok()?;
    let threshold = region.text_at("timeThreshold").parse::<u64>().ok()?;
    let enable = truth(document, "enabled")? && truth(region, "enabled")?;
    let axis = |point: &Element, name: &str| {
        let place = point.text_at(name).parse::<u32>().ok().filter(|place| *place <= GRID)?;
        u8::try_from((place * 100 + GRID / 2) / GRID).ok()
    };
    let corner = |point: &Element| {
        axis(point, "positionX").zip(axis(point, "positionY")).map(|(x, y)| Point { x, y })
    };
    let corners = region.find_all("RegionCoordinatesList/RegionCoordinates");
    let corners: Option<Vec<_>> = corners.into_iter().map(corner).collect();
    let area = match corners?.as_slice() {
        [] => None,
        [a, b, c, d] => Some(Area([*a, *b, *c, *d])),
        _ => return None,
    };
    if level > 100 || threshold > 10 {
        return None;
    }
    let delay = Duration::from_secs(threshold);
    Some(Order::Tripwire(Detection { enable, armed, sensitivity: level, delay }, area))
}

fn truth(element: &Element, path: &str) -> Option<bool> {
    element.text_at(path).parse().ok()
}
