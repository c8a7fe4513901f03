//! The name that a person may have meant by one that is not known.

/// Names that are less alike are not taken for a slip of the keyboard: 1 is the same name, 0 has nothing of it.
const ALIKE: f64 = 0.55;

/// The name that is most like `word`; `None` where none is.
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let names = names.into_iter();
    let near = names.map(|name| (strsim::normalized_damerau_levenshtein(word, name), name));
    let (alike, name) = near.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (alike >= ALIKE).then_some(name)
}

/// The question after a wrong name; empty where no name is near.
pub(crate) fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_near_are_found_and_others_are_not() {
        for (word, names, near) in [
            ("cal", &["call", "notify", "hang_up"][..], Some("call")),
            ("notfiy", &["call", "notify", "hang_up"], Some("notify")),
            ("hangup", &["call", "notify", "hang_up"], Some("hang_up")),
            ("adls-512", &["clean", "adsl-512", "satellite"], Some("adsl-512")),
            ("rtsp_port", &["rtmp-port", "rtsp-port", "page-port"], Some("rtsp-port")),
            ("xyzzy", &["call", "notify", "hang_up"], None),
            ("carrier pigeon", &["clean", "adsl-512", "satellite"], None),
            ("call", &[], None),
        ] {
            assert_eq!(nearest(word, names.iter().copied()), near, "{word}");
        }
    }
}
