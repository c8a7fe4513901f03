//! The text in which counts are exposed to Prometheus (exposition format 0.0.4).

use std::fmt::Write as _;

/// Families of numbers as text.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
    /// The family that samples are added to.
    family: &'static str,
}

impl Exposition {
    /// Begins a family whose numbers go up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.begin(name, "gauge", help)
    }

    /// Begins a family whose numbers only grow, until the agent is started anew. Its name ends in `_total`.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.begin(name, "counter", help)
    }

    fn begin(&mut self, name: &'static str, kind: &str, help: &str) -> &mut Self {
        // Writing to a string cannot fail.
        write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
        self.family = name;
        self
    }

    /// Adds a number of the family.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.text += self.family;
        for (n, (name, value)) in labels.iter().enumerate() {
            self.text += if n == 0 { "{" } else { "," };
            self.text += name;
            self.text += "=\"";
            for c in value.chars() {
                match c {
                    '\\' | '"' => self.text.extend(['\\', c]),
                    '\n' => self.text += "\\n",
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        self.text += if labels.is_empty() { "" } else { "}" };
        writeln!(self.text, " {value}").ok();
        self
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_below_their_family_and_labels_are_escaped() {
        let mut text = Exposition::default();
        text.gauge("a_bytes", "Bytes.").sample(&[], 5.0);
        text.counter("b_total", "All.").sample(&[("x", "a\"\\\n"), ("y", "é")], 0.25);
        let want = "# HELP a_bytes Bytes.\n# TYPE a_bytes gauge\na_bytes 5\n\
                    # HELP b_total All.\n# TYPE b_total counter\nb_total{x=\"a\\\"\\\\\\n\",y=\"é\"} 0.25\n";
        assert_eq!(text.into_text(), want);
    }
}
