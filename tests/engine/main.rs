//! The whole way on a real engine: manifests in, containers out. Fails, and does not skip, where no
//! engine answers. `DOCKER_HOST` says which engine.

mod apply;
mod archives;
mod browser;
mod build;
mod canaries;
mod cleanup;
mod daemon;
mod exam;
mod examples;
mod export;
mod faults;
mod fields;
mod files;
mod git;
mod images;
mod interference;
mod jobs;
mod journal;
mod lifecycle;
mod log;
mod lost;
mod namespaces;
mod notifications;
mod on_base;
mod operations;
mod ownership;
mod page;
mod preflight;
#[path = "../proxy/mod.rs"]
mod proxy;
#[path = "../receiver/mod.rs"]
mod receiver;
mod registry;
mod registry_failures;
mod registry_tls;
mod removals;
#[path = "../repository/mod.rs"]
mod repository;
mod secrets;
mod sources;
mod spare;
mod successors;
mod support;
mod takeover;
mod tls;
mod upgraded;
mod views;
