//! Which cases of a conformance run are run: `--only PATTERN`, `--skip PATTERN`, `--all`.

use ivt_sim::args::{Args, ArgsError};

/// The cases to run. The default is every case that leaves the device as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    only: Vec<String>,
    skip: Vec<String>,
    all: bool,
}

impl Choice {
    /// The lines for `--help`.
    pub const HELP: &str = "\
  --only PATTERN,...      run these cases only: `publish.*`; also those that
                          change the device, where a pattern names them
  --skip PATTERN,...      leave these cases out
  --all                   also run cases that change the device: restart,
                          Wi-Fi, firmware, settings
  --list                  name the cases, and leave
";

    /// Takes `flag` where it is one of these options; false where it is not.
    ///
    /// # Errors
    /// When a value is missing.
    pub fn take<I>(&mut self, flag: &str, args: &mut Args<I>) -> Result<bool, ArgsError>
    where
        I: Iterator<Item = String>,
    {
        match flag {
            "--only" => self.only.extend(patterns(&args.value::<String>()?)),
            "--skip" => self.skip.extend(patterns(&args.value::<String>()?)),
            "--all" => self.all = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Only the cases that match one of these patterns.
    pub fn only(patterns: &[&str]) -> Self {
        let only = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Self { only, ..Self::default() }
    }

    /// Whether the case of this id is run; `changes` says whether it changes the device.
    pub fn takes(&self, id: &str, changes: bool) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, id));
        // A pattern for everything names nothing in particular.
        let named = || self.only.iter().any(|pattern| pattern != "*" && matches(pattern, id));
        (self.only.is_empty() || any(&self.only))
            && !any(&self.skip)
            && (!changes || self.all || named())
    }

    /// The first pattern that matches none of these ids.
    pub fn idle(&self, ids: &[&str]) -> Option<&str> {
        let mut patterns = self.only.iter().chain(&self.skip);
        let idle = patterns.find(|pattern| !ids.iter().any(|id| matches(pattern, id)));
        idle.map(String::as_str)
    }
}

fn patterns(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(|pattern| pattern.trim().to_owned()).filter(|pattern| !pattern.is_empty())
}

/// Whether `pattern`, in which `*` stands for any text, is the whole of `id`.
fn matches(pattern: &str, id: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == id };
    let Some(mut left) = id.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, id, whether) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a.*", "a.b", true),
            ("a.*", "b.a.", false),
            ("*.b", "a.b", true),
            ("*a*b*", "xaxbx", true),
            ("*a*b", "ab", true),
            ("*ab*b", "ab", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, id), whether, "{pattern} {id}");
        }
    }

    #[test]
    fn what_changes_the_device_is_run_when_it_is_named() {
        let words = |words: &[&str]| {
            let mut args = Args::new(words.iter().map(|word| (*word).to_owned()));
            let mut choice = Choice::default();
            while let Some(flag) = args.flag().unwrap() {
                assert!(choice.take(&flag, &mut args).unwrap());
            }
            choice
        };
        let none = words(&[]);
        assert!(none.takes("a", false) && !none.takes("a", true));
        let all = words(&["--all", "--skip", "b.*,c"]);
        assert!(all.takes("a", true) && !all.takes("b.x", false) && !all.takes("c", false));
        let only = words(&["--only=a.*"]);
        assert!(only.takes("a.x", true) && only.takes("a.x", false) && !only.takes("b", false));
        assert!(!words(&["--only", "*"]).takes("a", true));
        assert_eq!(all.idle(&["b.x", "d"]), Some("c"));
        assert_eq!(only.idle(&["a.x"]), None);
    }
}
