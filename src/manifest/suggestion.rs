//! "Did you mean". In: a word and the words that would do. Out: the nearest, if it is near.

/// The candidate that `word` is most likely a misspelling of.
///
/// Near means: at most a quarter of its letters, and at least one, are changed, missing, doubled or
/// swapped. Of equally near candidates the first is taken.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let letters = word.chars().count();
    let most = (letters / 4).max(1);
    candidates
        .into_iter()
        .map(|candidate| (candidate.to_lowercase(), candidate))
        // As many letters at least are missing; comparing takes the time of both lengths multiplied.
        .filter(|(lower, _)| lower.chars().count().abs_diff(letters) <= most)
        .map(|(lower, candidate)| (strsim::damerau_levenshtein(&word, &lower), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The hint that names the nearest candidate.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_found_if_it_is_near() {
        assert_eq!(nearest("portz", ["ports", "dns"]), Some("ports"));
        assert_eq!(nearest("Exm", ["Container", "Image"]), None);
        assert_eq!(nearest("container", ["Container", "Image"]), Some("Container"));
        assert_eq!(nearest("evn", ["env", "dns"]), Some("env"));
        assert_eq!(nearest("sat-01", ["seat-02", "seat-01"]), Some("seat-01"));
        assert_eq!(nearest("seat-99", ["seat-01"]), None);
        assert_eq!(nearest("", ["a1"]), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), ["ports", &"y".repeat(100)]), None);
    }
}
