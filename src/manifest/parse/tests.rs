use super::{DEPTH_MAX, Document, FAULTS_MAX, Node, Value, read};
use crate::resource::violation::FieldPath;

fn one(text: &str) -> Node<'_> {
    let mut documents = read(text);
    assert_eq!(documents.len(), 1, "{documents:?}");
    let document = documents.remove(0);
    assert_eq!(document.faults, []);
    document.root
}

fn path(keys: &[&str]) -> FieldPath {
    keys.iter().fold(FieldPath::root(), |path, key| match key.parse() {
        Ok(index) => path.index(index),
        Err(_) => path.key(key),
    })
}

fn faults(text: &str) -> Vec<String> {
    let shown = |document: &Document| -> Vec<String> {
        document
            .faults
            .iter()
            .map(|fault| format!("{} {} {}", fault.position, fault.path, fault.message))
            .collect()
    };
    read(text).iter().flat_map(shown).collect()
}

#[test]
fn scalars_are_placed_at_their_value_and_the_rest_at_their_key() {
    let root = one("kind: X\nspec:\n  ports:\n    - container: 99999\n    - {host: 1}\n  empty:\n");
    for (keys, place) in [
        (&["kind"][..], "1:7"),
        (&["spec"], "2:1"),
        (&["spec", "ports"], "3:3"),
        (&["spec", "ports", "0"], "4:7"),
        (&["spec", "ports", "0", "container"], "4:18"),
        (&["spec", "ports", "1", "host"], "5:14"),
        (&["spec", "empty"], "6:3"),
        // Not there: the nearest around it.
        (&["spec", "ports", "1", "container"], "5:7"),
        (&["spec", "image"], "2:1"),
        (&["metadata", "name"], "1:1"),
    ] {
        assert_eq!(root.place(&path(keys)).to_string(), place, "{keys:?}");
    }
}

#[test]
fn columns_count_characters_whatever_the_line_ends_and_marks() {
    let text = "\u{feff}题目: 甲\r\nspec: {题: \"乙\", b: c}\r\n";
    let root = one(text);
    assert_eq!(root.place(&path(&["题目"])).to_string(), "1:5");
    assert_eq!(root.place(&path(&["spec", "b"])).to_string(), "2:19");
    assert_eq!(root.get("题目").and_then(Node::text), Some("甲"));
}

#[test]
fn documents_that_say_nothing_are_left_out() {
    let documents = read("# only a comment\n---\n---\na: 1\n...\n---\n# nothing\n---\nb: 2\n");
    let places: Vec<String> = documents.iter().map(|document| document.root.position.to_string()).collect();
    assert_eq!(places, ["4:1", "9:1"]);
    assert!(read("").is_empty());
    assert!(read("\u{feff}").is_empty());
}

#[test]
fn a_directive_belongs_to_the_document_after_it() {
    let documents = read("%YAML 1.2\n---\na: 1\n---\nb: 2\n");
    assert_eq!(documents.len(), 2);
    assert!(documents.iter().all(|document| document.faults.is_empty()), "{documents:?}");
}

#[test]
fn a_fault_in_one_document_does_not_hide_the_others() {
    let documents = read("a: [1\n---\nb: 2\n---\nc: \"open\n---\nd: 4\n");
    let broken: Vec<bool> = documents.iter().map(|document| document.broken_off).collect();
    assert_eq!(broken, [true, false, true, false]);
    assert_eq!(documents[3].root.position.to_string(), "7:1");
    assert_eq!(faults("a: [1\n---\nb: 2\n").len(), 1);
}

#[test]
fn what_stands_before_the_fault_is_kept() {
    let documents = read("kind: X\nmetadata:\n  name: web\nspec: [\n");
    assert!(documents[0].broken_off);
    assert_eq!(documents[0].root.get("metadata").and_then(|node| node.get("name")?.text()), Some("web"));
}

#[test]
fn of_a_document_full_of_repeated_keys_the_first_faults_are_told_and_those_of_its_identity() {
    let text = "a: 1\n".repeat(1000) + &"kind: A\n".repeat(1000) + &"metadata: {}\n".repeat(1000);
    let faults = faults(&text);
    assert_eq!(faults.len(), FAULTS_MAX + 2);
    assert_eq!(faults[FAULTS_MAX], "1002:1 kind this key already stands at 1001:1");
    assert_eq!(faults[FAULTS_MAX + 1], "2002:1 metadata this key already stands at 2001:1");
}

#[test]
fn repeated_keys_are_faults_that_name_the_first() {
    assert_eq!(
        faults("a: 1\nspec:\n- b: 1\n  c: 2\n  \"b\": 3\na: 2\n"),
        ["5:3 spec[0].b this key already stands at 3:3", "6:1 a this key already stands at 1:1"]
    );
}

#[test]
fn aliases_merge_keys_tags_and_keys_that_are_no_texts_are_faults() {
    assert_eq!(faults("a: &x 1\nb: *x\n"), ["2:4  an alias (`*`) is not supported"]);
    assert_eq!(faults("a: {<<: {b: 1}}\n"), ["1:5  the merge key `<<` is not supported"]);
    assert_eq!(faults("a: !!str 5\n"), ["1:4  a tag (`!`) has no meaning in a manifest"]);
    assert_eq!(faults("? [a]\n: b\n"), ["1:3  a key is a text, not a list or a mapping"]);
    assert!(faults("a: {\"<<\": 1}\n").is_empty());
}

#[test]
fn depth_has_a_bound() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(faults(&nested(DEPTH_MAX)).is_empty());
    assert_eq!(faults(&nested(DEPTH_MAX + 1)), ["1:65  this stands in more than 64 lists and mappings"]);
}

#[test]
fn a_tab_in_the_indentation_is_a_fault_with_its_place() {
    assert_eq!(
        faults("a:\n\tb: 1\n"),
        ["2:2  this is not YAML: tabs disallowed within this context (block indentation)"]
    );
}

#[test]
fn null_is_nothing_and_quoted_null_is_a_text() {
    let root = one("a: ~\nb: \"null\"\nc:\nd: null\ne: \"\"\n");
    let nulls: Vec<bool> =
        ["a", "b", "c", "d", "e"].iter().map(|key| root.get(key).expect("a node").is_null()).collect();
    assert_eq!(nulls, [true, false, true, true, false]);
    assert!(matches!(root.value, Value::Mapping(_)));
}

#[test]
fn the_commonest_faults_are_told_in_plain_words() {
    for (text, words) in [
        ("a: \"open\n", "1:4  the quotes that begin here are not closed"),
        ("a: 'open\n---\nb: 1\n", "1:4  the quotes that begin here are not closed"),
        ("a: b: c\n", "1:5  `: ` cannot stand here"),
        ("a: [1, 2\n", "2:1  a `,` or the `]` of a list was expected here"),
        ("a: {b: 1\n", "2:1  a `,` or the `}` of a mapping was expected here"),
        ("a:\n  b: 1\n c: 2\n", "3:2  a field was expected here"),
        ("a: *x\n", "1:4  an alias (`*`) is not supported"),
    ] {
        assert_eq!(faults(text), [words], "{text}");
    }
}
