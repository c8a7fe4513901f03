//! Messages as cameras of many makes send them.

use super::*;
use crate::xml::parse;

/// A message of items, each `name=value`.
fn message(topic: &str, operation: &str, source: &str, data: &str) -> String {
    let items = |text: &str| {
        let items = text.split(',').filter_map(|item| item.split_once('='));
        let items = items
            .map(|(name, value)| format!("<tt:SimpleItem Name=\"{name}\" Value=\"{value}\"/>"));
        items.collect::<String>()
    };
    let operation = match operation {
        "" => String::new(),
        word => format!("PropertyOperation=\"{word}\""),
    };
    format!(
        "<wsnt:NotificationMessage><wsnt:Topic Dialect='x'>{topic}</wsnt:Topic><wsnt:Message>\
         <tt:Message UtcTime=\"0000-00-00T00:00:00Z\" {operation}><tt:Source>{}</tt:Source><tt:Data>{}</tt:Data>\
         </tt:Message></wsnt:Message></wsnt:NotificationMessage>",
        items(source),
        items(data)
    )
}

fn answer(messages: &str) -> Element {
    let text = format!("<tev:PullMessagesResponse>{messages}</tev:PullMessagesResponse>");
    parse(text.as_bytes(), &Limits::default()).unwrap()
}

fn told(topic: &str, source: &str, data: &str) -> Vec<(Trigger, Value, String)> {
    let all = read(&answer(&message(topic, "Changed", source, data)));
    all.into_iter().map(|told| (told.trigger, told.value, told.what)).collect()
}

#[test]
fn states_are_read_in_every_spelling() {
    let three =
        "VideoSourceConfigurationToken=vsconf,VideoAnalyticsConfigurationToken=va,Rule=MyRule";
    for (topic, source, data, trigger, what) in [
        (
            "tns1:RuleEngine/CellMotionDetector/Motion",
            three,
            "IsMotion=X",
            Trigger::Motion,
            "MyRule, motion",
        ),
        (
            "tns1:VideoSource/MotionAlarm",
            "Source=vs0",
            "State=X",
            Trigger::Motion,
            "vs0, MotionAlarm",
        ),
        (
            "tns1:RuleEngine/MotionRegionDetector/Motion",
            "VideoSource=0,RuleName=r",
            "State=X",
            Trigger::Motion,
            "r, Motion",
        ),
        (
            "tns1:RuleEngine/FieldDetector/ObjectsInside",
            three,
            "ObjectId=7,IsInside=X",
            Trigger::Line,
            "MyRule, inside",
        ),
        (
            "tns1:RuleEngine/FieldDetector/ObjectsInside",
            three,
            "IsInside=X,ObjectId=1",
            Trigger::Line,
            "MyRule, inside",
        ),
        (
            "tns1:Device/Trigger/DigitalInput",
            "InputToken=00000",
            "LogicalState=X",
            Trigger::Input,
            "00000, DigitalInput",
        ),
        (
            "tns1:VideoSource/tns1:Device/Trigger/DigitalInput",
            "InputToken=1",
            "LogicalState=X",
            Trigger::Input,
            "1, DigitalInput",
        ),
        (
            "tns1:Device/Trigger/tnshik:AlarmIn",
            "AlarmInToken=AlarmIn_1",
            "State=X",
            Trigger::Input,
            "AlarmIn_1, AlarmIn",
        ),
        (
            "tns1:RuleEngine/CellMotionDetector/LineCross",
            three,
            "IsLineCross=X",
            Trigger::Line,
            "MyRule, linecross",
        ),
        (
            "tns1:RuleEngine/CellMotionDetector/Intrusion",
            three,
            "IsIntrusion=X",
            Trigger::Line,
            "MyRule, intrusion",
        ),
        (
            "tns1:RuleEngine/CellMotionDetector/People",
            three,
            "IsPeople=X",
            Trigger::Motion,
            "MyRule, people",
        ),
        (
            "tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent",
            three,
            "IsVehicle=X",
            Trigger::Motion,
            "MyRule, vehicle",
        ),
        (
            "tns1:RuleEngine/CellMotionDetector/TpSmartEvent",
            three,
            "IsPet=X",
            Trigger::Motion,
            "MyRule, pet",
        ),
        (
            "tns1:RuleEngine/MyRuleDetector/PeopleDetect",
            "Source=000",
            "State=X",
            Trigger::Motion,
            "000, PeopleDetect",
        ),
        (
            "tns1:RuleEngine/MyRuleDetector/Visitor",
            "Source=000",
            "State=X",
            Trigger::Input,
            "000, Visitor",
        ),
        (
            "tns1:RuleEngine/tnsajax:MotionDetector/Detection",
            "VideoSourceToken=v,Rule=r",
            "Detected=X",
            Trigger::Motion,
            "r, Detection",
        ),
        (
            "tnsaxis:CameraApplicationPlatform/VMD/Camera1ProfileANY",
            "",
            "active=X",
            Trigger::Motion,
            "Camera1ProfileANY",
        ),
        (
            "tnsaxis:CameraApplicationPlatform/FenceGuard/Camera1Profile1",
            "",
            "active=X",
            Trigger::Line,
            "Camera1Profile1",
        ),
        (
            "tns1:RuleEngine/tnsaxis:VMD3/vmd3_video_1",
            "areaid=0",
            "active=X",
            Trigger::Motion,
            "vmd3_video_1",
        ),
        (
            "tnsaxis:CameraApplicationPlatform/ObjectAnalytics/Device1ScenarioANY",
            "",
            "classTypes=human,objectId=3,active=X",
            Trigger::Motion,
            "Device1ScenarioANY",
        ),
        ("tns1:Device/tnsaxis:IO/Port", "port=1", "state=X", Trigger::Input, "1, Port"),
    ] {
        for (active, value) in [
            ("true", true),
            ("TRUE", true),
            ("1", true),
            (" Active ", true),
            ("false", false),
            ("False", false),
            ("0", false),
            ("inactive", false),
        ] {
            let data = data.replace('X', active);
            let want = (trigger, Value::State(value), what.to_owned());
            assert_eq!(told(topic, source, &data), [want], "{topic} {data}");
        }
        assert_eq!(told(topic, source, &data.replace('X', "")), [], "{topic}: no value");
        assert_eq!(told(topic, source, &data.replace('X', "nonsense")), [], "{topic}: no value");
    }
}

#[test]
fn what_is_no_alarm_is_left_out() {
    for (topic, source, data) in [
        ("tns1:Device/Trigger/Relay", "RelayToken=1", "LogicalState=active"),
        ("tns1:RuleEngine/TamperDetector/Tamper", "", "IsTamper=true"),
        ("tns1:RuleEngine/CellMotionDetector/Tamper", "", "IsTamper=true"),
        ("tns1:VideoSource/GlobalSceneChange/ImagingService", "Source=1", "State=true"),
        ("tns1:RecordingConfig/JobState", "", "State=Active"),
        ("tns1:Monitoring/ProcessorUsage", "", "Value=1"),
        ("tns1:Device/tnsaxis:IO/Port", "port=-1", "state=1"),
        ("tnsaxis:CameraApplicationPlatform/ObjectAnalytics/xinternal_data", "", "active=1"),
        ("tns1:VideoSource/tnsaxis:Motion/timer", "", "active=1"),
        ("", "", ""),
        ("tns1:RuleEngine/CountAggregation/Counter", "", "Count=1"),
    ] {
        assert_eq!(told(topic, source, data), [], "{topic}");
    }
}

#[test]
fn a_crossing_has_a_number_or_none() {
    let crossed = |topic, data| match &*told(topic, "Rule=r", data) {
        [(Trigger::Line, Value::Crossed(object), _)] => object.is_some(),
        other => panic!("{other:?}"),
    };
    assert!(crossed("tns1:RuleEngine/LineDetector/Crossed", "ObjectId=15"));
    assert!(!crossed("tns1:RuleEngine/LineDetector/Crossed", "ObjectId=0"));
    assert!(crossed(
        "tns1:RuleEngine/LineDetector/Crossed",
        "ClassTypes=Human,ObjectId=1,Likelihood=0.9"
    ));
    assert!(!crossed("tns1:RuleEngine/tnsajax:LineDetector/Crossing", ""));
    let state = told("tns1:RuleEngine/LineDetector/Crossed", "", "ObjectId=1,State=true");
    assert_eq!(state[0].1, Value::State(true), "a camera that tells the end");
}

#[test]
fn classes_of_objects_are_a_state() {
    let topic = "tns1:RuleEngine/ObjectDetection/Object";
    let state = |data| told(topic, "VideoSourceToken=vsconf,Rule=AjaxObjectRule", data)[0].1;
    assert_eq!(state("ClassTypes=Human"), Value::State(true));
    assert_eq!(state("ClassTypes="), Value::State(false));
}

#[test]
fn several_items_are_told_each_and_may_stand_in_the_key() {
    let topic = "tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent";
    let all =
        read(&answer(&message(topic, "", "Rule=r", "IsPet=0,IsLineCross=1,IsTamper=1,IsPeople=1")));
    let short: Vec<_> = all.iter().map(|told| (told.trigger, told.value)).collect();
    let on = Value::State(true);
    let want = [(Trigger::Motion, Value::State(false)), (Trigger::Line, on), (Trigger::Motion, on)];
    assert_eq!(short, want);
    assert!(all[0].key != all[1].key && all[1].key != all[2].key && all[0].key != all[2].key);
    assert!(all.iter().all(|told| told.operation == Operation::Untold));

    let keyed = |state: &str| {
        let text = message("tns1:VideoSource/MotionAlarm", "Changed", "Source=1", "State=S");
        let text = text.replace("tt:Data", "tt:Key").replace("\"S\"", &format!("\"{state}\""));
        read(&answer(&text)).remove(0)
    };
    assert_eq!(keyed("true").value, on);
    assert_eq!(keyed("true").key, keyed("false").key, "the state is no part of the key");
}

#[test]
fn namespaces_may_be_spelt_in_any_way() {
    let text = "<NotificationMessage xmlns='a'><b:Topic xmlns:b='c'>t:VideoSource/t:MotionAlarm</b:Topic><Message>\
                <d:Message propertyOperation='x' PropertyOperation=' changed '><e:Source><e:SimpleItem Value='1' \
                Name='Source'/></e:Source><f:Data><g:SimpleItem g:Name='State' g:Value='1'></g:SimpleItem></f:Data>\
                </d:Message></Message></NotificationMessage>";
    let all = read(&answer(text));
    assert_eq!((all[0].value, all[0].operation), (Value::State(true), Operation::Changed));
    assert_eq!(all[0].input, ["1"]);
}

#[test]
fn inputs_are_named_by_tokens_the_most_telling_first() {
    let input = |topic: &str, source: &str| {
        read(&answer(&message(topic, "", source, "State=1,IsMotion=1"))).remove(0).input
    };
    let motion = "tns1:RuleEngine/CellMotionDetector/Motion";
    let three = "Rule=r,VideoAnalyticsConfigurationToken=va,VideoSourceConfigurationToken=vsc";
    assert_eq!(input(motion, three), ["vsc", "va"]);
    assert_eq!(input("tns1:VideoSource/MotionAlarm", "Source=VS_2"), ["VS_2"]);
    assert_eq!(input("tns1:Device/Trigger/DigitalInput", "InputToken=3"), [""; 0]);
    assert_eq!(input("x/VMD/Camera3ProfileANY", ""), ["camera 3"]);
}

#[test]
fn a_malformed_message_takes_no_other_with_it() {
    let good = message("tns1:VideoSource/MotionAlarm", "Changed", "Source=1", "State=true");
    let bare = "<wsnt:NotificationMessage><wsnt:Topic>tns1:VideoSource/MotionAlarm</wsnt:Topic></wsnt:NotificationMessage>";
    assert_eq!(read(&answer(&format!("{bare}{good}<x/>{good}"))).len(), 2);
    for broken in [
        "<wsnt:NotificationMessage><wsnt:Topic>a</wrong></wsnt:NotificationMessage>",
        "<wsnt:NotificationMessage><tt:Message a=></wsnt:NotificationMessage>",
        "<wsnt:NotificationMessage><wsnt:Topic>a</wsnt:Topic>",
        "<wsnt:NotificationMessage",
        "<!DOCTYPE a>",
        "</wsnt:NotificationMessage>",
    ] {
        let whole =
            format!("<E:Envelope><E:Body><P>{good}{broken}{good}</P></E:Body></E:Envelope>");
        let found = salvage(whole.as_bytes()).map_or(0, |answer| read(&answer).len());
        assert_eq!(found, 2, "{broken}");
    }
    assert_eq!(salvage(b"<html>NotificationMessage</html>"), None);
    assert_eq!(salvage(b"<NotificationMessage>"), None);
}

#[test]
fn what_a_camera_says_is_bounded() {
    let long = format!("Rule=\u{7}{}", "x\u{202e}\u{1b}".repeat(5000));
    let text = told("tns1:VideoSource/MotionAlarm", &long, "State=1").remove(0).2;
    assert!(text.chars().count() <= crate::LONGEST_WHAT && !text.contains(char::is_control));
    let good = message("tns1:VideoSource/MotionAlarm", "", "", "State=1");
    let many = read(&answer(&good.repeat(1000)));
    assert_eq!(many.len(), MOST);
}

mod random {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), cut in 0usize..400) {
            let good = message("tns1:VideoSource/MotionAlarm", "Changed", "Source=1", "State=true");
            let mut text = good.repeat(2).into_bytes();
            text.splice(cut.min(text.len())..cut.min(text.len()), bytes);
            if let Some(answer) = salvage(&text) {
                read(&answer);
            }
        }
    }
}
