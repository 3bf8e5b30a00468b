//! Files that are there whole or not at all, whatever happens meanwhile. In: a place and bytes. Out: the file, on the disk
//! under its name. Waits for the disk.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes a file: beside its place first, under a hidden name of this process's own, then renamed. Its directory is there.
/// With `mode` its permissions are these; without, those of any new file. One at a time for each place.
///
/// # Errors
/// If it cannot be written. What was there before is there then, or all of the new file is.
pub fn write(place: &Path, bytes: &[u8], mode: Option<u32>) -> io::Result<()> {
    let name = place.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.new", std::process::id()));
    let beside = place.with_file_name(beside);
    // What a process of the same number left; and nothing is written through a link that somebody has put there.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // What not everybody may read nobody reads meanwhile.
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode.unwrap_or(0o666)).open(&beside)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| mode.map_or(Ok(()), |mode| file.set_permissions(Permissions::from_mode(mode))))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, place));
    if written.is_err() {
        // Nothing can be done about one that stays.
        let _ = fs::remove_file(&beside);
    }
    written.and_then(|()| settle_name(place))
}

/// Waits until it is on the disk which file has the name `place`.
///
/// # Errors
/// If the disk does not say so.
pub fn settle_name(place: &Path) -> io::Result<()> {
    let directory = place.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_or_what_was_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("state.json");
        let mode = || fs::metadata(&place).unwrap().permissions().mode() & 0o777;
        write(&place, b"one", Some(0o600)).unwrap();
        assert_eq!((fs::read(&place).unwrap().as_slice(), mode()), (&b"one"[..], 0o600));
        write(&place, b"two", Some(0o644)).unwrap();
        assert_eq!((fs::read(&place).unwrap().as_slice(), mode()), (&b"two"[..], 0o644));
        // Left by a process of the same number, as a link to somebody's file.
        let left = dir.path().join(format!(".state.json.{}.new", std::process::id()));
        std::os::unix::fs::symlink(&place, &left).unwrap();
        write(&place, b"three", None).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"three");
        assert!(fs::symlink_metadata(&place).unwrap().is_file());
        // A directory stands in the way.
        fs::create_dir(dir.path().join("other")).unwrap();
        assert!(write(&dir.path().join("other"), b"four", None).is_err());
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["other", "state.json"]);
    }
}
