//! A context as a tar archive. In: its pieces. Out: bytes, and the digest of what was really sent. Never decides
//! what belongs to it.

use std::fs::File;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use super::{Kind, Piece, changed, digest_of_pieces};

/// Writes pieces as a tar archive. Returns their digest as it was written, in hexadecimal.
///
/// # Errors
/// If something cannot be read or written, or a file is not as long as it was.
pub(super) fn send(pieces: &[Piece], out: &mut impl Write) -> io::Result<String> {
    let mut tar = tar::Builder::new(out);
    let digest = digest_of_pieces(pieces, |piece| append(&mut tar, piece))?;
    tar.into_inner()?;
    Ok(digest)
}

fn append<W: Write>(tar: &mut tar::Builder<W>, piece: &Piece) -> io::Result<[u8; 32]> {
    match &piece.kind {
        Kind::Text(text) => {
            tar.append_data(
                &mut header(piece, EntryType::Regular, text.len() as u64),
                &piece.name,
                text.as_bytes(),
            )?;
        }
        Kind::Directory => {
            // The slash at its end is how old readers tell it from a file.
            tar.append_data(&mut header(piece, EntryType::Directory, 0), piece.name.join(""), io::empty())?;
        }
        Kind::Link(target) => {
            tar.append_link(&mut header(piece, EntryType::Symlink, 0), &piece.name, target)?;
        }
        Kind::File { path, stamp } => {
            let file = File::open(path)?.take(stamp.size());
            let mut reader = Hashing { file, hasher: Sha256::new(), count: 0 };
            tar.append_data(&mut header(piece, EntryType::Regular, stamp.size()), &piece.name, &mut reader)?;
            // A shorter one would move everything after it.
            if reader.count != stamp.size() {
                return Err(changed());
            }
            return Ok(reader.hasher.finalize().into());
        }
    }
    Ok(piece.digest())
}

fn header(piece: &Piece, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(piece.mode);
    header.set_mtime(u64::try_from(piece.modified).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// A reader that digests what it yields.
struct Hashing<R> {
    file: R,
    hasher: Sha256,
    count: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}
