//! Canonical JSON and SHA-256. In: values and bytes. Out: the same text for equal values, everywhere.

use std::fmt::{self, Write};
use std::io;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// The canonical JSON of a value: keys sorted, no white space.
///
/// `serde_json`'s maps are sorted as long as its `preserve_order` feature is off, which a test pins.
pub fn canonical_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_value(value)?.to_string())
}

/// The SHA-256 of bytes, as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of what is written into it.
#[derive(Default)]
pub struct Sha256Sum(Sha256);

impl Sha256Sum {
    /// Of all of it, as 64 lower-case hexadecimal digits.
    pub fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

impl io::Write for Sha256Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The HMAC-SHA256 of bytes (RFC 2104), as 64 lower-case hexadecimal digits: a digest that nobody can
/// compute, or compare guesses with, who does not have the key.
pub fn hmac_hex(key: &[u8], bytes: &[u8]) -> String {
    let mut hmac = Hmac::new(key);
    hmac.update(bytes);
    hmac.hex()
}

/// An HMAC-SHA256 of bytes that come one after the other.
pub struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    /// Of nothing yet.
    pub fn new(key: &[u8]) -> Self {
        let mut block = [0; 64];
        if key.len() > block.len() {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let padded = |byte: u8| Sha256::new().chain_update(block.map(|key| key ^ byte));
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    /// What comes next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    /// All of it, as 64 lower-case hexadecimal digits.
    pub fn hex(self) -> String {
        hex(&self.outer.chain_update(self.inner.finalize()).finalize())
    }
}

impl fmt::Debug for Hmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hmac")
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_sorts_keys() {
        let value: serde_json::Value =
            serde_json::from_str(r#"{"b": 1, "a": {"d": 2, "c": 3}}"#).expect("JSON");
        assert_eq!(canonical_json(&value).expect("JSON"), r#"{"a":{"c":3,"d":2},"b":1}"#);
    }

    #[test]
    fn an_hmac_is_the_published_one() {
        // RFC 4231, test cases 1 and 6: a short key, and one that is longer than a block.
        assert_eq!(
            hmac_hex(&[0x0b; 20], b"Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hmac_hex(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn sha256_is_the_published_one() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
