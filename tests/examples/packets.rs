//! Reads the packets of the cloud as a device does: `packets < EXPORT`, where the simulator's page saves
//! EXPORT. Prints the names of requests and events. Fails at the first packet that the specification does not
//! have, or of which something is lost in reading.
#![forbid(unsafe_code)]

use std::error::Error;

use ivt_proto::rpc::message::{Call, Event};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    for line in std::io::stdin().lines() {
        let line: Value = serde_json::from_str(&line?)?;
        if line["direction"] == "to_device" {
            let text = line["text"].as_str().ok_or("a packet without text")?;
            if let Some(name) = read(text).map_err(|error| format!("{error}: {text}"))? {
                println!("{name}");
            }
        }
    }
    Ok(())
}

/// The name of the request or event; `None` for an answer.
fn read(text: &str) -> Result<Option<String>> {
    let packet: Value = serde_json::from_str(text)?;
    let params = packet.get("params").cloned();
    let (name, understood) = if let Some(method) = packet["req"].as_str() {
        let call = Call::parse(method, params.clone());
        call.check()?;
        (call.method().to_owned(), call.params())
    } else if let Some(event) = packet["event"].as_str() {
        let event = Event::parse(event, params.clone());
        event.check()?;
        (event.event().to_owned(), event.params())
    } else {
        return Ok(None);
    };
    if !params.iter().all(|sent| understood.as_ref().is_some_and(|read| holds(read, sent))) {
        return Err(format!("read as {}", understood.unwrap_or_default()).into());
    }
    Ok(Some(name))
}

/// Whether `read` has all of `sent`; it may have defaults beside it.
fn holds(read: &Value, sent: &Value) -> bool {
    match (read, sent) {
        (Value::Object(read), Value::Object(sent)) => {
            sent.iter().all(|(key, sent)| read.get(key).is_some_and(|read| holds(read, sent)))
        }
        (Value::Array(read), Value::Array(sent)) => {
            read.len() == sent.len() && read.iter().zip(sent).all(|(read, sent)| holds(read, sent))
        }
        _ => read == sent,
    }
}
