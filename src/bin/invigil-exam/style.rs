//! The two files the page asks for beside itself.

/// `style.css`.
pub const CSS: &str = include_str!("style.css");

/// `icon.svg`, without which browsers ask for `/favicon.ico`.
pub const ICON: &str = include_str!("icon.svg");
