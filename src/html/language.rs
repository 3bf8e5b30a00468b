//! The languages that pages speak, and which one a reader gets.

/// A language the page speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// 简体中文.
    Chinese,
    /// English.
    English,
}

impl Language {
    /// The language of a BCP 47 tag (`zh`, `zh-Hans-CN`, `en_US`), if the page speaks it.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Chinese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// What a query string such as `lang=en` asks for.
    pub fn from_query(query: &str) -> Option<Self> {
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("lang="))?;
        Self::from_tag(asked)
    }

    /// What an `Accept-Language` header prefers among the languages the page speaks: the highest
    /// weight, and at equal weights the first (RFC 9110, section 12.5.4). A weight that is not a
    /// number counts as a refusal.
    pub fn from_accept_language(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for range in header.split(',') {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = match parameters.trim().strip_prefix("q=") {
                Some(weight) => weight.trim().parse().unwrap_or(0.0),
                None => 1.0,
            };
            if let Some(language) = Self::from_tag(tag)
                && weight > best.map_or(0.0, |(weight, _)| weight)
            {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }

    /// The tag for `lang` and `Content-Language`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }

    /// The language the switch leads to.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Chinese => Self::English,
            Self::English => Self::Chinese,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Language::{Chinese, English};
    use super::*;

    #[test]
    fn accept_language_is_decided_by_weight_then_by_order() {
        let pick = Language::from_accept_language;
        assert_eq!(pick("zh-CN,zh;q=0.9,en;q=0.8"), Some(Chinese));
        assert_eq!(pick("de-DE, en;q=0.3, zh-TW; q=0.7"), Some(Chinese));
        assert_eq!(pick("en, zh"), Some(English));
        assert_eq!(pick("zh;q=0, EN-gb;q=0.001"), Some(English));
    }

    #[test]
    fn accept_language_without_a_known_language_decides_nothing() {
        for header in ["", "*", "de, fr;q=0.5", "zh;q=0", "zh;q=NaN", "zh;q=x", ",;q=,"] {
            assert_eq!(Language::from_accept_language(header), None, "{header}");
        }
    }

    #[test]
    fn a_query_decides_only_by_lang() {
        assert_eq!(Language::from_query("lang=en"), Some(English));
        assert_eq!(Language::from_query("a=b&lang=zh-CN"), Some(Chinese));
        assert_eq!(Language::from_query("slang=en&lang=fr"), None);
        assert_eq!(Language::from_query(""), None);
    }
}
