//! What is hidden in what programs say. In: values that nobody is to read. Out: texts without them (law 12).

use std::cmp::Reverse;

use crate::resource::env::{looks_secret, without_passwords};
use crate::resource::words::secret_words;

/// From how many bytes on a value is looked for in what a program said: `1` stands everywhere.
const SECRET_MIN: usize = 3;

/// Values that are told to nobody.
#[derive(Debug, Default)]
pub(crate) struct Hidden(Vec<String>);

impl Hidden {
    /// These values, the longest first; also each of their lines alone, for that is how the end of a program's output
    /// repeats them.
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<String> = values
            .flat_map(|value| std::iter::once(value).chain(value.lines()))
            .map(|text| text.trim().to_owned())
            .filter(|text| text.len() >= SECRET_MIN)
            .collect();
        secrets.sort_by(|a, b| (Reverse(a.len()), a).cmp(&(Reverse(b.len()), b)));
        secrets.dedup();
        Self(secrets)
    }

    /// What looks secret of all that a container was given: variables, each as `KEY=value`, and the words of its program and of
    /// its health check, whose output is told, too.
    pub(crate) fn of_container<'a>(variables: impl Iterator<Item = &'a str>, words: &[&'a str]) -> Self {
        let variables = variables.filter_map(|variable| variable.split_once('='));
        let values = variables.filter(|(key, _)| looks_secret(key)).map(|(_, value)| value);
        Self::of(values.chain(secret_words(words)))
    }

    /// What a program said, without them and with nothing in it that a plan would hide.
    pub(crate) fn without(&self, told: &str) -> String {
        let hide = |told: String, secret: &String| told.replace(secret.as_str(), "(hidden)");
        without_passwords(&self.0.iter().fold(told.to_owned(), hide)).into_owned()
    }
}
