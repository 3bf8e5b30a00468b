//! What containers wrote, out of the form in which the engine sends it. In: chunks of bytes, cut anywhere.
//! Out: whole lines with their times.
//!
//! Without a terminal the engine sends frames of a kind, a length and one entry of the log; with one, the
//! lines as they are. Each entry begins with its time; one of more than 16 KiB comes in several.

use crate::engine::Line;

/// The most of a line that is kept in memory; a longer one comes as several.
const LINE_MAX: usize = 1 << 20;
/// What a frame begins with: its kind, nothing three times, its length in four bytes.
const HEADER: usize = 8;

/// One entry of the log.
struct Entry<'a> {
    is_error: bool,
    bytes: &'a [u8],
    /// How long it is with its header.
    length: usize,
}

/// Makes lines out of chunks.
#[derive(Debug, Default)]
pub(super) struct Lines {
    has_terminal: bool,
    pending: Vec<u8>,
    /// The lines that are not at their end yet, of stdout and of stderr.
    open: [Option<Line>; 2],
}

impl Lines {
    /// Lines of a container with or without a terminal.
    pub(super) fn new(has_terminal: bool) -> Self {
        Self { has_terminal, ..Self::default() }
    }

    /// The lines that end in this chunk.
    ///
    /// # Errors
    /// If that is no form in which engines send lines.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<Vec<Line>, String> {
        self.pending.extend_from_slice(chunk);
        let mut lines = Vec::new();
        let mut from = 0;
        let pending = std::mem::take(&mut self.pending);
        while let Some(entry) = self.entry(&pending[from..])? {
            from += entry.length;
            self.add(entry.is_error, entry.bytes, &mut lines);
        }
        self.pending = pending[from..].to_vec();
        Ok(lines)
    }

    /// The lines whose end never came.
    pub(super) fn finish(mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.has_terminal && !self.pending.is_empty() {
            let rest = std::mem::take(&mut self.pending);
            self.add(false, &rest, &mut lines);
        }
        lines.extend(self.open.into_iter().flatten());
        lines
    }

    /// The first whole entry.
    fn entry<'a>(&self, bytes: &'a [u8]) -> Result<Option<Entry<'a>>, String> {
        if self.has_terminal {
            let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let end = end.or((bytes.len() > LINE_MAX).then_some(bytes.len()));
            return Ok(end.map(|end| Entry { is_error: false, bytes: &bytes[..end], length: end }));
        }
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [kind, 0, 0, 0, a, b, c, d] = *header else {
            return Err("a frame begins with what is no header".to_owned());
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > LINE_MAX {
            return Err(format!("a frame of {length} bytes"));
        }
        let Some(bytes) = rest.get(..length) else { return Ok(None) };
        // 3 is the engine itself, saying why it cannot go on.
        if kind == 3 {
            return Err(String::from_utf8_lossy(bytes).trim().to_owned());
        }
        Ok(Some(Entry { is_error: kind == 2, bytes, length: HEADER + length }))
    }

    fn add(&mut self, is_error: bool, entry: &[u8], lines: &mut Vec<Line>) {
        let (time, bytes) = match entry.iter().position(|byte| *byte == b' ') {
            Some(space) if is_time(&entry[..space]) => (&entry[..space], &entry[space + 1..]),
            _ => (&[][..], entry),
        };
        let (bytes, is_whole) = match bytes.strip_suffix(b"\n") {
            Some(bytes) => (bytes.strip_suffix(b"\r").filter(|_| self.has_terminal).unwrap_or(bytes), true),
            None => (bytes, false),
        };
        let open = &mut self.open[usize::from(is_error)];
        let line = open.get_or_insert_with(|| Line {
            is_error,
            time: String::from_utf8_lossy(time).into_owned(),
            bytes: Vec::new(),
        });
        line.bytes.extend_from_slice(bytes);
        if is_whole || line.bytes.len() >= LINE_MAX {
            lines.extend(open.take());
        }
    }
}

/// Whether a word is a time as the engine writes it.
fn is_time(word: &[u8]) -> bool {
    word.len() >= 20 && word[4] == b'-' && word[10] == b'T' && word.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2018-07-06T08:34:00.000000000Z";

    fn frame(kind: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("short").to_be_bytes();
        [&[kind, 0, 0, 0][..], &length[..], text.as_bytes()].concat()
    }

    fn told(lines: &[Line]) -> Vec<String> {
        let told = |line: &Line| {
            let stream = if line.is_error { "stderr" } else { "stdout" };
            assert_eq!(line.time, TIME);
            format!("{stream} {}", String::from_utf8_lossy(&line.bytes))
        };
        lines.iter().map(told).collect()
    }

    #[test]
    fn frames_become_lines_wherever_the_chunks_are_cut() {
        let bytes = [
            frame(1, &format!("{TIME} one\n")),
            frame(2, &format!("{TIME} 出错\n")),
            // An entry that the engine has split.
            frame(1, &format!("{TIME} tw")),
            frame(2, &format!("{TIME} between\n")),
            frame(1, &format!("{TIME} o\n")),
            frame(1, &format!("{TIME} no end")),
        ]
        .concat();
        for size in 1..bytes.len() {
            let mut lines = Lines::new(false);
            let mut all = Vec::new();
            for chunk in bytes.chunks(size) {
                all.extend(lines.push(chunk).expect("frames"));
            }
            all.extend(lines.finish());
            assert_eq!(
                told(&all),
                ["stdout one", "stderr 出错", "stderr between", "stdout two", "stdout no end"]
            );
        }
    }

    #[test]
    fn a_terminals_lines_lose_their_carriage_returns() {
        let mut lines = Lines::new(true);
        let mut all = lines.push(format!("{TIME} a\r\n{TIME} b").as_bytes()).expect("lines");
        all.extend(lines.finish());
        assert_eq!(told(&all), ["stdout a", "stdout b"]);
    }

    #[test]
    fn what_is_no_frame_is_told_and_so_is_the_engines_own_word() {
        assert!(Lines::new(false).push(b"hello world").is_err());
        assert_eq!(
            Lines::new(false).push(&[1, 0, 0, 0, 255, 0, 0, 0]),
            Err("a frame of 4278190080 bytes".into())
        );
        assert_eq!(Lines::new(false).push(&frame(3, "no space left")), Err("no space left".into()));
    }
}
