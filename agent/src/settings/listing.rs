//! The settings as their files have them, key by key.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use super::{Error, FIXED, Store, version};
use crate::check;
use crate::config::Files;

/// What the files of a configuration say. It holds passwords in clear, so there is no `Debug`.
pub(crate) struct Listing {
    /// The version for [`Store::change`].
    pub(crate) version: String,
    /// The keys that have a value, such as `channel.0.main`, sorted.
    pub(crate) values: Vec<(String, Value)>,
    /// Why the reader of the configuration refuses the files; `None` if it does not.
    pub(crate) problem: Option<String>,
}

impl Store {
    /// What the files say, also where the reader of the configuration refuses that. Waits for the disk.
    ///
    /// # Errors
    /// A file cannot be read, or is no TOML.
    pub(crate) fn list(&self) -> Result<Listing, Error> {
        let files = self.texts()?;
        let values = self.values(&files)?.into_iter().collect();
        let read = self.config(&files).map_err(Error::from);
        let read = read.and_then(|config| Ok(check::check(&config)?));
        let problem = read.err().map(|e| e.to_string());
        Ok(Listing { version: version(&files), values, problem })
    }

    /// The keys that have a value, also where the reader of the configuration refuses that.
    pub(super) fn values(&self, files: &Files) -> Result<BTreeMap<String, Value>, Error> {
        let mut values = BTreeMap::new();
        files.tables(|table| list("", table, &mut values))?;
        values.retain(|key, _| !FIXED.contains(&&**key));
        Ok(values)
    }
}

fn list(path: &str, table: &DeTable<'_>, values: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = match path {
            "" => name.get_ref().to_string(),
            path => format!("{path}.{}", name.get_ref()),
        };
        match value.get_ref() {
            DeValue::Table(table) => list(&key, table, values),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                for (number, item) in items.iter().enumerate() {
                    if let DeValue::Table(table) = item.get_ref() {
                        list(&format!("{key}.{number}"), table, values);
                    }
                }
            }
            value => {
                values.insert(key, json(value));
            }
        }
    }
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Boolean(flag) => json!(flag),
        DeValue::Integer(digits) => {
            let number = i64::from_str_radix(digits.as_str(), digits.radix());
            number.map_or_else(|_| json!(digits.as_str()), |number| json!(number))
        }
        DeValue::Float(digits) => json!(digits.as_str()),
        DeValue::Datetime(time) => json!(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        // No setting has a table within a list.
        DeValue::Table(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Access;

    fn listed(main: &str, apart: Option<&str>) -> Listing {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ivt.toml");
        fs::write(&file, main).unwrap();
        if let Some(text) = apart {
            fs::write(folder.path().join("secret.toml"), text).unwrap();
        }
        Store::new(file, Access::Any).list().unwrap()
    }

    #[test]
    fn both_files_are_listed_key_by_key() {
        let main = "version = 1\ncredentials = 'secret.toml'\n[cloud]\nurl = 'ws://h/'\nallow_hosts = ['a', 'b']\n\
                    [tlss]\nport = 0x10\nenable = false\n[[channel]]\nquality = { hd = 'sub' }\nbackend = 'emulator'\n\
                    [[channel]]\nquality.ld = 'main'\n";
        let apart = "[cloud]\nlogin_code = 'c'\n[[channel]]\n[[channel]]\npassword = 'p'\n";
        let listing = listed(main, Some(apart));
        let want = [
            ("channel.0.backend", json!("emulator")),
            ("channel.0.quality.hd", json!("sub")),
            ("channel.1.password", json!("p")),
            ("channel.1.quality.ld", json!("main")),
            ("cloud.allow_hosts", json!(["a", "b"])),
            ("cloud.login_code", json!("c")),
            ("cloud.url", json!("ws://h/")),
            ("tlss.enable", json!(false)),
            ("tlss.port", json!(16)),
        ];
        assert_eq!(listing.values, want.map(|(key, value)| (key.to_owned(), value)));
        let problem = listing.problem.unwrap();
        assert!(problem.contains("login_passwd is missing"), "{problem}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_said_without_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ivt.toml");
        fs::write(&file, "[log]\nlevel = canary canary\n").unwrap();
        let error = Store::new(file, Access::Any).list().err().unwrap().to_string();
        assert!(error.contains(":2:") && !error.contains("canary"), "{error}");
    }

    #[test]
    fn a_configuration_that_works_has_no_problem() {
        let listing = listed("[web]\nenable = true\n", None);
        assert_eq!((listing.problem, listing.values.len()), (None, 1));
    }
}
