//! The chain of hashes. In: a hash, a number and bytes. Out: the next hash.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::resource::digest::hex;

/// The hash of an entry.
pub(super) type Hash = [u8; 32];

/// Where a chain ends: the number and the hash of its last entry. Shown as `412:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry; 0 if there is none.
    pub seq: u64,
    /// Its hash.
    pub(super) hash: Hash,
}

impl Head {
    /// Before the first entry.
    pub(super) const NONE: Self = Self { seq: 0, hash: [0; 32] };

    /// The head after one more entry.
    pub(super) fn then(&self, body: &str) -> Self {
        let seq = self.seq + 1;
        let digest = Sha256::new().chain_update(self.hash).chain_update(seq.to_be_bytes()).chain_update(body);
        Self { seq, hash: digest.finalize().into() }
    }

    /// The hash, in hexadecimal digits.
    pub fn hash(&self) -> String {
        hex(&self.hash)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash())
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || "expected a head as `invigil log --verify` tells it: NUMBER:64 hexadecimal digits".to_owned();
        let (seq, hash) = text.split_once(':').ok_or_else(expected)?;
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(expected());
        }
        let byte = |at: usize| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16);
        let mut bytes = [0; 32];
        for (at, slot) in bytes.iter_mut().enumerate() {
            *slot = byte(at).map_err(|_| expected())?;
        }
        Ok(Self { seq: seq.parse().map_err(|_| expected())?, hash: bytes })
    }
}
