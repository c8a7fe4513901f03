//! What a server asks for, in every way in which servers ask.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ivt_proto::tlss::frame;
use ivt_sim::tlss::Reply;

use super::call::{Broken, Call};
use super::facts::Finding;
use crate::report::Seen;

/// The parameter lists of the camera families (field notes, TLSS), by which servers find out which one a device is of.
const LISTS: [&str; 3] = [
    "/uapi-cgi/param.fcgi?action=list&group=VERSION",
    "/cgi-bin/operator/param.cgi?action=list&group=VERSION",
    "/nvc-cgi/admin/param.fcgi?action=list&group=VERSION",
];
/// What limits a list to one group.
const GROUP: &str = "&group=VERSION";
/// What deployed servers look for among all parameters, in small letters: servers do not tell the case.
const SOUGHT: [&str; 4] = [
    "network.eth0.mac=",
    "network.eth0.dhcp.enable=",
    "version.serialno=",
    "brand.model.productid=",
];
const PICTURES: [&str; 3] = [
    "/nvc-cgi/operator/snapshot.fcgi",
    "/cgi-bin/operator/snapshot.cgi",
    "/uapi-cgi/snapshot.fcgi",
];
const COUNTS: &str = "/cgi-bin/operator/countreport.cgi?reportfmt=csv&from=now-06:00&to=now&counter=active&sampling=600&order=Descending&value=diff";
const HEAT: &str =
    "uapi-cgi/reporthm.cgi?reportfmt=csv&from=yesterday&to=today&table=3&individual=no";
/// Number of commands that a session has to take.
const SEVERAL: usize = 12;
/// Number of commands after which some devices end a session (field notes, IPAI device client).
const FEW: usize = 10;

type Outcome = Result<Finding, Broken>;

/// The parameter list of the device's family.
pub(super) async fn parameters(call: &mut Call) -> Outcome {
    for list in LISTS {
        let reply = call.ask(list.as_bytes()).await?;
        if good(&reply) && has_parameters(&reply) {
            return Ok(Finding::pass());
        }
        if good(&reply) {
            return Ok(Finding::fail(format!(
                "{list} is answered without lines of Group.name=value"
            )));
        }
    }
    Ok(Finding::not_supported("no parameter list of the families uapi, IPAI and nvc is answered"))
}

/// The list of all parameters. Deployed servers look for some of them, and die without.
pub(super) async fn all(call: &mut Call) -> Outcome {
    let list = usual(call).await?;
    let all = list.strip_suffix(GROUP).unwrap_or(&list).to_owned();
    let reply = call.ask(all.as_bytes()).await?;
    if !good(&reply) && !good(&call.ask(list.as_bytes()).await?) {
        return Ok(Finding::not_supported(
            "no parameter list is answered, with a group or without",
        ));
    }
    if !good(&reply) || !has_parameters(&reply) {
        return Ok(Finding::fail(format!(
            "{all} is answered with {:?}, without lines of Group.name=value",
            reply.status_line
        )));
    }
    let text = String::from_utf8_lossy(&reply.raw).to_ascii_lowercase();
    Ok(match SOUGHT.iter().find(|name| !text.contains(*name)) {
        Some(name) => Finding::deviation(format!(
            "{name} is not in the list, which deployed servers look for"
        )),
        None => Finding::pass(),
    })
}

pub(super) async fn slashless(call: &mut Call) -> Outcome {
    let list = usual(call).await?;
    same(call, &list, &list.as_bytes()[1..], "without its slash").await
}

pub(super) async fn endings(call: &mut Call) -> Outcome {
    let list = usual(call).await?;
    for (ending, name) in [("\0", "a NUL"), ("\n", "a newline"), ("\r\n", "CR and LF")] {
        let found = same(
            call,
            &list,
            format!("{list}{ending}").as_bytes(),
            &format!("with {name} behind it"),
        )
        .await?;
        if found != Finding::pass() {
            return Ok(found);
        }
    }
    Ok(Finding::pass())
}

pub(super) async fn split(call: &mut Call) -> Outcome {
    let list = usual(call).await?;
    let whole = frame(list.as_bytes());
    let (head, rest) = whole.split_at(2);
    let (half, tail) = rest.split_at(rest.len() / 2);
    call.send(&[head, &half[..2], &half[2..], tail]).await?;
    let reply = call.reply().await?;
    Ok(judged(&list, &reply, "in four pieces"))
}

pub(super) async fn coalesced(call: &mut Call) -> Outcome {
    let list = usual(call).await?;
    let missing = "/uapi-cgi/no-such-command.cgi";
    call.send(&[&[frame(list.as_bytes()), frame(missing.as_bytes())].concat()]).await?;
    let first = call.reply().await?;
    let second = match call.reply().await {
        Ok(reply) => reply,
        Err(Broken::Silent(_)) => {
            return Ok(Finding::fail(
                "the second of two commands that arrived together was never answered",
            ));
        }
        Err(broken) => return Err(broken),
    };
    Ok(match (good(&first), good(&second)) {
        (_, true) => Finding::fail(
            "expected the list's answer and then an error page, got a good answer last",
        ),
        (true, false) => Finding::pass(),
        (false, false) => judged(&list, &first, "before another command"),
    })
}

pub(super) async fn several(call: &mut Call) -> Outcome {
    let list = usual(call).await?;
    for number in 0..SEVERAL {
        match call.ask(list.as_bytes()).await {
            Ok(_) => {}
            Err(Broken::Closed) if number >= FEW => {
                return Ok(Finding::deviation(format!(
                    "the session ends after {number} commands, as with devices of the IPAI family"
                )));
            }
            Err(broken) => {
                return Ok(Finding::fail(format!(
                    "command {} of the session: {broken}",
                    number + 1
                )));
            }
        }
    }
    Ok(Finding::pass())
}

pub(super) async fn picture(call: &mut Call) -> Outcome {
    for path in PICTURES {
        let reply = call.ask(path.as_bytes()).await?;
        if !good(&reply) {
            continue;
        }
        let body = &reply.body;
        return Ok(match (reply.is_jpeg(), body.ends_with(&[0xff, 0xd9])) {
            (true, true) => {
                let jpeg = STANDARD.encode(body);
                call.tape.push(Seen::Picture { text: format!("picture of {path}"), jpeg });
                Finding::pass()
            }
            (true, false) => {
                Finding::fail(format!("the JPEG of {path} has no end: its last bytes are lost"))
            }
            _ => Finding::fail(format!("{path} is answered with something that is no JPEG")),
        });
    }
    Ok(Finding::not_supported("no picture of the families uapi, IPAI and nvc is answered"))
}

pub(super) async fn counts(call: &mut Call) -> Outcome {
    let reply = call.ask(COUNTS.as_bytes()).await?;
    Ok(match good(&reply) {
        false => Finding::not_supported("the counting report is answered with an error page"),
        true if reply.text().is_some_and(|text| text.contains("Records:")) => Finding::pass(),
        true => Finding::fail("the counting report does not begin with Records:"),
    })
}

pub(super) async fn heat(call: &mut Call) -> Outcome {
    let reply = call.ask(HEAT.as_bytes()).await?;
    Ok(match good(&reply) {
        false => Finding::not_supported("the heat map is answered with an error page"),
        true if !reply.body.is_empty() => Finding::pass(),
        true => Finding::fail("the heat map is empty"),
    })
}

/// Whether a reply is no error page.
pub(super) fn good(reply: &Reply) -> bool {
    let fine = |status| (200..300).contains(&status);
    reply.status().is_none_or(fine) && !reply.is_error_page() && !reply.raw.is_empty()
}

/// A command that the device answers well, where it has one.
pub(super) async fn usual(call: &mut Call) -> Result<String, Broken> {
    for list in LISTS {
        if good(&call.ask(list.as_bytes()).await?) {
            return Ok(list.to_owned());
        }
    }
    Ok(LISTS[0].to_owned())
}

/// Whether the command in another dress has the status of the plain one.
async fn same(call: &mut Call, plain: &str, dressed: &[u8], how: &str) -> Outcome {
    let reply = call.ask(dressed).await?;
    Ok(judged(plain, &reply, how))
}

fn judged(plain: &str, reply: &Reply, how: &str) -> Finding {
    match good(reply) && has_parameters(reply) {
        true => Finding::pass(),
        false => Finding::fail(format!(
            "{plain} {how} is answered with {:?}, not as it is without that",
            reply.status_line
        )),
    }
}

/// Whether the body holds lines of parameters, also behind the headers of a reply that is taken for bare.
fn has_parameters(reply: &Reply) -> bool {
    let body = if reply.blank_line { &reply.body } else { &reply.raw };
    let text = String::from_utf8_lossy(body);
    text.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name.contains('.')))
}
