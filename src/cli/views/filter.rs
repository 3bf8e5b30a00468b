//! The engine's own filters. In: `KEY=VALUE`. Out: values by key.

use std::str::FromStr;

use crate::engine::Filters;

/// One filter: `label=room=101`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    key: String,
    value: String,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err("expected KEY=VALUE".to_owned()),
        }
    }
}

/// All filters: what passes has one of the values of each key.
pub(super) fn together(filters: &[Filter]) -> Filters {
    let mut all = Filters::new();
    for filter in filters {
        all.entry(filter.key.clone()).or_default().insert(filter.value.clone());
    }
    all
}
