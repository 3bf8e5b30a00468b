//! The old exam service's request bodies. In: a `BuildImage` body, as text. Out: a problem set, or its
//! manifest as YAML, with warnings; or everything that is wrong with the body. Reads no files, guesses
//! no keys, and quotes no key in an error or a warning.

pub mod answer;
pub mod body;
mod entry;
mod fields;
mod fold;
mod json;
mod manifest;
mod name;
pub mod time;

pub use body::{Converted, Options, convert};
pub use manifest::manifest_yaml;

#[cfg(test)]
mod tests;
