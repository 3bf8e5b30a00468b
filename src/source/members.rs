//! The members of a tar archive, read strictly. In: an open file. Out: one after the other, each with the name, the target
//! and the size that every reader takes from its headers. What readers could understand in two ways (Go's, by which engines
//! unpack, is more lenient than others, and fills in what is odd) is refused. Contents are skipped, never read.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use tar::{EntryType, Header};

use crate::resource::printable::printable;

/// The unit of an archive.
const BLOCK: u64 = 512;
/// The most bytes that may say something of one member: names are anybody's word to be as long as a layer.
const EXTENSION_MAX: u64 = 1 << 20;

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its path, as it is written.
    pub(super) name: String,
    /// What it is.
    pub(super) kind: EntryType,
    /// Where a link leads, as it is written; empty otherwise.
    pub(super) target: String,
    /// How large its content is, in bytes.
    pub(super) size: u64,
    /// Where in the file its content begins.
    pub(super) position: u64,
}

/// Reads one member after the other.
pub(super) struct Members<'a> {
    file: &'a File,
    length: u64,
    /// Where the next header is.
    next: u64,
    /// How many bytes of headers may be read yet.
    left: u64,
}

/// What headers before a member's own say of it.
#[derive(Debug, Default)]
struct Ahead {
    long_name: Option<String>,
    long_target: Option<String>,
    records: Option<Records>,
}

/// The records of an extended header that say where the content is and what it is called.
#[derive(Debug, Default)]
struct Records {
    path: Option<String>,
    target: Option<String>,
    size: Option<u64>,
    is_sparse: bool,
}

/// The sentence for what can be understood in two ways.
fn two_ways(shown: &str) -> String {
    format!("what it says of `{}` can be understood in two ways; pack it anew", printable(shown))
}

fn damaged(why: &str) -> String {
    format!("it is no tar archive, or damaged: {why}")
}

fn unread(error: &io::Error) -> String {
    format!("it cannot be read: {error}")
}

impl<'a> Members<'a> {
    /// The members of a file, of whose headers so many bytes may be read.
    ///
    /// # Errors
    /// If the file cannot be looked at, in words.
    pub(super) fn of(file: &'a File, left: u64) -> Result<Self, String> {
        let length = file.metadata().map_err(|error| unread(&error))?.len();
        Ok(Self { file, length, next: 0, left })
    }

    /// The next member; `None` at the end.
    ///
    /// # Errors
    /// Why it must not be unpacked, in words.
    pub(super) fn next(&mut self) -> Result<Option<Member>, String> {
        let mut ahead = Ahead::default();
        loop {
            let is_alone =
                ahead.long_name.is_none() && ahead.long_target.is_none() && ahead.records.is_none();
            let Some(block) = self.header()? else {
                return if is_alone {
                    Ok(None)
                } else {
                    Err(damaged("it ends after a header about another member"))
                };
            };
            let header = Header::from_byte_slice(&block);
            let form = Form::of(&block).ok_or_else(|| two_ways(&text(&block[..100])))?;
            let kind = header.entry_type();
            let name = form.name(&block);
            let size = number(&block[124..136]).ok_or_else(|| two_ways(&name))?;
            match kind {
                EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader if form == Form::Old => {
                    return Err(two_ways(&name));
                }
                EntryType::GNULongName if ahead.long_name.is_none() => {
                    ahead.long_name = Some(long(&self.extension(size)?).ok_or_else(|| two_ways(&name))?);
                }
                EntryType::GNULongLink if ahead.long_target.is_none() => {
                    ahead.long_target = Some(long(&self.extension(size)?).ok_or_else(|| two_ways(&name))?);
                }
                EntryType::XHeader if ahead.records.is_none() => {
                    ahead.records = Some(Records::of(&self.extension(size)?).ok_or_else(|| two_ways(&name))?);
                }
                // What it says is for all that follow, and read by nobody who unpacks.
                EntryType::XGlobalHeader if is_alone => self.skip(size, &name)?,
                EntryType::GNULongName
                | EntryType::GNULongLink
                | EntryType::XHeader
                | EntryType::XGlobalHeader => return Err(two_ways(&name)),
                kind => return self.member(kind, name, text(&block[157..257]), size, ahead).map(Some),
            }
        }
    }

    /// The content of a member.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn content(&self, member: &Member) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let mut file = self.file;
        file.seek(SeekFrom::Start(member.position))?;
        file.take(member.size).read_to_end(&mut content)?;
        Ok(content)
    }

    /// A member by its own header and those before it.
    fn member(
        &mut self,
        kind: EntryType,
        name: String,
        target: String,
        size: u64,
        ahead: Ahead,
    ) -> Result<Member, String> {
        let Ahead { long_name, long_target, records } = ahead;
        let records = records.unwrap_or_default();
        let agreed = |long: Option<String>, record: Option<String>, own: String| match (long, record) {
            (Some(long), Some(record)) if long != record => Err(two_ways(&own)),
            (long, record) => Ok(long.or(record).unwrap_or(own)),
        };
        let name = agreed(long_name, records.path, name)?;
        let target = agreed(long_target, records.target, target)?;
        // A few bytes of it may stand for as many zeros as somebody likes.
        if kind.is_gnu_sparse() || records.is_sparse {
            return Err(format!("`{}` in it is sparse; pack it anew without --sparse", printable(&name)));
        }
        let said = size;
        let size = records.size.unwrap_or(size);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        let has_content = match kind {
            EntryType::Regular | EntryType::Continuous => !name.ends_with('/'),
            EntryType::Directory | EntryType::Char | EntryType::Block | EntryType::Fifo => false,
            _ if is_link => false,
            _ => return Err(format!("`{}` in it is of a sort that nobody knows", printable(&name))),
        };
        if name.is_empty() || (!has_content && (size > 0 || said > 0)) || (is_link && target.is_empty()) {
            return Err(two_ways(&name));
        }
        let position = self.next;
        self.skip(size, &name)?;
        let target = if is_link { target } else { String::new() };
        Ok(Member { name, kind, target, size, position })
    }

    /// The next header's block; `None` at the end.
    fn header(&mut self) -> Result<Option<[u8; 512]>, String> {
        if self.next >= self.length {
            return Ok(None);
        }
        let mut block = [0; 512];
        self.read(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(place, byte)| match place {
                148..156 => u64::from(b' '),
                _ => u64::from(*byte),
            })
            .sum();
        if number(&block[148..156]) != Some(sum) {
            return Err(damaged("a header's checksum is wrong"));
        }
        Ok(Some(block))
    }

    /// The content of a header that is about another member.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, String> {
        if size > EXTENSION_MAX {
            return Err("a name in it is longer than any can be".to_owned());
        }
        let padded = usize::try_from(size.next_multiple_of(BLOCK)).unwrap_or(usize::MAX);
        let mut content = vec![0; padded];
        self.read(&mut content)?;
        content.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(content)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        let count = bytes.len() as u64;
        self.left = self.left.checked_sub(count).ok_or("its metadata is larger than an image's can be")?;
        if self.length.saturating_sub(self.next) < count {
            return Err(damaged("it ends in the middle of a header"));
        }
        let mut file = self.file;
        let read = file.seek(SeekFrom::Start(self.next)).and_then(|_| file.read_exact(bytes));
        read.map_err(|error| unread(&error))?;
        self.next += count;
        Ok(())
    }

    fn skip(&mut self, size: u64, name: &str) -> Result<(), String> {
        if self.length.saturating_sub(self.next) < size {
            return Err(format!("it is damaged: it ends in the middle of `{}`", printable(name)));
        }
        self.next = self.next.saturating_add(size.next_multiple_of(BLOCK));
        Ok(())
    }
}

/// How a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As before POSIX.
    Old,
    /// As POSIX has it: names have a part of their own for what stands before them.
    Ustar,
    /// As GNU tar has it.
    Gnu,
}

impl Form {
    /// `None` of one that is none of these, which readers take for different ones.
    fn of(block: &[u8; 512]) -> Option<Self> {
        match &block[257..265] {
            b"ustar\x0000" if &block[508..512] != b"tar\0" => Some(Self::Ustar),
            // Go takes what stands here for the beginning of a name if it is no time.
            b"ustar  \0" if [345..357, 357..369].into_iter().all(|time| number(&block[time]).is_some()) => {
                Some(Self::Gnu)
            }
            magic if !magic.starts_with(b"ustar") => Some(Self::Old),
            _ => None,
        }
    }

    fn name(self, block: &[u8; 512]) -> String {
        let name = text(&block[..100]);
        let prefix = if self == Self::Ustar { text(&block[345..500]) } else { String::new() };
        if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
    }
}

/// A header's text: up to the first NUL.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// A header's number: octal digits between spaces and NULs, or base 256 where that is positive; `None` of anything else.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        let bytes = rest.iter().skip_while(|byte| **byte == 0);
        return bytes
            .clone()
            .count()
            .le(&7)
            .then(|| bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    let start = field.iter().position(|byte| *byte != b' ').unwrap_or(field.len());
    let digits = field[start..].iter().take_while(|byte| matches!(byte, b'0'..=b'7'));
    let count = digits.clone().count();
    let rest = &field[start + count..];
    let is_octal = rest.iter().all(|byte| matches!(byte, b' ' | 0));
    is_octal.then(|| digits.fold(0, |number, digit| number << 3 | u64::from(digit - b'0')))
}

/// A long name: its bytes and one NUL, or none.
fn long(content: &[u8]) -> Option<String> {
    let name = content.strip_suffix(&[0]).unwrap_or(content);
    (!name.is_empty() && !name.contains(&0)).then(|| String::from_utf8_lossy(name).into_owned())
}

impl Records {
    /// `None` of records that are malformed, say a thing twice, or say nothing.
    fn of(mut content: &[u8]) -> Option<Self> {
        let mut records = Self::default();
        let mut keys = BTreeSet::new();
        while !content.is_empty() {
            let space = content.iter().take(20).position(|byte| *byte == b' ')?;
            let length: usize = str::from_utf8(&content[..space]).ok()?.parse().ok()?;
            let (record, rest) = content.split_at_checked(length)?;
            let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            content = rest;
            if !keys.insert(key) {
                return None;
            }
            let said = || {
                let is_said = !value.is_empty() && !value.contains(&0);
                is_said.then(|| String::from_utf8_lossy(value)).map(Cow::into_owned)
            };
            match key {
                b"path" => records.path = Some(said()?),
                b"linkpath" => records.target = Some(said()?),
                b"size" => {
                    let size = said()?;
                    let is_plain = size.bytes().all(|byte| byte.is_ascii_digit());
                    records.size =
                        Some(size.parse().ok().filter(|size| is_plain && *size < i64::MAX as u64)?);
                }
                key if key.starts_with(b"GNU.sparse.") => records.is_sparse = true,
                _ => {}
            }
        }
        Some(records)
    }
}
