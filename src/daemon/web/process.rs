//! What this process takes. In: what Linux tells of it. Out: numbers, or nothing where they cannot be read.

use std::fs;

/// Memory that is resident, in bytes.
pub(super) fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Processor time that was used, in seconds.
pub(super) fn cpu_seconds() -> Option<f64> {
    /// Ticks in a second for programs, on every machine that Linux runs on (`USER_HZ`).
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, and may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_memory_and_time() {
        assert!((1 << 20..1 << 36).contains(&resident_memory().unwrap()));
        assert!((0.0..1e6).contains(&cpu_seconds().unwrap()));
    }
}
