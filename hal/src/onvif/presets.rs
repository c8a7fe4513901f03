//! Positions that the camera remembers.

use async_trait::async_trait;

use super::{Onvif, check_token, within};
use crate::xml::{Element, escape};
use crate::{MOST_NAMED, Named, Presets, Result};

const LIST: &str = "presets list";
const GO_TO: &str = "presets go to";

#[async_trait]
impl Presets for Onvif {
    async fn list(&self) -> Result<Vec<Named>> {
        within(LIST, async {
            let answer = self.ptz_call(LIST, "GetPresets", &|_| String::new()).await?;
            Ok(named(&answer, "Preset"))
        })
        .await
    }

    async fn go_to(&self, token: &str) -> Result<()> {
        check_token(GO_TO, token)?;
        let body = |_: &_| format!("<PresetToken>{}</PresetToken>", escape(token));
        within(GO_TO, async {
            self.ptz_call(GO_TO, "GotoPreset", &body).await?;
            // The camera goes there in the place of any movement.
            self.rests();
            Ok(())
        })
        .await
    }
}

/// The rows of an answer, without those that have no token or one that came before.
pub(super) fn named(answer: &Element, row: &str) -> Vec<Named> {
    let mut list: Vec<Named> = Vec::new();
    for row in answer.children(row) {
        let token = row.attribute("token").unwrap_or_default();
        let is_new = !token.trim().is_empty() && !list.iter().any(|one| one.token == token);
        if is_new && list.len() < MOST_NAMED {
            let name = match row.text_at("Name") {
                "" => token.to_owned(),
                name => restored(name),
            };
            list.push(Named { token: token.to_owned(), name });
        }
    }
    list
}

/// A name whose UTF-8 the camera took for Latin-1 before it wrote it as UTF-8 again (Reolink), as it was meant; any
/// other name as it is.
fn restored(name: &str) -> String {
    let bytes: Option<Vec<u8>> = name.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let meant = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    meant.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, parse};

    #[test]
    fn tokens_are_unique_and_names_are_readable() {
        let answer = "<R><Preset token='1'><Name>Door</Name></Preset><Preset token=''><Name>x</Name></Preset><Preset/>\
                      <p:Preset p:token='2'/><Preset token='1'><Name>again</Name></Preset>\
                      <Preset token='3'><Name>K\u{c3}\u{bc}che \u{c3}\u{84}</Name></Preset>\
                      <Preset token='4'><Name>K\u{fc}che</Name></Preset>\
                      <Preset token='5'><Name>门 Ü</Name></Preset>\
                      <Preset token='6'><Name> </Name></Preset></R>";
        let answer = parse(answer.as_bytes(), &Limits::default()).unwrap();
        let list: Vec<_> =
            named(&answer, "Preset").into_iter().map(|one| (one.token, one.name)).collect();
        let expected = [
            ("1", "Door"),
            ("2", "2"),
            ("3", "Küche Ä"),
            ("4", "Küche"),
            ("5", "门 Ü"),
            ("6", "6"),
        ];
        assert_eq!(list, expected.map(|(token, name)| (token.to_owned(), name.to_owned())));
        let many: String = (0..1000).map(|n| format!("<Preset token='{n}'/>")).collect();
        let answer = parse(format!("<R>{many}</R>").as_bytes(), &Limits::default()).unwrap();
        assert_eq!(named(&answer, "Preset").len(), MOST_NAMED);
    }
}
