//! What registries have said, and when they are asked again. In: which references are wanted, and how often. Out: those
//! that are due, and what is known of the others. In memory: whoever starts anew asks anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::observed::AtRegistry;
use crate::resource::reference::ImageReference;

/// How soon a registry that did not answer is asked again, at most: asking takes time, and a host without a network
/// asks in vain.
const AFTER_SILENCE: Duration = Duration::from_mins(5);

/// What one process has heard.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    heard: Arc<Mutex<BTreeMap<ImageReference, (Instant, AtRegistry)>>>,
}

impl Registries {
    /// The references that are to be asked for now. `wanted` says how old an answer may be.
    pub fn due(&self, wanted: &BTreeMap<ImageReference, Duration>, now: Instant) -> BTreeSet<ImageReference> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |reference: &ImageReference, every: Duration| match heard.get(reference) {
            None => true,
            Some((since, AtRegistry::Silent(_))) => now.duration_since(*since) >= every.min(AFTER_SILENCE),
            Some((since, _)) => now.duration_since(*since) >= every,
        };
        wanted
            .iter()
            .filter(|(reference, every)| is_due(reference, **every))
            .map(|(one, _)| one.clone())
            .collect()
    }

    /// Takes in answers, and gives what is known of everything wanted.
    pub fn heard(
        &self,
        answers: BTreeMap<ImageReference, AtRegistry>,
        wanted: &BTreeMap<ImageReference, Duration>,
        now: Instant,
    ) -> BTreeMap<ImageReference, AtRegistry> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend(answers.into_iter().map(|(reference, answer)| (reference, (now, answer))));
        heard.retain(|reference, _| wanted.contains_key(reference));
        heard.iter().map(|(reference, (_, answer))| (reference.clone(), answer.clone())).collect()
    }

    /// Forgets an answer that no longer holds: what it was about was pushed or pulled.
    pub fn forget(&self, reference: &ImageReference) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).remove(reference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_asked_as_often_as_it_is_wanted_and_after_a_silence_sooner() {
        let registries = Registries::default();
        let reference: ImageReference = "exam:1".parse().expect("a reference");
        let wanted = [(reference.clone(), Duration::from_hours(1))].into();
        let due =
            |after: u64| !registries.due(&wanted, Instant::now() + Duration::from_secs(after)).is_empty();
        assert!(due(0));
        let answer = AtRegistry::Silent("it is away".to_owned());
        registries.heard([(reference.clone(), answer.clone())].into(), &wanted, Instant::now());
        assert!(!due(290) && due(310));
        registries.heard([(reference.clone(), AtRegistry::Absent)].into(), &wanted, Instant::now());
        assert!(!due(3500) && due(3700));
        registries.forget(&reference);
        assert!(due(0));
        let known = registries.heard([(reference, answer)].into(), &BTreeMap::new(), Instant::now());
        assert!(known.is_empty(), "what nobody wants any more is forgotten");
    }
}
