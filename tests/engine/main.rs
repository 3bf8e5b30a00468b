//! The whole way on a real engine: manifests in, containers out. Fails, and does not skip, where no
//! engine answers. `DOCKER_HOST` says which engine.

mod apply;
mod archives;
mod build;
mod canaries;
mod cleanup;
mod daemon;
mod examples;
mod export;
mod faults;
mod fields;
mod files;
mod images;
mod lifecycle;
mod on_base;
mod ownership;
#[path = "../proxy/mod.rs"]
mod proxy;
mod registry;
mod registry_failures;
mod registry_tls;
mod removals;
mod sources;
mod spare;
mod support;
mod views;
