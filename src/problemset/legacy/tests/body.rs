//! Whole bodies: the golden one, and everything that can be wrong with one.

use std::fmt::Write;

use crate::problemset::legacy::{Options, convert, manifest_yaml};
use crate::problemset::spec::ProblemSetSpec;
use crate::resource::violation::{Severity, Violation};

fn listed(violations: &[Violation]) -> String {
    let mut lines = String::new();
    for violation in violations {
        let severity = if violation.severity == Severity::Warning { "warning: " } else { "" };
        writeln!(lines, "{severity}{}: {}", violation.path, violation.message).unwrap();
        if let Some(hint) = &violation.hint {
            writeln!(lines, "  {hint}").unwrap();
        }
    }
    lines
}

fn errors(body: &str) -> String {
    listed(&convert(body, &Options::default()).unwrap_err())
}

/// A body with one problem, `fields` of it given as JSON members.
fn with_problem(fields: &str) -> String {
    format!(r#"{{"imgName":"exam","problem":{{"1":{{{fields}}}}}}}"#)
}

#[test]
fn the_old_body_becomes_the_manifest_byte_for_byte() {
    let body = include_str!("../../../../tests/data/buildimage.json");
    let (yaml, warnings) = manifest_yaml(body, &Options::default()).unwrap();
    assert_eq!(yaml, include_str!("../../../../tests/data/buildimage.yaml"));
    assert_eq!(warnings, []);
}

#[test]
fn every_type_of_problem_becomes_an_item() {
    let body = r#"{"uid":"u","imgName":"Exams/期末 Algebra:v2","imgId":7,"problem":{}}"#;
    assert_eq!(
        errors(body),
        "\
warning: imgName: `Exams/期末 Algebra` became the repository `exams/algebra`
imgId: expected a text, found a number
problem: is missing or empty
"
    );
    let body = r#"{"imgName":"Exams/期末 Algebra:v2","problem":{
        "10":{"type":"编程题","problem":"写一个程序:\r\n\r\n  # main\r\n","answer":"fn main() {\r\n}\r\n"},
        "9":{"type":"简答题","problem":"为什么?"},
        "8":{"type":"填空题","problem":"yes","answer":"AT&T&3"},
        "7":{"type":"判断题","problem":"a: b","answer":"A.对&B.错@B","createTime":1530866040},
        "6":{"type":"多选题","problem":"p","answer":"A.x&B.y@A"},
        "5":{"type":"选择题","problem":"p","answer":"A.R&D&B.y&C.z@AC","name":"","author":null},
        "x":{"type":"单选题","problem":"p","answer":"A.这是一个相当长的选项，它不会和别的选项放在同一行里&B.这是另一个相当长的选项，它也不会@A"}
    }}"#;
    let (yaml, warnings) = manifest_yaml(body, &Options::default()).unwrap();
    assert_eq!(
        listed(&warnings),
        "\
warning: imgName: `Exams/期末 Algebra` became the repository `exams/algebra`
warning: problem.5.answer: `R&D` was kept as text, not split at `&`
warning: problem.8.answer: an `&` between two letters was taken for a separator of blanks; check the key
"
    );
    assert_eq!(
        yaml,
        r#"apiVersion: invigil/v1
kind: ProblemSet
metadata: {name: exams-algebra}
spec:
  title: Exams/期末 Algebra:v2
  language: zh-CN
  image: {repository: exams/algebra, tag: v2}
  items:
    - id: "5"
      type: multiple_choice
      prompt: p
      choices: [{id: A, text: "R&D"}, {id: B, text: "y"}, {id: C, text: z}]
      key: {choices: [A, C]}
    - id: "6"
      type: multiple_choice
      prompt: p
      choices: [{id: A, text: x}, {id: B, text: "y"}]
      key: {choices: [A]}
    - id: "7"
      type: true_false
      prompt: "a: b"
      key: {bool: false}
      createdAt: 2018-07-06T16:34:00+08:00
    - id: "8"
      type: fill_in_blank
      prompt: "yes"
      key: {blanks: [AT, T, "3"]}
    - {id: "9", type: short_answer, prompt: 为什么?}
    - id: "10"
      type: programming
      prompt: |
        写一个程序:

          # main
      key:
        reference: |
          fn main() {
          }
    - id: x
      type: single_choice
      prompt: p
      choices:
        - {id: A, text: 这是一个相当长的选项，它不会和别的选项放在同一行里}
        - {id: B, text: 这是另一个相当长的选项，它也不会}
      key: {choices: [A]}
"#
    );
}

#[test]
fn everything_wrong_with_a_body_is_told_at_once_and_without_keys() {
    let body = r#"{"uid":"user\u001b1","imgName":"考试","imgid":"i","problem":{
        "1":{"type":"选择","problem":"p","answer":"A.1&B.2@A"},
        "2":{"type":"口试","problem":"p","answer":"CANARY"},
        "3":{"type":"单选题","problem":"","answer":"A.1&B.2@AB","creator":"x"},
        "4":{"type":"单选题","problem":"p","answer":"A.1&B.2@AB","createTime":"2018-2-30 10:00"},
        "5":{"type":"选择题","problem":"p","problem":"q","answer":"A.1&B.2@CANARY"},
        "5":{"type":"选择题"},
        "6":{"type":"判断题","problem":"p","answer":"CANARY"},
        "7":{"type":"填空题","problem":"p","answer":["CANARY"]},
        "8":{"type":"填空题","problem":"p","answer":"CANARY\u0007"},
        "9":[],
        "a\nb":{}
    }}"#;
    let told = errors(body);
    assert!(!told.contains("CANARY"));
    assert_eq!(
        told,
        "\
: unknown field `imgid`
  did you mean `imgId`?
imgName: `考试` cannot be made a Docker repository: a part of it is empty
  give it a name in a-z and 0-9; the title can be changed in the manifest
problem: `5` is there twice
problem.1.type: unknown type `选择`
  did you mean 选择题?
problem.2.type: unknown type `口试`
  the types are 选择题, 单选题, 多选题, 判断题, 填空题, 简答题, 编程题
problem.3: unknown field `creator`
  the fields are name, type, problem, answer, createTime, author
problem.3.problem: is missing or empty
problem.4.createTime: `2018-2-30 10:00` names a day or an hour that does not exist
problem.5: `problem` is there twice
problem.5.answer: the key names a letter twice
problem.6.answer: says neither true nor false
  write one of 对, 错, 正确, 错误, 是, 否, √, ×, T, F, true, false
problem.7.answer: expected a text, found a list
problem.9: expected an object, found a list
problem: `a\\nb` cannot be an item's id
uid: contains the control character U+001B
  use one line of plain text
problem.4.answer: single_choice items have exactly one right choice, found 2
  make the type multiple_choice if several are right
problem.8.answer: contains the control character U+0007
  only line breaks (\\n) and tabs may stand in a text
"
    );
}

#[test]
fn what_is_no_body_is_refused() {
    assert_eq!(errors("[]"), ": expected an object, found a list\n");
    assert_eq!(errors("{"), ": is not JSON: EOF while parsing an object at line 1 column 1\n");
    assert_eq!(errors("{}"), "imgName: is missing or empty\nproblem: is missing or empty\n");
    let deep = "[".repeat(100_000);
    assert!(errors(&deep).starts_with(": is not JSON: recursion limit exceeded"));
}

#[test]
fn a_number_where_a_text_is_wanted_is_refused() {
    let body = with_problem(r#""type":"简答题","problem":5"#);
    assert_eq!(errors(&body), "problem.1.problem: expected a text, found a number\n");
}

#[test]
fn two_image_names_that_differ_in_capitals_only_collide() {
    let body = r#"{"imgName":"EXAM","problem":{"1":{"type":"简答题","problem":"p"}}}"#;
    let first = convert(body, &Options::default()).unwrap();
    assert_eq!(listed(&first.warnings), "warning: imgName: `EXAM` became the repository `exam`\n");
    let options = Options { taken: [first.name].into(), ..Options::default() };
    assert_eq!(
        listed(&convert(body, &options).unwrap_err()),
        "\
warning: imgName: `EXAM` became the repository `exam`
imgName: another problem set has the repository `exam` already
  change imgName; capitals make no difference
"
    );
}

#[test]
fn an_unknown_time_zone_is_refused() {
    let options = Options { time_zone: "Mars/Olympus".to_owned(), ..Options::default() };
    let body = with_problem(r#""type":"简答题","problem":"p""#);
    assert_eq!(
        listed(&convert(&body, &options).unwrap_err()),
        ": `Mars/Olympus` is not a time zone\n  use an IANA name, such as Asia/Shanghai\n"
    );
}

#[test]
fn the_order_of_problems_in_a_body_does_not_matter() {
    let of = |problems: &str| format!(r#"{{"imgName":"exam","problem":{{{problems}}}}}"#);
    let (a, b) = (r#""10":{"type":"简答题","problem":"p"}"#, r#""9":{"type":"简答题","problem":"q"}"#);
    let yaml = |body: String| manifest_yaml(&body, &Options::default()).unwrap().0;
    assert_eq!(yaml(of(&format!("{a},{b}"))), yaml(of(&format!("{b},{a}"))));
}

#[test]
fn a_manifest_reads_back_as_the_spec_that_was_converted() {
    let body = include_str!("../../../../tests/data/buildimage.json");
    let (yaml, _) = manifest_yaml(body, &Options::default()).unwrap();
    let manifest: serde_yaml::Mapping = serde_yaml::from_str(&yaml).unwrap();
    let spec: ProblemSetSpec = serde_yaml::from_value(manifest["spec"].clone()).unwrap();
    assert_eq!(spec, convert(body, &Options::default()).unwrap().spec);
}
