//! The old service's bodies, from text to manifest.

mod body;
mod notation;
mod properties;
mod time;
