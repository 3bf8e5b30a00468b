//! What a service runs, with what around it, and after whom.

use serde_json::{Value, json};

use super::project::{texts, why};
use super::service::{Service, refused};
use super::tree::{Content, Item};
use super::words::words;
use crate::fields;

impl<'a> Service<'a> {
    pub fn program(&mut self, key: &str, item: &'a Item) {
        match &item.content {
            Content::Text(line) => match words(line) {
                Some(words) => self.set(item, key, json!(words)),
                None => self.notes.push(item.note(Some("a quote in it is not closed"))),
            },
            Content::List(items) => {
                let words: Vec<&str> = items.iter().filter_map(Item::text).collect();
                self.set(item, key, json!(words));
            }
            _ => self.notes.push(item.note(None)),
        }
    }

    pub fn environment(&mut self, item: &'a Item) {
        const WHY: &str = "its value is taken from who calls Compose: write it out";
        let mut variables = serde_json::Map::new();
        let entries: Vec<(&str, Option<&str>, &Item)> = match &item.content {
            Content::List(items) => items
                .iter()
                .filter_map(|item| {
                    let text = item.text()?;
                    Some(
                        text.split_once('=')
                            .map_or((text, None, item), |(key, value)| (key, Some(value), item)),
                    )
                })
                .collect(),
            _ => item.entries().map(|(key, item)| (key, item.text(), item)).collect(),
        };
        for (key, value, item) in entries {
            match value {
                None => self.notes.push(item.note(Some(WHY))),
                Some(value) => drop(variables.insert(key.to_owned(), json!(value))),
            }
        }
        if !variables.is_empty() {
            self.set(item, "env", Value::Object(variables));
        }
    }

    pub fn env_files(&mut self, item: &'a Item) {
        for file in item.elements() {
            for key in ["required", "format"] {
                let more = file.get(key).filter(|item| !item.is_true());
                self.notes.extend(more.map(|item| item.note(None)));
            }
        }
        self.set_each(item, "envFiles", |file| {
            file.text().or_else(|| file.text_at("path")).map(|path| json!(path))
        });
    }

    pub fn depends_on(&mut self, item: &'a Item) {
        let mut needed = Vec::new();
        let keys: Vec<(&str, Option<&Item>)> = match &item.content {
            Content::List(items) => items.iter().filter_map(|item| Some((item.text()?, None))).collect(),
            _ => item.entries().map(|(key, item)| (key, Some(item))).collect(),
        };
        for (key, long) in keys {
            let Some(container) = self.project.container(key) else {
                self.notes.push(
                    long.unwrap_or(item).note(Some(&format!("there is no service `{}`", fields::plain(key)))),
                );
                continue;
            };
            for (option, usual) in [("restart", "false"), ("required", "true")] {
                let more = long.and_then(|long| long.get(option)).filter(|item| item.text() != Some(usual));
                self.notes.extend(more.map(|item| item.note(None)));
            }
            let condition = long.and_then(|long| long.text_at("condition")).unwrap_or("service_started");
            needed.push(match condition {
                "service_healthy" => json!({"container": container, "condition": "healthy"}),
                "service_completed_successfully" => json!({"container": container, "condition": "completed"}),
                _ => json!(container),
            });
        }
        self.append(item, "dependsOn", needed);
    }

    pub fn links(&mut self, item: &'a Item) {
        let mut needed = Vec::new();
        for link in item.elements() {
            let (key, alias) =
                link.text().map(|text| text.split_once(':').unwrap_or((text, text))).unwrap_or_default();
            match self.project.container(key) {
                Some(container) if alias == key => needed.push(json!(container)),
                _ => self.notes.push(link.note(Some("give the other service an alias on the network"))),
            }
        }
        let waited = |name: &Value| {
            self.fields.iter().any(|(field, list, _)| {
                field == "dependsOn"
                    && list
                        .as_array()
                        .is_some_and(|list| list.iter().any(|one| one == name || one["container"] == *name))
            })
        };
        let needed = needed.into_iter().filter(|name| !waited(name)).collect();
        self.append(item, "dependsOn", needed);
    }

    pub fn healthcheck(&mut self, item: &'a Item) {
        let mut check = serde_json::Map::new();
        for (key, item) in item.entries() {
            let own = match key {
                "interval" | "timeout" => key,
                "start_period" => "startPeriod",
                "retries" => {
                    match item.text().and_then(|text| text.parse::<u32>().ok()) {
                        Some(count) => drop(check.insert("retries".to_owned(), json!(count))),
                        None => self.notes.push(item.note(Some("it is no whole number"))),
                    }
                    continue;
                }
                "test" => {
                    let words: Vec<&str> = item.elements().iter().filter_map(Item::text).collect();
                    let test = if item.text().is_some() { json!(item.text()) } else { json!(words) };
                    check.insert("test".to_owned(), test);
                    continue;
                }
                "disable" => {
                    if item.is_true() {
                        check.insert("test".to_owned(), json!(["NONE"]));
                    }
                    continue;
                }
                key => {
                    self.notes.push(item.note(why(key)));
                    continue;
                }
            };
            match refused("healthcheck", &json!({own: item.text()})) {
                None => drop(check.insert(own.to_owned(), json!(item.text()))),
                Some(why) => self.notes.push(item.note(Some(&why))),
            }
        }
        self.set(item, "healthcheck", Value::Object(check));
    }

    pub fn logging(&mut self, item: &'a Item) {
        let mut logging = serde_json::Map::new();
        for (key, item) in item.entries() {
            match key {
                "driver" => drop(logging.insert(key.to_owned(), json!(item.text()))),
                "options" => drop(logging.insert(key.to_owned(), texts(item))),
                _ => self.notes.push(item.note(None)),
            }
        }
        self.set(item, "logging", Value::Object(logging));
    }

    pub fn security(&mut self, item: &'a Item) {
        let is_own = |item: &Item| item.text().is_some_and(|text| text.starts_with("no-new-privileges"));
        if item
            .elements()
            .iter()
            .any(|one| is_own(one) && !one.text().is_some_and(|text| text.ends_with("false")))
        {
            self.set(item, "noNewPrivileges", json!(true));
        }
        let mut options = Vec::new();
        for option in item.elements().iter().filter(|item| !is_own(item)) {
            match refused("securityOpt", &json!([option.text()])) {
                None => options.push(json!(option.text())),
                Some(why) => self.notes.push(option.note(Some(&why))),
            }
        }
        self.append(item, "securityOpt", options);
    }
}
