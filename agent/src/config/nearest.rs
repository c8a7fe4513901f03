//! The key that was probably meant.

/// The candidate nearest to `word`, where one is near enough to be a slip of the keyboard.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let distances = candidates.iter().map(|c| (distance(word, c), *c));
    distances.filter(|(d, _)| *d <= limit).min_by_key(|(d, _)| *d).map(|(_, c)| c)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let mut best = (last[j] + usize::from(a[i] != b[j])).min(last[j + 1] + 1);
            best = best.min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (a, b, want) in [
            ("", "", 0),
            ("url", "url", 0),
            ("ulr", "url", 1),
            ("channle", "channel", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("retry", "retry_seconds", 8),
        ] {
            assert_eq!(distance(a, b), want, "{a} {b}");
            assert_eq!(distance(b, a), want, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_key_is_named_and_nonsense_is_not() {
        let keys = ["url", "login_code", "login_passwd", "ca_file"];
        assert_eq!(nearest("login_password", &keys), Some("login_passwd"));
        assert_eq!(nearest("Url", &keys), Some("url"));
        assert_eq!(nearest("cafile", &keys), Some("ca_file"));
        assert_eq!(nearest("frobnicate", &keys), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
