//! How far a pull or a push is. In: what the engine says of each layer. Out: how much of all that is, as
//! `pushing 41 %, 1Mi of 4Mi`, whenever that is another share.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::engine::Stage;
use crate::fields::plain;
use crate::resource::quantity::ByteSize;

/// The layers that the engine has spoken of.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// How much is done of each, by what is being done, the layer's id and its size.
    done: BTreeMap<(String, String, u64), u64>,
    /// The share that was told last of what is being done.
    told: BTreeMap<String, u64>,
}

impl Layers {
    /// Takes in that `current` of a layer's `total` bytes are through. Returns what there is to tell.
    pub(super) fn hear(&mut self, status: &str, id: &str, current: i64, total: i64) -> Option<Stage> {
        let doing = match status {
            "Downloading" => Cow::Borrowed("pulling"),
            "Extracting" => Cow::Borrowed("unpacking"),
            // An engine's own words otherwise.
            status => plain(status).to_lowercase().into(),
        }
        .into_owned();
        let total = u64::try_from(total).ok().filter(|total| *total > 0)?;
        let current = u64::try_from(current).unwrap_or(0).min(total);
        self.done.insert((doing.clone(), id.to_owned(), total), current);
        let all = self.done.iter().filter(|((what, ..), _)| *what == doing);
        let (done, total) = all.fold((0_u64, 0_u64), |(done, total), ((_, _, size), current)| {
            (done.saturating_add(*current), total.saturating_add(*size))
        });
        let share = u64::try_from(u128::from(done) * 100 / u128::from(total)).unwrap_or(100);
        if self.told.insert(doing.clone(), share) == Some(share) {
            return None;
        }
        let size = |bytes: u64| ByteSize::from_bytes(bytes >> 10 << 10);
        let far = format!("{share} %, {} of {}", size(done), size(total));
        Some(Stage::counted(doing, far))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: i64 = 1024;

    fn told(heard: &[(&str, &str, i64, i64)]) -> Vec<String> {
        let mut layers = Layers::default();
        heard
            .iter()
            .filter_map(|(status, id, current, total)| layers.hear(status, id, *current, *total))
            .map(|stage| stage.to_string())
            .collect()
    }

    #[test]
    fn a_push_and_a_pull_are_told_as_one_share_of_all_their_layers() {
        assert_eq!(
            told(&[
                ("Pushing", "aa", 410 * KIB, 1000 * KIB),
                ("Pushing", "aa", 411 * KIB, 1000 * KIB),
                ("Pushing", "bb", 0, 3000 * KIB),
                // The engine counts a little too much at the end.
                ("Pushing", "aa", 1001 * KIB, 1000 * KIB),
                ("Pushing", "bb", 3000 * KIB, 3000 * KIB),
            ]),
            [
                "pushing 41 %, 410Ki of 1000Ki",
                "pushing 10 %, 411Ki of 4000Ki",
                "pushing 25 %, 1000Ki of 4000Ki",
                "pushing 100 %, 4000Ki of 4000Ki",
            ]
        );
        assert_eq!(
            told(&[
                // Two of one size are two.
                ("Downloading", "aa", KIB, 2 * KIB),
                ("Downloading", "bb", KIB, 2 * KIB),
                ("Downloading", "bb", 2 * KIB, 2 * KIB),
                ("Extracting", "aa", KIB, 4 * KIB),
                ("Downloading", "bb", 2 * KIB, 2 * KIB),
                ("Extracting", "aa", KIB, 4 * KIB),
            ]),
            ["pulling 50 %, 1Ki of 2Ki", "pulling 75 %, 3Ki of 4Ki", "unpacking 25 %, 1Ki of 4Ki"]
        );
    }

    #[test]
    fn what_has_no_size_and_what_a_terminal_would_obey_is_not_told() {
        assert_eq!(told(&[("Pushing", "", 5, 0), ("Pushing", "", 5, -1)]), [""; 0]);
        assert_eq!(told(&[("\u{1b}[2J", "", -5, 4 * KIB)]), ["\\u{1b}[2j 0 %, 0 of 4Ki"]);
    }
}
