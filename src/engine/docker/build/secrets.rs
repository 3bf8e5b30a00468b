//! A build's secrets. In: where they are. Out: their bytes, for one build; kept nowhere. No error repeats one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hyper::body::Bytes;

use crate::host::reading;
use crate::resource::image::{BuildSecret, SecretSource};

/// The largest secret that `BuildKit` takes: its `MaxSecretSize`, 500 KB.
const SECRET_MAX: u64 = 500 * 1024;

/// The secrets by their ids.
///
/// # Errors
/// Which one cannot be had, in a sentence.
pub(super) async fn read(secrets: &[BuildSecret]) -> Result<BTreeMap<String, Bytes>, String> {
    let mut given = BTreeMap::new();
    for secret in secrets {
        let told = |why: String| format!("the secret {}: {why}", secret.id);
        let bytes = match &secret.from {
            SecretSource::Env(name) => {
                let value = std::env::var_os(name);
                let value =
                    value.ok_or_else(|| told(format!("the variable {name} is not set for Invigil")))?;
                value.into_encoded_bytes()
            }
            SecretSource::File(path) => {
                let file = path.clone();
                let bytes = reading(move || whole(&file)).await;
                bytes.map_err(|error| {
                    let shown = path.display();
                    told(match error.kind() {
                        io::ErrorKind::NotFound => format!("{shown} does not exist"),
                        io::ErrorKind::InvalidInput => format!("{shown} is not a regular file"),
                        _ => format!("{shown} cannot be read: {error}"),
                    })
                })?
            }
        };
        if bytes.len() as u64 > SECRET_MAX {
            return Err(told("it is larger than BuildKit takes (500Ki)".to_owned()));
        }
        given.insert(secret.id.clone(), Bytes::from(bytes));
    }
    Ok(given)
}

/// All of a file, or as much of it as shows that it is too large.
fn whole(path: &Path) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(SECRET_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn secret(from: SecretSource) -> Vec<BuildSecret> {
        vec![BuildSecret { id: "npm".to_owned(), from }]
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_had_is_told_in_a_sentence() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str| secret(SecretSource::File(dir.path().join(name)));
        let shown = dir.path().display();
        std::fs::write(dir.path().join("token"), "canary\n").expect("a file");
        let large = vec![b'x'; 500 * 1024 + 1];
        std::fs::write(dir.path().join("large"), large).expect("a file");
        assert_eq!(read(&file("token")).await.map(|all| all["npm"].clone()), Ok(Bytes::from("canary\n")));
        for (secret, why) in [
            (file("none"), format!("the secret npm: {shown}/none does not exist")),
            (
                secret(SecretSource::File(PathBuf::from("/dev"))),
                "the secret npm: /dev is not a regular file".to_owned(),
            ),
            (file("large"), "the secret npm: it is larger than BuildKit takes (500Ki)".to_owned()),
            (
                secret(SecretSource::Env("INVIGIL_NO_SUCH".to_owned())),
                "the secret npm: the variable INVIGIL_NO_SUCH is not set for Invigil".to_owned(),
            ),
        ] {
            assert_eq!(read(&secret).await.err(), Some(why));
        }
    }
}
