//! The exam: items, the paper that examinees see, the key that they must not. Does not know Docker.

pub mod paper;
