//! What a topic of ONVIF means. Its words are compared without their prefixes, as vendors have topics of their own.

use crate::Trigger;

/// A topic.
pub(super) struct Topic {
    /// The words of its path in lower case.
    words: Vec<String>,
    /// The last of them as the camera writes it.
    shown: String,
}

/// Most words of a topic that count.
const MOST_WORDS: usize = 16;

/// Roots below which nothing is an alarm.
const NO_ALARMS: [&str; 6] = [
    "configuration",
    "media",
    "monitoring",
    "recordingconfig",
    "recordinghistory",
    "ptzcontroller",
];
/// Last words of what Axis cameras tell for themselves.
const NOISE: [&str; 2] = ["xinternal_data", "timer"];
/// Words of what a camera cannot see through.
const TAMPERED: [&str; 3] = ["tamper", "globalscenechange", "imagetoo"];
/// What words of line crossings and of areas that are entered begin with or hold.
const LINES: [&str; 11] = [
    "linedetector",
    "linecross",
    "crossline",
    "crossregion",
    "crossed",
    "crossing",
    "fielddetector",
    "intrusion",
    "fenceguard",
    "loitering",
    "tripwire",
];
/// What words of motion, and of what moves, hold.
const MOTIONS: [&str; 11] = [
    "motion",
    "vmd",
    "people",
    "person",
    "human",
    "vehicle",
    "dogcat",
    "animal",
    "objectanalytics",
    "objectdetection",
    "smartevent",
];
/// What words of motion begin with that are a part of other words, too.
const BEGINNINGS: [&str; 4] = ["face", "pet", "package", "pir"];

impl Topic {
    /// Reads a topic expression, also with the signs of XPath at its end.
    pub(super) fn read(text: &str) -> Self {
        let words = text.split('/').map(|word| word.rsplit(':').next().unwrap_or(word).trim());
        let words = words.map(|word| word.trim_end_matches('.')).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.take(MOST_WORDS).collect();
        let shown = words.last().copied().unwrap_or_default().to_owned();
        Self { words: words.iter().map(|word| word.to_lowercase()).collect(), shown }
    }

    /// What sets off the alarms of the topic; `None` for a topic that is none by its name.
    pub(super) fn trigger(&self) -> Option<Trigger> {
        let holds = |parts: &[&str]| {
            self.words.iter().any(|word| parts.iter().any(|part| word.contains(part)))
        };
        let last = self.last();
        let is_none = self.words.first().is_some_and(|root| NO_ALARMS.contains(&&**root))
            || NOISE.contains(&last)
            || holds(&TAMPERED);
        if is_none {
            return None;
        }
        let is_port =
            last == "port" && self.words.iter().rev().nth(1).is_some_and(|word| word == "io");
        if is_port || matches!(last, "digitalinput" | "alarmin" | "visitor") {
            // A visitor presses the button at the door.
            return Some(Trigger::Input);
        }
        if holds(&LINES) {
            return Some(Trigger::Line);
        }
        let begins = |word: &String| BEGINNINGS.iter().any(|beginning| word.starts_with(beginning));
        (holds(&MOTIONS) || self.words.iter().any(begins)).then_some(Trigger::Motion)
    }

    /// Whether the topic tells of the moment in which a line is crossed, and not of a state.
    pub(super) fn is_crossing(&self) -> bool {
        let last = self.last();
        last.contains("cross") && self.trigger() == Some(Trigger::Line)
    }

    /// Whether the topic is noise, whatever its items are.
    pub(super) fn is_noise(&self) -> bool {
        NOISE.contains(&self.last())
    }

    /// The last word, which says most to people; empty for an empty topic.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The words.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// The number of the video input that a word of Axis cameras holds, such as `Camera2Profile1`.
    pub(super) fn input(&self) -> Option<u16> {
        self.words.iter().find_map(|word| {
            let digits = word.strip_prefix("camera")?;
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().ok().filter(|number| *number > 0)
        })
    }

    fn last(&self) -> &str {
        self.words.last().map_or("", |word| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_every_vendor_have_their_trigger() {
        const MOTION: Option<Trigger> = Some(Trigger::Motion);
        const LINE: Option<Trigger> = Some(Trigger::Line);
        const INPUT: Option<Trigger> = Some(Trigger::Input);
        for (topic, trigger) in [
            ("tns1:RuleEngine/CellMotionDetector/Motion", MOTION),
            ("tns1:RuleEngine/CellMotionDetector/Motion/", MOTION),
            ("tns1:RuleEngine/CellMotionDetector/Motion//.", MOTION),
            ("tns1:RuleEngine/CellMotionDetector/Motion.", MOTION),
            ("\n  RuleEngine/x:CellMotionDetector/y:Motion \n", MOTION),
            ("tns1:VideoSource/MotionAlarm", MOTION),
            ("tns1:RuleEngine/MotionRegionDetector/Motion", MOTION),
            ("tns1:RuleEngine/LineDetector/Crossed", LINE),
            ("tns1:RuleEngine/FieldDetector/ObjectsInside", LINE),
            ("tns1:RuleEngine/LoiteringDetector/ObjectIsLoitering", LINE),
            ("tns1:Device/Trigger/DigitalInput", INPUT),
            ("tns1:VideoSource/tns1:Device/Trigger/DigitalInput", INPUT),
            ("tns1:Device/Trigger/tnshik:AlarmIn", INPUT),
            ("tns1:Device/Trigger/Relay", None),
            ("tns1:RuleEngine/TamperDetector/Tamper", None),
            ("tns1:VideoSource/GlobalSceneChange/ImagingService", None),
            ("tns1:VideoSource/ImageTooDark/AnalyticsService", None),
            ("tns1:RuleEngine/CellMotionDetector/LineCross", LINE),
            ("tns1:RuleEngine/CellMotionDetector/Intrusion", LINE),
            ("tns1:RuleEngine/CellMotionDetector/People", MOTION),
            ("tns1:RuleEngine/CellMotionDetector/Tamper", None),
            ("tns1:RuleEngine/CellMotionDetector/TpSmartEvent", MOTION),
            ("tns1:RuleEngine/LineCrossDetector/LineCross", LINE),
            ("tns1:RuleEngine/PeopleDetector/People", MOTION),
            ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", MOTION),
            ("tns1:RuleEngine/MyRuleDetector/FaceDetect", MOTION),
            ("tns1:RuleEngine/MyRuleDetector/PeopleDetect", MOTION),
            ("tns1:RuleEngine/MyRuleDetector/VehicleDetect", MOTION),
            ("tns1:RuleEngine/MyRuleDetector/DogCatDetect", MOTION),
            ("tns1:RuleEngine/MyRuleDetector/Package", MOTION),
            ("tns1:RuleEngine/MyRuleDetector/Visitor", INPUT),
            ("tns1:RuleEngine/tnsajax:MotionDetector/Detection", MOTION),
            ("tns1:RuleEngine/tnsajax:LineDetector/Crossing", LINE),
            ("tns1:RuleEngine/ObjectDetection/Object", MOTION),
            ("tns1:UserAlarm/IVA/HumanShapeDetect", MOTION),
            ("tns1:RecordingConfig/JobState", None),
            ("tns1:Monitoring/ProcessorUsage", None),
            ("tns1:Configuration/Motion", None),
            ("tnsaxis:CameraApplicationPlatform/VMD/Camera1ProfileANY", MOTION),
            ("tnsaxis:CameraApplicationPlatform/VMD/Camera1Profile1", MOTION),
            ("tns1:RuleEngine/tnsaxis:VMD3/vmd3_video_1", MOTION),
            ("tnsaxis:CameraApplicationPlatform/ObjectAnalytics/Device1ScenarioANY", MOTION),
            ("tnsaxis:CameraApplicationPlatform/FenceGuard/Camera1Profile1", LINE),
            ("tnsaxis:CameraApplicationPlatform/MotionGuard/Camera1ProfileANY", MOTION),
            ("tnsaxis:CameraApplicationPlatform/ObjectAnalytics/xinternal_data", None),
            ("tnsaxis:CameraApplicationPlatform/VMD/xinternal_data", None),
            ("tns1:VideoSource/tnsaxis:MotionX/timer", None),
            ("tns1:Device/tnsaxis:IO/Port", INPUT),
            ("tns1:Device/tnsaxis:IO/VirtualPort", None),
            ("tns1:Device/tnsaxis:Sensor/PIR", MOTION),
            ("tns1:Device/tnsaxis:Network/Interface", None),
            ("tns1:AudioAnalytics/Audio/DetectedSound", None),
            ("tns1:PTZController/PTZPresets/Channel_1", None),
            ("", None),
            ("//.", None),
        ] {
            assert_eq!(Topic::read(topic).trigger(), trigger, "{topic}");
        }
    }

    #[test]
    fn a_crossing_is_a_moment_and_an_area_is_not() {
        let is = |topic| Topic::read(topic).is_crossing();
        assert!(is("tns1:RuleEngine/LineDetector/Crossed//."));
        assert!(is("tns1:RuleEngine/tnsajax:LineDetector/Crossing"));
        assert!(!is("tns1:RuleEngine/FieldDetector/ObjectsInside"));
        assert!(!is("tns1:RuleEngine/CellMotionDetector/Motion"));
    }

    #[test]
    fn axis_cameras_name_the_input_in_the_topic() {
        let input = |topic| Topic::read(topic).input();
        assert_eq!(input("tnsaxis:CameraApplicationPlatform/VMD/Camera2ProfileANY"), Some(2));
        assert_eq!(input("tnsaxis:CameraApplicationPlatform/VMD/Camera0ProfileANY"), None);
        assert_eq!(input("tnsaxis:CameraApplicationPlatform/VMD"), None);
        assert_eq!(input("a/Camera99999999"), None);
    }
}
