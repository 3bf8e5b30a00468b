#![no_main]
#![allow(dead_code, reason = "the exam server uses more of its modules")]

#[path = "../../src/bin/invigil-exam/language.rs"]
mod language;
#[path = "../../src/bin/invigil-exam/page.rs"]
mod page;
#[path = "../targets/paper.rs"]
mod target;
#[path = "../../src/bin/invigil-exam/text.rs"]
mod text;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
