//! What the daemon answers, as an `OpenAPI` 3.1 document. In: the types of its answers. Out: the document, the same in every run.
//! Never read back: what is answered is decided by the router, and a test holds the two together.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::hook::WEBHOOK_PATH;
use super::{OPENAPI_PATH, STATUS_PATH};
use crate::daemon::glance::Glance;
use crate::status::{STATUS_FORMAT_VERSION, Status};

/// The document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let status = generator.subschema_for::<Status>();
    let glance = generator.subschema_for::<Glance>();
    let text = json!({"type": "string"});
    let answer = |description: &str, form: &str, schema: &Value| json!({"description": description, "content": {form: {"schema": schema}}});
    let plain = |description: &str| answer(description, "text/plain; charset=utf-8", &text);
    let page = |description: &str| answer(description, "text/html; charset=utf-8", &text);
    let lang = json!({
        "name": "lang",
        "in": "query",
        "description": "The language, where the browser is not to decide: `zh` or `en`.",
        "schema": text,
    });
    let part =
        |name: &str, schema: Value| json!({"name": name, "in": "path", "required": true, "schema": schema});
    let get = |summary: &str, responses: Value| json!({"get": {"summary": summary, "responses": responses}});
    let mut paths = json!({
        STATUS_PATH: get("How every resource stands", json!({
            "200": answer("How every resource stands", "application/json", status.as_value()),
        })),
        "/v1/container/{name}": get("What a container uses now, and what it wrote last", json!({
            "200": answer("What was seen in it, or why nothing was", "application/json", glance.as_value()),
            "404": plain("There is no such resource"),
        })),
        OPENAPI_PATH: get("This document", json!({
            "200": answer("This document", "application/json", &json!({"type": "object"})),
        })),
        "/metrics": get("Metrics for Prometheus", json!({
            "200": answer("Metrics", "text/plain; version=0.0.4; charset=utf-8", &text),
        })),
        "/healthz": get("Whether the process lives", json!({"200": plain("It does")})),
        "/readyz": get("Whether the last look at everything is good and recent", json!({
            "200": plain("It is"),
            "503": plain("It is not, and why"),
        })),
        "/": get("The status page", json!({"200": page("The page")})),
        "/resource/{kind}/{name}": get("The page of one resource", json!({
            "200": page("The page"),
            "404": page("There is no such resource"),
        })),
    });
    paths["/"]["get"]["parameters"] = json!([lang]);
    let kind = json!({"enum": ["image", "network", "volume", "container"]});
    paths["/resource/{kind}/{name}"]["get"]["parameters"] =
        json!([part("kind", kind), part("name", text.clone()), lang]);
    paths["/v1/container/{name}"]["get"]["parameters"] = json!([part("name", text.clone())]);
    paths[WEBHOOK_PATH] = json!({"post": {
        "summary": "A forge says that there is something to fetch",
        "description": "There where the daemon has a webhook's secret. What is said beside the signature is not looked at.",
        "responses": {
            "202": plain("The repository is fetched"),
            "401": plain("This is not signed with the secret"),
            "413": plain("This is more than a forge says"),
        },
    }});
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Invigil",
            "version": STATUS_FORMAT_VERSION.to_string(),
            "description": "How things stand, as the daemon answers on its socket and at its address. Nothing can be changed here. \
                            A program leaves out of account what it does not know: fields are added.",
        },
        "paths": paths,
        "components": {"schemas": generator.take_definitions(true)},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::web::router::tests::{ask, bench, text};
    use hyper::Method;
    use hyper::header::CONTENT_TYPE;

    #[tokio::test]
    async fn each_path_of_the_document_is_answered_as_it_says_and_no_other_is_there() {
        let (site, _) = bench();
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let mut shown = Vec::new();
        for (path, operations) in paths {
            shown.push(path.as_str());
            let Some(operation) = operations.get("get") else { continue };
            let path = path.replace("{kind}", "container").replace("{name}", "web");
            let response = ask(&site, Method::GET, &path);
            let described = &operation["responses"][response.status().as_str()];
            let form = response.headers()[CONTENT_TYPE].to_str().unwrap();
            assert!(described["content"].get(form).is_some(), "{path}: {} {form}", response.status());
        }
        assert_eq!(
            shown,
            [
                "/",
                "/healthz",
                "/metrics",
                "/readyz",
                "/resource/{kind}/{name}",
                "/v1/container/{name}",
                "/v1/openapi.json",
                "/v1/status",
                "/v1/webhook"
            ]
        );
        let served: Value = serde_json::from_str(&text(ask(&site, Method::GET, OPENAPI_PATH)).await).unwrap();
        assert_eq!(served, document);
    }

    /// What is answered has all that the document says and nothing else.
    fn is_as_the_document_says(name: &str, told: &impl serde::Serialize) {
        let document = document();
        let mut schema = document["components"]["schemas"][name].clone();
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let told = serde_json::to_value(told).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&told).map(|error| error.to_string()).collect();
        assert_eq!(wrong, [""; 0]);
        let known = schema["properties"].as_object().unwrap();
        let told = told.as_object().unwrap();
        assert!(told.keys().eq(known.keys()), "{told:#?}");
    }

    #[test]
    fn what_is_answered_is_as_the_document_says() {
        is_as_the_document_says("Status", &crate::daemon::web::page::tests::full());
        is_as_the_document_says("Glance", &crate::daemon::web::page::tests::hostile_glance());
    }
}
