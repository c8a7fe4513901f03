//! The description of the interface.

use futures::FutureExt as _;

use crate::web::assets;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] =
    &[Route::get("/api/v1/openapi.json", |call| description(call).boxed())];

async fn description(call: Call) -> Result<Reply, Refusal> {
    let file = assets::file(ivt_page::API, call.parts.uri.path(), &call.parts.headers);
    file.ok_or_else(Refusal::not_found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use serde_json::{Map, Value, json};

    use crate::web::api;
    use crate::web::route::Access;

    /// What parts may describe for several calls.
    const KINDS: [&str; 3] = ["parameters", "responses", "schemas"];

    fn page(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../page").join(file)
    }

    fn read(file: &Path) -> Value {
        let text = std::fs::read_to_string(file).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    }

    /// Takes the members of one object into another, which has none of these names.
    fn take(into: &mut Value, from: &Value, file: &Path) {
        for (name, value) in from.as_object().into_iter().flatten() {
            let before = into.as_object_mut().unwrap().insert(name.clone(), value.clone());
            assert!(before.is_none(), "{}: {name} is described twice", file.display());
        }
    }

    /// The parts of the description as one.
    fn merged() -> Value {
        let common = page("openapi/common.json");
        let mut whole = read(&common);
        let usual = whole.as_object_mut().unwrap().remove("responses").unwrap();
        whole["paths"] = json!({});
        whole["components"]["parameters"] = json!({});
        let mut files: Vec<_> = std::fs::read_dir(page("openapi"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files.iter().filter(|file| **file != common) {
            let part = read(file);
            take(&mut whole["paths"], &part["paths"], file);
            for kind in KINDS {
                take(&mut whole["components"][kind], &part[kind], file);
                take(&mut whole["components"][kind], &part["components"][kind], file);
            }
        }
        let error =
            json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
        for (path, methods) in whole["paths"].as_object_mut().unwrap() {
            let shared = methods.as_object_mut().unwrap().remove("parameters");
            for (method, operation) in methods.as_object_mut().unwrap() {
                if let Some(shared) = shared.as_ref().and_then(Value::as_array) {
                    let own = operation["parameters"].as_array().cloned().unwrap_or_default();
                    operation["parameters"] = [shared.clone(), own].concat().into();
                }
                let has_body = operation["requestBody"].is_object();
                let is_open = operation["security"] == json!([]);
                for (status, description) in usual.as_object().unwrap() {
                    let is_possible = match &**status {
                        "401" => !is_open,
                        "408" | "413" | "422" => has_body,
                        "415" => method != "get",
                        _ => true,
                    };
                    if is_possible && operation["responses"][status].is_null() {
                        operation["responses"][status] =
                            json!({ "description": description, "content": error });
                    }
                }
                assert!(operation["operationId"].is_string(), "{path} needs an operationId");
            }
        }
        whole
    }

    #[test]
    fn the_description_that_is_served_is_that_of_its_parts() {
        let file = page("openapi.json");
        let wanted = serde_json::to_string_pretty(&merged()).unwrap() + "\n";
        if std::env::var_os("UPDATE_TABLES").is_some() {
            std::fs::write(&file, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap();
        assert!(found == wanted, "page/openapi.json is old: run this test with UPDATE_TABLES=1");
    }

    #[test]
    fn what_is_described_is_there_and_what_is_there_is_described() {
        let whole = merged();
        let methods = ["get", "post", "put", "delete"];
        let mut described = BTreeSet::new();
        for (path, operations) in whole["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                assert!(methods.contains(&&**method), "{path}: {method}");
                described.insert((path.clone(), method.to_uppercase()));
            }
        }
        let there: BTreeSet<_> =
            api::routes().map(|r| (r.path.to_owned(), r.verb.name().to_owned())).collect();
        let missing: Vec<_> = there.difference(&described).collect();
        let gone: Vec<_> = described.difference(&there).collect();
        assert!(
            missing.is_empty() && gone.is_empty(),
            "not described: {missing:?}; not there: {gone:?}"
        );
        for route in api::routes() {
            let operation = &whole["paths"][route.path][route.verb.name().to_lowercase()];
            let name = format!("{} {}", route.verb.name(), route.path);
            let is_open = operation["security"] == json!([]);
            assert_eq!(is_open, route.access != Access::Session, "{name}: security");
            let body = operation["requestBody"]["content"].as_object();
            let kinds = body.map(|kinds| kinds.keys().map(String::as_str).collect::<Vec<_>>());
            assert!(kinds.is_none_or(|kinds| kinds == [route.takes.kind()]), "{name}: its body");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let resolved = parameters.iter().map(|parameter| match parameter["$ref"].as_str() {
                Some(to) => whole.pointer(to.trim_start_matches('#')).unwrap(),
                None => parameter,
            });
            let told: BTreeSet<_> = resolved
                .filter(|parameter| parameter["in"] == "path")
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            let wanted: BTreeSet<_> = route
                .path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            assert_eq!(told, wanted, "{name}: parameters of the path");
        }
    }

    #[test]
    fn each_operation_has_a_name_of_its_own_and_refers_to_what_there_is() {
        let whole = merged();
        let mut names = BTreeSet::new();
        for operations in whole["paths"].as_object().unwrap().values() {
            for operation in operations.as_object().unwrap().values() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name), "{name} is there twice");
            }
        }
        refers(&whole, &whole);
    }

    fn refers(whole: &Value, part: &Value) {
        match part {
            Value::Object(members) => {
                if let Some(to) = members.get("$ref").and_then(Value::as_str) {
                    let pointer = to.strip_prefix('#').unwrap();
                    assert!(whole.pointer(pointer).is_some(), "{to} is not there");
                }
                members.values().for_each(|member| refers(whole, member));
            }
            Value::Array(items) => items.iter().for_each(|item| refers(whole, item)),
            _ => {}
        }
    }

    #[test]
    fn the_parts_are_known_by_their_members() {
        let known = [&["paths", "components"], &KINDS[..]].concat();
        for entry in std::fs::read_dir(page("openapi")).unwrap() {
            let file = entry.unwrap().path();
            if file.ends_with("common.json") {
                continue;
            }
            let part: Map<String, Value> = serde_json::from_value(read(&file)).unwrap();
            let other: Vec<_> = part.keys().filter(|key| !known.contains(&&***key)).collect();
            assert!(other.is_empty(), "{}: {other:?}", file.display());
        }
    }
}
