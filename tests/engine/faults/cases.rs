//! Which passes are disturbed, and how. In: the calls of passes that were not. Out: cases, those first that a world can
//! make as it is. Asks no engine.

use std::collections::{BTreeMap, VecDeque};

use super::part::{Moved, Part, Side, Sides};
use crate::proxy::{Among, Call, Fault, When};

/// How a pass is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    CutBefore,
    CutAfter,
    RefusedBefore,
    RefusedAfter,
    Truncated,
    Garbled,
    KilledAfter,
    KilledBefore,
    EngineGone,
}

impl Sort {
    /// What every write gets. A program that makes one call at a time, and is killed before one of them,
    /// leaves what it leaves when it is killed after the call before.
    const WRITES: [Self; 7] = [
        Self::CutBefore,
        Self::CutAfter,
        Self::RefusedBefore,
        Self::RefusedAfter,
        Self::KilledAfter,
        Self::Truncated,
        Self::Garbled,
    ];
    /// What reads get in turn. The engine does nothing for them, so that it is the same on which side of its work they are
    /// cut off.
    pub const READS: [Self; 6] = [
        Self::CutBefore,
        Self::KilledBefore,
        Self::RefusedAfter,
        Self::Truncated,
        Self::EngineGone,
        Self::Garbled,
    ];

    /// What the proxy does. Of a program that is killed, nothing is heard any more either.
    pub const fn fault(self) -> Fault {
        match self {
            Self::CutBefore => Fault::Cut(When::Before),
            Self::CutAfter => Fault::Cut(When::After),
            Self::RefusedBefore => Fault::Refuse(When::Before),
            Self::RefusedAfter => Fault::Refuse(When::After),
            Self::Truncated => Fault::Truncate,
            Self::Garbled => Fault::Garble,
            Self::EngineGone | Self::KilledBefore | Self::KilledAfter => Fault::Gone(When::After),
        }
    }

    /// Whether it can happen to a call: an answer without a body cannot be spoilt.
    fn suits(self, call: &Call) -> bool {
        call.told || !matches!(self, Self::Truncated | Self::Garbled)
    }

    /// Whether the program that made the pass is there to put right what it can.
    pub const fn is_survived(self) -> bool {
        !matches!(self, Self::KilledAfter | Self::KilledBefore | Self::EngineGone)
    }
}

/// One pass that is to be disturbed.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it moves.
    pub moved: Moved,
    pub among: Among,
    /// Which of the calls.
    pub nth: usize,
    /// What that call was in the pass that was not disturbed.
    pub call: String,
    pub sort: Sort,
    /// How many steps are in flight.
    pub parallelism: usize,
}

/// What a world does next.
pub enum Next {
    Disturb(Case),
    /// Only the other way has cases left: this is moved by a pass that is not disturbed.
    Turn(Moved),
}

/// The cases of each move, by the side that it leads to.
#[derive(Default)]
pub struct Cases(BTreeMap<(Moved, Side), VecDeque<Case>>);

impl Cases {
    const LOOKS: usize = 3;

    /// At which writes whole worlds are disturbed: where several calls are in flight, and where it is one at a time.
    const WHOLE: usize = 3;
    const ALONE: usize = 6;

    /// Adds the cases of a part, which are all its writes, each in every sort, and every read that is made while
    /// something is done in one, in turn; of a container that is watched, the first `LOOKS` looks. Of a call that both
    /// ways make, each way gets half: of a write half of the sorts, of reads every other one. Those passes make one call
    /// at a time, so that the calls have numbers.
    pub fn add_part(
        &mut self,
        part: Part,
        to_b: &[Call],
        to_a: &[Call],
        turn: &mut impl Iterator<Item = Sort>,
    ) {
        let moved = Moved::Only(part);
        let (signed_b, signed_a) = (signatures(to_b), signatures(to_a));
        for (half, side, calls, signed, others) in
            [(0, Side::B, to_b, &signed_b, &signed_a), (1, Side::A, to_a, &signed_a, &signed_b)]
        {
            let queue = self.0.entry((moved, side)).or_default();
            let (mut writes, mut reads) = (0, 0);
            for (call, signature) in calls.iter().zip(signed) {
                let is_mine = |place: usize| !others.contains(signature) || place % 2 == half;
                let case = |among, nth, sort| Case {
                    moved,
                    among,
                    nth,
                    call: signature.clone(),
                    sort,
                    parallelism: 1,
                };
                if call.is_write() {
                    writes += 1;
                    let sorts = Sort::WRITES.into_iter().filter(|sort| sort.suits(call)).enumerate();
                    let mine = sorts.filter(|(place, _)| is_mine(place + signature.len()));
                    queue.extend(mine.map(|(_, sort)| case(Among::Writes, writes, sort)));
                } else {
                    reads += 1;
                    let looked = signature.rsplit('#').next().and_then(|count| count.parse().ok());
                    let is_new = looked.is_none_or(|looked: usize| looked <= Self::LOOKS);
                    if writes > 0 && is_new && is_mine(reads) {
                        let sort = turn.by_ref().find(|sort| sort.suits(call)).expect("a cycle has no end");
                        queue.push_back(case(Among::Reads, reads, sort));
                    }
                }
            }
        }
    }

    /// Adds the cases of a whole world's way: programs with several calls in flight that are killed at every third write,
    /// and passes that make one call at a time and are disturbed at every sixth, in each sort in turn.
    pub fn add_whole(&mut self, side: Side, calls: &[Call]) {
        let queue = self.0.entry((Moved::Whole, side)).or_default();
        let mut turn = Sort::WRITES.into_iter().cycle();
        let writes = calls.iter().zip(signatures(calls)).filter(|(call, _)| call.is_write());
        for (nth, (call, signature)) in (1..).zip(writes).step_by(Self::WHOLE) {
            let case = |call, sort, parallelism| Case {
                moved: Moved::Whole,
                among: Among::Writes,
                nth,
                call,
                sort,
                parallelism,
            };
            queue.push_back(case("several at once".to_owned(), Sort::KilledAfter, 8));
            if side == Side::B && nth % Self::ALONE == 1 {
                let sort = turn.by_ref().find(|sort| sort.suits(call)).expect("a cycle has no end");
                queue.push_back(case(signature, sort, 1));
            }
        }
    }

    /// What a world does next whose parts are on these sides. Whole worlds come first, as long as their parts are on one.
    pub fn next(&mut self, sides: Sides) -> Option<Next> {
        let left: Vec<(Moved, Side)> =
            self.0.iter().filter(|(_, queue)| !queue.is_empty()).map(|(key, _)| *key).collect();
        let first = left.first()?.0;
        let mut ready: Vec<(Moved, Side)> = left
            .iter()
            .copied()
            .filter(|(moved, to)| {
                (first != Moved::Whole || *moved == first) && sides.of_all(*moved) == Some(to.other())
            })
            .collect();
        ready.sort_by_key(|key| self.0[key].len());
        let Some(most) = ready.last() else { return Some(Next::Turn(first)) };
        self.0.get_mut(most)?.pop_front().map(Next::Disturb)
    }
}

/// Calls by what they are about, the same in every world, each with how often it was made before.
fn signatures(calls: &[Call]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut sign = |call: &Call| {
        let text = call.to_string();
        let text = text.split("&changes").next().unwrap_or_default();
        let is_id = |word: &str| word.len() >= 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        let shape: String = words
            .map(|word| {
                let end = word.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
                if is_id(&word[..word.len() - end.len()]) { format!("ID{end}") } else { word.to_owned() }
            })
            .collect();
        let count = seen.entry(shape.clone()).or_default();
        *count += 1;
        format!("{shape} #{count}")
    };
    calls.iter().map(&mut sign).collect()
}
