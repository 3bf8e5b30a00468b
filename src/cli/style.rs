//! Colours, where they are wanted: on a terminal, unless `NO_COLOR` is set. anstream decides that and
//! strips them elsewhere.

use crate::plan::Palette;

const PALETTE: Palette = Palette {
    add: "\u{1b}[32m",
    change: "\u{1b}[33m",
    danger: "\u{1b}[31m",
    dim: "\u{1b}[2m",
    reset: "\u{1b}[0m",
};

/// For text on stdout.
pub(super) fn data() -> Palette {
    PALETTE
}

/// For text on stderr.
pub(super) fn errors() -> Palette {
    PALETTE
}
