//! Takes a whole channel out of the configuration's files.

use toml::Spanned;
use toml::de::DeValue;

use super::channels::own;
use super::edit::count;
use super::key::{Key, LAST};
use super::lines::line_start;
use super::place::{EditError, Level, parse, written};
use super::{CHANNEL, Changed, Error, Store};
use crate::config::Files;

impl Store {
    /// Takes a channel with all its keys out of both files; the channels behind it move up by one. `seen` is as for
    /// [`Store::change`].
    ///
    /// # Errors
    /// Nothing was written; the error says why.
    pub(crate) fn remove_channel(
        &self,
        number: usize,
        seen: Option<&str>,
    ) -> Result<Changed, Error> {
        let key: Key = format!("{CHANNEL}.{}.backend", number.min(LAST)).parse()?;
        let edit = |files: &mut _| {
            cut(files, number).map_err(|source| Error::Edit { key: key.clone(), source })
        };
        self.exchange(vec![key.clone()], seen, edit, |_, _| Ok(()))
    }
}

/// Takes the channels from the number `channels` on out.
pub(super) fn shorten(files: &mut Files, channels: usize) -> Result<(), Error> {
    let first: Key = format!("{CHANNEL}.{}.backend", channels.min(LAST)).parse()?;
    let failed = |source| Error::Edit { key: first.clone(), source };
    own(files).map_err(failed)?;
    for last in (channels..count(&files.main.text, CHANNEL).map_err(failed)?).rev() {
        cut(files, last).map_err(failed)?;
    }
    Ok(())
}

fn cut(files: &mut Files, number: usize) -> Result<(), EditError> {
    own(files)?;
    let main = &mut files.main.text;
    *main = without(main, CHANNEL, number)?;
    if let Some(apart) = &mut files.apart
        && number < count(&apart.text, CHANNEL)?
    {
        apart.text = without(&apart.text, CHANNEL, number)?;
    }
    Ok(())
}

/// The text without an element of the array of tables `name`: its header, what stands below it, its own sections, and
/// the comments directly above each of these headers. What stands directly above the next header belongs to that.
fn without(text: &str, name: &str, number: usize) -> Result<String, EditError> {
    let root = parse(text)?;
    let items = root.get(name).and_then(|value| value.get_ref().as_array());
    let count = items.map_or(0, |items| items.len());
    let Some(item) = items.and_then(|items| items.get(number)) else {
        return Err(EditError::NoElement { name: name.to_owned(), number, count });
    };
    if !matches!(written(text, item), Level::Header(_)) {
        return Err(EditError::ByHand(name.to_owned()));
    }
    let (mut own, mut all) = (Marks::default(), Marks::default());
    own.add(text, item);
    root.values().for_each(|value| all.add(text, value));
    all.headers.push(text.len());
    own.sort();
    all.sort();
    let (mut kept, mut at) = (String::new(), 0);
    for header in own.headers {
        let next = all.headers.iter().find(|next| **next > header).unwrap_or(&header);
        kept += &text[at..above(text, header, &all.ends)];
        at = above(text, *next, &all.ends);
    }
    kept += &text[at..];
    let is_last = at == text.len();
    let trimmed = kept.trim_end_matches(['\n', '\r']).len();
    if is_last && trimmed < kept.len() {
        let end = kept[trimmed..].find('\n').map_or(kept.len(), |newline| trimmed + newline + 1);
        kept.truncate(if trimmed == 0 { 0 } else { end });
    }
    Ok(kept)
}

/// Where the headers within a value begin, and where its pairs end.
#[derive(Default)]
struct Marks {
    headers: Vec<usize>,
    ends: Vec<usize>,
}

impl Marks {
    fn add(&mut self, text: &str, value: &Spanned<DeValue<'_>>) {
        let level = written(text, value);
        match (&level, value.get_ref()) {
            (Level::Header(_) | Level::Dotted, DeValue::Table(table)) => {
                if let Level::Header(header) = level {
                    self.headers.push(header.start);
                }
                table.values().for_each(|value| self.add(text, value));
            }
            (Level::Header(_), DeValue::Array(items)) => {
                items.iter().for_each(|item| self.add(text, item));
            }
            _ => self.ends.push(value.span().end),
        }
    }

    fn sort(&mut self) {
        self.headers.sort_unstable();
        self.headers.dedup();
        self.ends.sort_unstable();
    }
}

/// Where the comments begin that stand directly above the line of a header, or that line itself.
fn above(text: &str, header: usize, ends: &[usize]) -> usize {
    if header == text.len() {
        return header;
    }
    // A line that begins with # may be the end of a long string.
    let floor = ends.iter().rev().find(|end| **end <= header).copied().unwrap_or(0);
    let mut start = line_start(text, header);
    while start > floor {
        let before = line_start(text, start - 1);
        if before < floor || !text[before..start].trim_start().starts_with('#') {
            break;
        }
        start = before;
    }
    start
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Access;

    const FILE: &str = "\
# Of the device.

# Of all cameras.
[web]
enable = true

# The door.
# It is green.
[[channel]] # 0
backend = 'rtsp'
main = 'rtsp://192.0.2.1/a'

# What the door serves.
[channel.quality]
hd = 'sub'
# Of nothing.

# The gate.
[[channel]]
backend = 'emulator'
[[channel]]
backend = 'rtsp'
main = 'rtsp://192.0.2.3/c'

[log]
level = 'info'
";

    #[test]
    fn a_channel_goes_with_its_sections_and_its_comments_and_the_rest_stays() {
        let without = |number| without(FILE, "channel", number).unwrap();
        let door = FILE.find("# The door.").unwrap()..FILE.find("# The gate.").unwrap();
        assert_eq!(without(0), FILE.replace(&FILE[door], ""));
        assert_eq!(
            without(1),
            FILE.replace("# The gate.\n[[channel]]\nbackend = 'emulator'\n", "")
        );
        let last = "[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://192.0.2.3/c'\n\n";
        assert_eq!(without(2), FILE.replace(last, ""));
    }

    #[test]
    fn the_odd_ways_to_write_a_channel_are_understood() {
        for (text, number, want) in [
            ("[[channel]]\na = 1", 0, ""),
            ("[a]\n\n[[channel]]\nb = 1\n\n\n", 0, "[a]\n"),
            ("[a]\r\n\r\n[[channel]]\r\nb = 1\r\n", 0, "[a]\r\n"),
            ("[[channel]]\n[b]\n[channel.quality]\nhd = 1\n[c]\n", 0, "[b]\n[c]\n"),
            ("[[channel]]\n[[channel]]\n[channel.q]\n[x]\n", 1, "[[channel]]\n[x]\n"),
            ("[[channel]]\na.b = 1\nc = { d = 1 }\n[[channel]]\n", 0, "[[channel]]\n"),
            (
                "[a]\nb = '''\n# no comment'''\n[[channel]]\nc = 1\n",
                0,
                "[a]\nb = '''\n# no comment'''\n",
            ),
            ("[[channel]]\nb = '''\n[[channel]]\n'''\n[[channel]]\n", 0, "[[channel]]\n"),
        ] {
            assert_eq!(without(text, "channel", number).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let error = |text, number| without(text, "channel", number).unwrap_err().to_string();
        assert!(error(FILE, 3).starts_with("there is no channel 3: the file has 3"));
        assert!(error("", 0).starts_with("there is no channel 0"));
        assert!(error("channel = [{ a = 1 }]", 0).contains("only an editor"));
        assert!(error("channel = 1", 0).starts_with("there is no channel 0"));
    }

    #[test]
    fn a_login_in_the_other_file_goes_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let (file, apart) = (folder.path().join("ivt.toml"), folder.path().join("secret.toml"));
        let head = "credentials = 'secret.toml'\n[device]\nmodel = 'nvr'\n[web]\nenable = true\n";
        let camera = |n| format!("[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://192.0.2.{n}/a'\n");
        fs::write(&file, [head, &camera(1), &camera(2), &camera(3)].concat()).unwrap();
        let login = |n| format!("[[channel]]\nusername = 'u{n}'\npassword = 'Rem0val-{n}'\n");
        fs::write(&apart, [login(1), login(2)].concat()).unwrap();
        let store = Store::new(&file, Access::Any);
        let (_, version) = store.read().unwrap();
        assert!(matches!(store.remove_channel(0, Some("other")), Err(Error::Outdated)));
        let changed = store.remove_channel(0, Some(&version)).unwrap();
        assert_eq!(changed.files.len(), 2);
        let users = |config: &crate::config::Config| {
            let users = config.channels.iter().map(|c| c.backend.network.username.clone());
            users.collect::<Vec<_>>()
        };
        assert_eq!(users(&changed.config), [Some("u2".into()), None]);
        assert_eq!(fs::read_to_string(&apart).unwrap(), login(2));
        let changed = store.remove_channel(1, None).unwrap();
        assert_eq!((changed.files.len(), changed.config.channels.len()), (1, 1));
        assert!(store.remove_channel(1, None).is_err());
        assert_eq!(store.remove_channel(0, None).unwrap().config.channels.len(), 0);
    }

    /// A file of sections and channels in any order, each with a number of its own in it.
    fn any_file() -> impl Strategy<Value = (String, usize)> {
        let part = prop_oneof![
            Just("[[channel]]\nn = N\n"),
            Just("# of N\n[[channel]] # N\nn = N\nq = { a = N }\n\n"),
            Just("[[channel]]\nn = N\n[channel.q]\na = 'N'\n# of N\n"),
            Just("[[channel]]\nn = N\ns = '''\n[[channel]]\n# N'''\n"),
            Just("# of N\n[sN]\nn = N\n"),
            Just("\n[sN] # N\nn = [ # N\n N ]\n# of N\n\n"),
        ];
        prop::collection::vec(part, 0..8).prop_map(|parts| {
            let numbered =
                parts.iter().enumerate().map(|(n, part)| part.replace('N', &n.to_string()));
            let text: String = numbered.collect();
            let channels = parts
                .iter()
                .filter(|part| part.contains("[[channel]]\nn") || part.contains("] # N\nn = N\nq"))
                .count();
            (text, channels)
        })
    }

    /// Every line that is not of a channel, and the numbers of the channels.
    fn rest(text: &str) -> (Vec<String>, Vec<i64>) {
        let root = parse(text).unwrap();
        let mut sections: Vec<_> = root.keys().map(|key| key.get_ref().to_string()).collect();
        sections.retain(|name| name != "channel");
        let channels = root.get("channel").and_then(|value| value.get_ref().as_array());
        let number = |item: &Spanned<DeValue<'_>>| {
            let n = item.get_ref().as_table().unwrap().get("n").unwrap().get_ref();
            n.as_integer().unwrap().as_str().parse().unwrap()
        };
        let numbers = channels.map(|items| items.iter().map(number).collect());
        (sections, numbers.unwrap_or_default())
    }

    proptest! {
        #[test]
        fn any_channel_of_any_file_goes_alone((text, count) in any_file(), which in 0..8usize) {
            let (sections, mut numbers) = rest(&text);
            prop_assert_eq!(numbers.len(), count);
            let outcome = without(&text, "channel", which);
            prop_assert_eq!(outcome.is_ok(), which < count);
            if let Ok(left) = outcome {
                numbers.remove(which);
                prop_assert_eq!(rest(&left), (sections, numbers), "{}\n->\n{}", text, left);
            }
        }
    }
}
