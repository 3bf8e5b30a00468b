//! Whether a commit is signed by somebody who may. In: a commit, and a file of those who may sign. Out: a verdict that was
//! read, or that none could be had: what goes wrong on the host says nothing of the commit.

use std::path::Path;

use super::GitError;
use super::command::{Git, said};

/// The header that holds a commit's signature, by the length of ids: that of another hash is not looked at
/// (gitformat-signature(5)).
const HEADERS: [(usize, &str); 2] = [(40, "gpgsig "), (64, "gpgsig-sha256 ")];
/// How a signature by ssh begins.
const SSH: &str = "-----BEGIN SSH SIGNATURE-----";
/// What ssh-keygen(1) says of a signature that it has looked at and that is not good (OpenSSH, `ssh-keygen.c`, `sshsig.c`).
const VERDICTS: [&str; 3] =
    ["No principal matched", "Could not verify signature", "Signature verification failed"];
/// What it says beside that where it could not read who may sign.
const BLIND: &str = "Unable to open allowed keys file";

/// Why a commit may not run for the sake of its signature.
///
/// # Errors
/// If that could not be found out.
pub(super) fn verdict(git: &Git, signers: &Path, id: &str) -> Result<Option<String>, GitError> {
    let object = git.text(&["cat-file", "commit", id])?;
    let Some(signature) = signature(&object, id) else {
        return Ok(Some("it is not signed, and requireSignedCommits is set".to_owned()));
    };
    if !signature.starts_with(SSH) {
        return Ok(Some("it is not signed with ssh, and no other signature is looked at".to_owned()));
    }
    let setting = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    let answer = git.inside(&["-c", &setting, "verify-commit", "--raw", id])?;
    if answer.status.success() {
        return Ok(None);
    }
    let told = answer.told();
    if is_read(&told) {
        return Ok(Some(format!("its signature is not of an allowed signer ({})", signers.display())));
    }
    Err(GitError(format!("its signature cannot be looked at: {}", said(&told))))
}

/// The signature in the header of the commit with this id; of its message nothing is believed.
fn signature<'a>(object: &'a str, id: &str) -> Option<&'a str> {
    let (_, name) = HEADERS.into_iter().find(|(length, _)| *length == id.len())?;
    object.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(name))
}

/// Whether what was told of a signature that is not good is a verdict.
fn is_read(told: &str) -> bool {
    VERDICTS.into_iter().any(|verdict| told.contains(verdict)) && !told.contains(BLIND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_looked_at_is_a_verdict() {
        let good = "Good \"git\" signature with ED25519 key SHA256:W2tG\n";
        for (told, read) in [
            // As OpenSSH 9.2 and git 2.39 answer.
            (format!("{good}No principal matched.\n"), true),
            ("Signature verification failed: incorrect signature\nCould not verify signature.\n".to_owned(), true),
            ("error: cannot run ssh-keygen: No such file or directory\n".to_owned(), false),
            ("error: could not create temporary file '/run/invigil/.git_vtag_tmp': No space left on device\n".to_owned(), false),
            (format!("{good}Unable to open allowed keys file \"x\": Permission denied\nNo principal matched.\n"), false),
            (good.to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_read(&told), read, "{told}");
        }
    }

    #[test]
    fn a_signature_stands_in_the_header() {
        let object = |header: &str, message: &str| format!("tree 0\nauthor a\n{header}\n{message}\n");
        let armour = format!("gpgsig {SSH}\n U1NI\n -----END SSH SIGNATURE-----\n");
        let signature = |object: &str| super::signature(object, &"0".repeat(40)).map(str::to_owned);
        assert_eq!(signature(&object(&armour, "one")).as_deref(), Some(SSH));
        assert_eq!(signature(&object("", &armour)), None);
        // Of the other hash, git looks at none, and says nothing.
        assert_eq!(signature(&object(&armour.replace("gpgsig", "gpgsig-sha256"), "one")), None);
        assert_eq!(
            signature(&object("gpgsig -----BEGIN PGP SIGNATURE-----\n x\n", "")).as_deref(),
            Some("-----BEGIN PGP SIGNATURE-----")
        );
    }
}
