//! What of a document could not be read. In: a tree in which that is refused. Out: whether something else may be wrong, or
//! missing, for that reason only. Takes time in proportion to the gaps, of which there are few, or none is looked at.

use std::collections::{BTreeMap, HashSet};

use super::parse::FAULTS_MAX;
use super::suggestion::nearest;
use super::tree::{Node, Value};
use crate::resource::violation::{FieldPath, Segment};

/// The most gaps of a document of which anything else is told: past it, more lines do not help anybody.
const GAPS_MAX: usize = 4 * FAULTS_MAX;

/// Everything in a document that could not be read.
#[derive(Debug, Default)]
pub(super) struct Unread {
    gaps: Vec<Gap>,
    /// The lists that are read without some of their elements, and which these are.
    shifts: BTreeMap<FieldPath, Vec<usize>>,
}

/// Something that could not be read.
#[derive(Debug)]
struct Gap {
    /// Where it stands, from the document's root.
    path: FieldPath,
    /// [`Node::misnamed`].
    misnamed: bool,
}

impl Unread {
    /// What is refused in a tree; `None` if that is too much for anything else to be told.
    pub fn of(root: &Node<'_>) -> Option<Self> {
        let mut unread = Self::default();
        unread.collect(root, &mut Vec::new());
        if unread.gaps.len() > GAPS_MAX {
            return None;
        }
        for gap in &unread.gaps {
            if let (Some(Segment::Index(index)), Some(list)) = (gap.path.segments().last(), gap.path.parent())
            {
                unread.shifts.entry(list).or_default().push(*index);
            }
        }
        Some(unread)
    }

    fn collect(&mut self, node: &Node<'_>, way: &mut Vec<Segment>) {
        if self.gaps.len() > GAPS_MAX {
            return;
        }
        if node.refused {
            self.gaps.push(Gap { path: way.iter().cloned().collect(), misnamed: node.misnamed });
            return;
        }
        match &node.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    way.push(Segment::Index(index));
                    self.collect(item, way);
                    way.pop();
                }
            }
            Value::Mapping(entries) => {
                let mut seen = HashSet::new();
                // Of a key that stands there twice the first is read.
                for entry in entries.iter().filter(|entry| seen.insert(entry.key.as_ref())) {
                    way.push(Segment::Key(entry.key.to_string()));
                    self.collect(&entry.value, way);
                    way.pop();
                }
            }
            Value::Plain(_) | Value::Quoted(_) => {}
        }
    }

    /// Where what was read at a path stands: lists are read without what is refused in them.
    pub fn written(&self, read: &FieldPath) -> FieldPath {
        if self.shifts.is_empty() {
            return read.clone();
        }
        let mut written = FieldPath::root();
        for segment in read.segments() {
            written = match segment {
                Segment::Key(key) => written.key(key),
                Segment::Index(index) => {
                    // In the order of the list.
                    let left_out = self.shifts.get(&written).into_iter().flatten();
                    let place =
                        left_out.fold(*index, |place, gap| if *gap <= place { place + 1 } else { place });
                    written.index(place)
                }
            };
        }
        written
    }

    /// Whether a field, as it is written, is or stands in something that could not be read.
    pub fn holds(&self, field: &FieldPath) -> bool {
        self.gaps.iter().any(|gap| field.is_within(&gap.path))
    }

    /// Whether a field, as it is written, is not all there as it was meant: some of it is unread, or something beside it is
    /// probably the same field misspelt.
    pub fn lacks(&self, field: &FieldPath) -> bool {
        let is_meant = |gap: &Gap| match (gap.path.segments().last(), field.segments().last()) {
            (Some(Segment::Key(key)), Some(Segment::Key(name))) => nearest(key, [name.as_str()]).is_some(),
            _ => false,
        };
        self.gaps.iter().any(|gap| {
            field.is_within(&gap.path)
                || gap.path.is_within(field)
                || (gap.misnamed && gap.path.parent() == field.parent() && is_meant(gap))
        })
    }

    /// Whether that is why a field, as it is written, is not there, or, if it `is_there`, not as it was meant.
    pub fn hides(&self, field: &FieldPath, is_there: bool) -> bool {
        let is_element = |gap: &Gap| {
            matches!(gap.path.segments().last(), Some(Segment::Index(_)))
                && gap.path.parent().as_ref() == Some(field)
        };
        let is_beside = |gap: &Gap| gap.misnamed && !is_there && gap.path.parent() == field.parent();
        self.gaps.iter().any(|gap| field.is_within(&gap.path) || is_element(gap) || is_beside(gap))
    }
}
