//! Colours. Written always; anstream takes them away where they are not wanted: not a terminal, `NO_COLOR`.

use crate::plan::Palette;

/// The colours of plans and errors.
pub(super) const PALETTE: Palette = Palette {
    add: "\u{1b}[32m",
    change: "\u{1b}[33m",
    danger: "\u{1b}[31m",
    dim: "\u{1b}[2m",
    reset: "\u{1b}[0m",
};
