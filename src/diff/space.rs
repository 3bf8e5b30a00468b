//! Keeps the engine's disk from filling up. In: changes, and how much is free. Out: those that would bring an image
//! are blocked while less is free than is to be; all others go on, removals among them. What waits for such an image
//! is not stopped (law 6).

use super::Changes;
use crate::observed::{HostFacts, Space};
use crate::resource::quantity::ByteSize;

pub(super) fn diff(host: &HostFacts, changes: &mut Changes) {
    let Some(space) = host.space.as_ref().filter(|space| space.free < space.needed) else { return };
    let why = full(space);
    for change in changes.changes.iter_mut().filter(|change| change.act.takes_room()) {
        change.block(why.clone());
    }
}

fn full(space: &Space) -> String {
    format!(
        "{} has about {} free, and what brings an image needs {} (--min-free-space): free some, or allow less",
        space.directory,
        ByteSize::from_bytes(rounded(space.free)),
        ByteSize::from_bytes(space.needed)
    )
}

/// What is free, rounded down to whole mebibytes and three binary digits: other programs write to the disk too, and a
/// plan that says something else each time could not be saved.
fn rounded(free: u64) -> u64 {
    let digits = free.checked_ilog2().map_or(0, |log| log.saturating_sub(2)).max(20);
    free >> digits << digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_told_by_its_first_digits() {
        let told = |free: u64| ByteSize::from_bytes(rounded(free)).to_string();
        assert_eq!(told(0), "0");
        assert_eq!(told((1 << 20) - 1), "0");
        assert_eq!(told((5 << 20) + 17), "5Mi");
        assert_eq!(told(1000 << 20), "896Mi");
        assert_eq!(told(93 << 30), "80Gi");
    }
}
