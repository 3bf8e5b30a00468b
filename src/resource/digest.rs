//! Canonical JSON and SHA-256. In: values and bytes. Out: the same text for equal values, everywhere.

use std::fmt::Write;

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

/// The HMAC-SHA256 of bytes (RFC 2104), as 64 lower-case hexadecimal digits: a digest that nobody can
/// compute, or compare guesses with, who does not have the key.
pub fn hmac_hex(key: &[u8; 32], bytes: &[u8]) -> String {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(padded, key)| *padded ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(bytes).finalize();
    hex(&Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize())
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
        // RFC 4231, test case 1: its key has 20 bytes, which zeros lengthen.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        assert_eq!(
            hmac_hex(&key, b"Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn sha256_is_the_published_one() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
