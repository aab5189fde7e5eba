//! The seven `process_*` series that every Prometheus client exports, read from `/proc/self`. Systems without it have
//! none.

use std::fs;

use super::families::{PROCESS, Process};
use super::sheet::Sheet;

/// The unit of the times in `/proc/self/stat`: fixed at 100 to a second towards programs on every architecture that
/// Rust's Linux targets name, whatever the kernel ticks at.
const TICKS_PER_SECOND: f64 = 100.0;

/// The operating system's view of this process at the moment: name of each family, and text.
pub(super) fn families() -> impl Iterator<Item = (&'static str, String)> {
    let mut sheet = Sheet::of(PROCESS);
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let (stat, status, limits) = (read("stat"), read("status"), read("limits"));
    let boot = fs::read_to_string("/proc/stat").ok().and_then(|stat| boot_time(&stat));
    let open_fds = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as f64);
    for (family, value) in [
        (Process::CpuSeconds, cpu_seconds(&stat)),
        (Process::OpenFds, open_fds),
        (Process::MaxFds, soft_limit(&limits, "Max open files")),
        (Process::VirtualMemory, kilobytes(&status, "VmSize:")),
        (Process::VirtualMemoryMax, soft_limit(&limits, "Max address space")),
        (Process::ResidentMemory, kilobytes(&status, "VmRSS:")),
        (Process::StartTime, start_time(&stat, boot)),
    ] {
        if let Some(value) = value {
            sheet.put(family as usize, &[], value);
        }
    }
    sheet.into_families()
}

/// A field of `/proc/self/stat`, counted from 1 as in the manual. The second, the program's name, may hold spaces and
/// brackets, so counting begins after its last bracket.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / TICKS_PER_SECOND)
}

fn start_time(stat: &str, boot: Option<f64>) -> Option<f64> {
    Some(boot? + stat_field(stat, 22)? / TICKS_PER_SECOND)
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// A line of `/proc/self/status` such as `VmRSS:     6404 kB`, in bytes.
fn kilobytes(status: &str, key: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

/// The soft limit of `/proc/self/limits`; without one, the largest number, as other clients say it.
fn soft_limit(limits: &str, name: &str) -> Option<f64> {
    let value = limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?;
    if value == "unlimited" { Some(u64::MAX as f64) } else { value.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 3 0 1500 1000 10 18446744073709551615";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(start_time(stat, boot_time("cpu 1 2\nbtime 1700000000\n")), Some(1_700_000_015.0));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn limits_and_memory_are_read_in_base_units() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n\
                      Max address space         unlimited            unlimited            bytes     \n";
        assert_eq!(soft_limit(limits, "Max open files"), Some(1024.0));
        assert_eq!(soft_limit(limits, "Max address space"), Some(18_446_744_073_709_551_615.0));
        assert_eq!(soft_limit(limits, "Max cpu time"), None);
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t    6404 kB\n", "VmRSS:"), Some(6_557_696.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn all_seven_are_there_on_linux() {
        let families: Vec<_> = families().collect();
        let names: Vec<&str> = families.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, PROCESS.iter().map(|family| family.name).collect::<Vec<_>>());
        for (name, text) in &families {
            let value = text.rsplit_once(' ').map(|(_, value)| value.trim_end());
            assert!(
                value.and_then(|value| value.parse::<f64>().ok()).is_some_and(|value| value >= 0.0),
                "{name}: {text}"
            );
        }
    }
}
