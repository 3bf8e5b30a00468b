//! What of the host itself a plan depends on: ports that processes hold, sources of binds and of builds' secrets, directories that
//! cannot be written in, memory, room on the engine's disk. In: the engine's socket and what is wanted. Out: [`HostFacts`]. Looks only; of an engine on another host
//! nothing is known.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::Access;
use rustix::io::Errno;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::desired::{Desired, ImageOrigin, Recipe};
use crate::observed::{HeldPort, HostFacts, ObservedContainer};
use crate::resource::container::ContainerSpec;
use crate::resource::port::Protocol;

/// How long one look at a path may take: a network file system whose server is gone never answers.
const LOOK: Duration = Duration::from_secs(2);
/// With how many looks that do not come back no other is begun.
const HANGING_MAX: usize = 16;

/// Looks at the host of the engine that listens on `socket`.
pub async fn look(socket: &Path, desired: &Desired) -> HostFacts {
    let publishes = desired.containers.values().any(|container| !container.spec.ports.is_empty());
    // The kernel goes through all connections of the host for it.
    let process = if publishes { engine_process(socket).await } else { None };
    let specs = desired.containers.values().map(|container| &container.spec);
    let images = desired.images.values().filter_map(|image| match &image.source {
        ImageOrigin::Made(recipe) => Some(recipe),
        _ => None,
    });
    let paths: BTreeSet<String> = specs
        .flat_map(ContainerSpec::required_paths)
        .map(str::to_owned)
        .chain(images.flat_map(Recipe::secret_files))
        .collect();
    let facts = tokio::task::spawn_blocking(move || HostFacts {
        ports: process.and_then(held_ports),
        memory: total_memory(),
        ..HostFacts::default()
    });
    let (facts, absent_paths) = tokio::join!(facts, which(paths, is_absent, LOOK));
    // A panic in there is no fact about the host.
    HostFacts { absent_paths, ..facts.unwrap_or_default() }
}

/// What containers that are down, or may have to be restarted, need of the host before they can be started as they were made.
pub async fn look_below(socket: &Path, containers: &[ObservedContainer], facts: &mut HostFacts) {
    let (up, down): (Vec<_>, Vec<_>) = containers.iter().partition(|container| container.status.is_up());
    let down: Vec<&ContainerSpec> = down.into_iter().filter_map(created).collect();
    // Who shares another's namespaces is restarted as it is where it has to follow that one.
    let sharers = up.into_iter().filter_map(created).filter(|spec| spec.shares_with().next().is_some());
    let paths = down.iter().copied().chain(sharers).flat_map(ContainerSpec::required_paths);
    let paths = paths.map(str::to_owned).collect();
    facts.absent_paths.extend(which(paths, is_absent, LOOK).await);
    if facts.ports.is_none() && down.iter().any(|spec| !spec.ports.is_empty()) {
        let process = engine_process(socket).await;
        let ports = tokio::task::spawn_blocking(move || process.and_then(held_ports)).await;
        facts.ports = ports.unwrap_or_default();
    }
}

/// What a container of ours was made from.
fn created(container: &ObservedContainer) -> Option<&ContainerSpec> {
    container.managed.as_ref()?.created.as_ref()
}

/// The directories in which what is taken out of containers is to be kept, and in which nothing can be written.
pub async fn unwritable(desired: &Desired, containers: &[ObservedContainer]) -> BTreeSet<String> {
    let wanted = desired.containers.values().map(|container| &container.spec);
    let directories = wanted
        .chain(containers.iter().filter_map(created))
        .flat_map(|spec| &spec.collect)
        .map(|collect| collect.to.clone());
    which(directories.collect(), is_unwritable, LOOK).await
}

/// The paths of which something holds. Of one whose look does not come back it does not (law 1), and it is not looked at
/// again until it does: each such look keeps a thread.
async fn which(paths: BTreeSet<String>, holds: fn(&str) -> bool, patience: Duration) -> BTreeSet<String> {
    let mut left: VecDeque<String> = paths.into_iter().filter(|path| !hangs(path)).collect();
    let mut found = BTreeSet::new();
    while !left.is_empty() && hanging().len() < HANGING_MAX {
        let (sender, mut answers) = mpsc::unbounded_channel();
        let paths = left.clone();
        let looking = tokio::task::spawn_blocking(move || {
            // Nobody listens any more to a look that took too long.
            paths.iter().all(|path| sender.send(holds(path)).is_ok());
        });
        loop {
            let answer = timeout(patience, answers.recv()).await;
            let Some(path) = left.pop_front() else { break };
            match answer {
                Ok(Some(true)) => drop(found.insert(path)),
                Ok(Some(false)) => {}
                // A panic in there is no fact about the host.
                Ok(None) => break,
                Err(_) => {
                    hanging().push((path, looking));
                    break;
                }
            }
        }
    }
    found
}

/// The looks that have not come back, of all passes of this process.
fn hanging() -> MutexGuard<'static, Vec<(String, JoinHandle<()>)>> {
    static HANGING: Mutex<Vec<(String, JoinHandle<()>)>> = Mutex::new(Vec::new());
    let mut hanging = HANGING.lock().unwrap_or_else(PoisonError::into_inner);
    hanging.retain(|(_, look)| !look.is_finished());
    hanging
}

fn hangs(path: &str) -> bool {
    hanging().iter().any(|(hanging, _)| hanging == path)
}

/// Reads a small file of this host beside what the program is at, which a disk that hangs must not hold up.
///
/// # Errors
/// As `read`'s.
pub async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|broken_off| Err(io::Error::other(broken_off)))
}

/// Writes a small file of this host, in the same way.
///
/// # Errors
/// As `write`'s.
pub async fn writing<T: Send + 'static>(
    write: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    reading(write).await
}

/// How many bytes are free on the disk of a directory, for those who are not root; `None` if that cannot be seen.
pub async fn free_space(directory: &str) -> Option<u64> {
    if hangs(directory) || hanging().len() >= HANGING_MAX {
        return None;
    }
    let (sender, answer) = oneshot::channel();
    let path = directory.to_owned();
    let looking = tokio::task::spawn_blocking(move || {
        // Nobody listens any more to a look that took too long.
        let _ = sender.send(rustix::fs::statvfs(&path).ok());
    });
    if let Ok(answer) = timeout(LOOK, answer).await {
        let disk = answer.ok()??;
        return disk.f_bavail.checked_mul(disk.f_frsize);
    }
    hanging().push((directory.to_owned(), looking));
    None
}

/// The process behind the socket: its network is where ports are published.
async fn engine_process(socket: &Path) -> Option<i32> {
    UnixStream::connect(socket).await.ok()?.peer_cred().ok()?.pid()
}

/// What cannot be looked at is not absent (law 1).
fn is_absent(path: &str) -> bool {
    matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound)
}

/// Whether a directory cannot be written in, or cannot be made where it is not there. What cannot be looked at can (law 1).
fn is_unwritable(path: &str) -> bool {
    let mut there = Path::new(path);
    loop {
        return match std::fs::metadata(there) {
            Ok(metadata) => {
                let may = Access::WRITE_OK | Access::EXEC_OK;
                !metadata.is_dir()
                    || matches!(rustix::fs::access(there, may), Err(Errno::ROFS | Errno::ACCESS))
            }
            // A file has the place of a directory.
            Err(error) if error.kind() == ErrorKind::NotADirectory => true,
            Err(error) if error.kind() == ErrorKind::NotFound => match there.parent() {
                Some(parent) => {
                    there = parent;
                    continue;
                }
                None => false,
            },
            Err(_) => false,
        };
    }
}

/// proc(5): `MemTotal:       16318412 kB`.
fn total_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Every port that a process listens on in the network of `process`; `None` if that cannot be seen.
fn held_ports(process: i32) -> Option<Vec<HeldPort>> {
    let tables =
        [("tcp", Protocol::Tcp), ("tcp6", Protocol::Tcp), ("udp", Protocol::Udp), ("udp6", Protocol::Udp)];
    let mut ports = Vec::new();
    for (table, protocol) in tables {
        let path = format!("/proc/{process}/net/{table}");
        match std::fs::read_to_string(path) {
            Ok(text) => ports.extend(text.lines().skip(1).filter_map(|line| held_port(line, protocol))),
            // A kernel without IPv6.
            Err(error) if error.kind() == ErrorKind::NotFound && table.ends_with('6') => {}
            Err(_) => return None,
        }
    }
    ports.sort_unstable();
    ports.dedup();
    Some(ports)
}

/// One line of proc(5)'s socket tables: `0: 0100007F:0277 00000000:0000 0A ...`.
fn held_port(line: &str, protocol: Protocol) -> Option<HeldPort> {
    const LISTEN: &str = "0A";
    let mut words = line.split_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    let holds = match protocol {
        Protocol::Tcp => state == LISTEN,
        // Connected ones are clients.
        _ => remote.bytes().all(|b| matches!(b, b'0' | b':')),
    };
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    holds.then_some(HeldPort { ip: address(ip)?, port, protocol })
}

/// The kernel prints each 32-bit word in the machine's own order.
fn address(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = (0..hex.len() / 8)
        .map(|index| Some(u32::from_str_radix(hex.get(index * 8..index * 8 + 8)?, 16).ok()?.to_ne_bytes()))
        .collect();
    match words?[..] {
        [word] => Some(Ipv4Addr::from(word).into()),
        [a, b, c, d] => {
            let bytes: [u8; 16] = [a, b, c, d].concat().try_into().ok()?;
            let ip = Ipv6Addr::from(bytes);
            Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn lines_of_the_kernels_tables_are_read() {
        let read =
            |line: &str, protocol| held_port(line, protocol).map(|held| format!("{} {}", held.ip, held.port));
        assert_eq!(
            read("0: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000", Protocol::Tcp),
            Some("127.0.0.1 631".to_owned())
        );
        assert_eq!(
            read(
                "1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0",
                Protocol::Tcp
            ),
            Some("::1 8080".to_owned())
        );
        assert_eq!(read("2: 0100007F:0277 0100007F:9C40 01 0", Protocol::Tcp), None);
        assert_eq!(read("3: 00000000:0035 00000000:0000 07 0", Protocol::Udp), Some("0.0.0.0 53".to_owned()));
        assert_eq!(read("4: 0100007F:8235 0100007F:0035 01 0", Protocol::Udp), None);
        assert_eq!(read("nonsense", Protocol::Tcp), None);
    }

    #[tokio::test]
    async fn law_1_a_path_whose_file_system_does_not_answer_is_not_absent_and_holds_up_no_other() {
        static ANSWERS: AtomicBool = AtomicBool::new(false);
        let is_absent = |path: &str| {
            while path.starts_with("/dead") && !ANSWERS.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
            path != "/there"
        };
        let paths = || ["/dead/a", "/dead/b", "/gone", "/there"].map(str::to_owned).into();
        let patience = Duration::from_millis(50);
        assert_eq!(which(paths(), is_absent, patience).await, ["/gone".to_owned()].into());
        assert!(hangs("/dead/a") && hangs("/dead/b") && !hangs("/there"));
        // Not looked at again: nothing more hangs.
        let begun = std::time::Instant::now();
        assert_eq!(which(paths(), is_absent, Duration::from_mins(1)).await, ["/gone".to_owned()].into());
        assert!(begun.elapsed() < Duration::from_mins(1));
        assert_eq!(hanging().len(), 2);
        ANSWERS.store(true, Ordering::Relaxed);
        while hangs("/dead/a") || hangs("/dead/b") {
            tokio::time::sleep(patience).await;
        }
        let all = which(paths(), is_absent, Duration::from_mins(1)).await;
        assert_eq!(all.into_iter().collect::<Vec<_>>(), ["/dead/a", "/dead/b", "/gone"]);
    }

    #[tokio::test]
    async fn the_room_on_a_disk_is_seen_where_there_is_one() {
        assert!(free_space("/").await.is_some());
        assert_eq!(free_space("/no/such/path").await, None);
    }

    #[test]
    fn a_port_of_this_process_is_seen_and_so_is_the_memory() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(
            held_ports(own).unwrap().iter().any(|held| held.port == port && held.protocol == Protocol::Tcp)
        );
        drop(listener);
        assert!(
            !held_ports(own).unwrap().iter().any(|held| held.port == port && held.protocol == Protocol::Tcp)
        );
        assert!(total_memory().unwrap() > 1 << 20);
        assert!(is_absent("/no/such/path") && !is_absent("/proc"));
    }
}
