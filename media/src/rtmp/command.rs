//! Commands: a name, a transaction number, an object, arguments.

use bytes::Bytes;

use crate::rtmp::amf::{self, AmfError, Value};
use crate::rtmp::chunk::{Message, Writer, channel, kind};

/// A command as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What is asked, or `_result`, `_error`, `onStatus`.
    pub name: String,
    /// Pairs a reply with its request; 0 where none is expected.
    pub transaction: f64,
    /// The command object, then the arguments. May be empty.
    pub args: Vec<Value>,
}

impl Command {
    /// Reads a message; `None` when it is no command.
    pub fn parse(message: &Message) -> Result<Option<Self>, AmfError> {
        let payload = match message.kind {
            kind::COMMAND => &message.payload[..],
            // AMF3 commands hold AMF0 after one byte, as long as nobody asks for more.
            kind::COMMAND_AMF3 => message.payload.get(1..).unwrap_or_default(),
            _ => return Ok(None),
        };
        let mut values = amf::decode(payload)?.into_iter();
        let Some(Value::String(name)) = values.next() else { return Ok(None) };
        let mut rest = values.as_slice();
        let transaction = match rest.split_first() {
            Some((Value::Number(number), args)) => {
                rest = args;
                *number
            }
            _ => 0.0,
        };
        Ok(Some(Self { name, transaction, args: rest.to_vec() }))
    }

    /// The first text of an information object among the arguments: `code`, `level`, `description`.
    pub fn info(&self, member: &str) -> Option<&str> {
        self.args.iter().find_map(|value| value.member(member)).and_then(Value::as_str)
    }
}

/// Adds a command to what is to be written.
pub fn send(out: &mut Writer, stream_id: u32, name: &str, transaction: f64, args: &[Value]) {
    let mut values = vec![name.into(), transaction.into()];
    values.extend_from_slice(args);
    let body = Bytes::from(amf::encode(&values));
    out.message(channel::COMMAND, kind::COMMAND, stream_id, 0, &[], &body);
}
