//! What must hold before anything is loaded, so that the operator reads what is missing and not an error number.

use std::fs;

use aya::programs::ProgramType;
use nix::sys::utsname::uname;

use super::Error;

/// The oldest kernel this program is made for: `bpf_ktime_get_coarse_ns` (5.11), atomics that return a value (5.12),
/// and long-term support since 5.15.
const MINIMUM_KERNEL: (u32, u32) = (5, 15);

// include/uapi/linux/capability.h.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Capabilities that are needed: a name and the bits of which one is enough.
const NEEDED: [(&str, &[u32]); 4] = [
    ("CAP_NET_ADMIN", &[CAP_NET_ADMIN]),
    // Gratuitous ARP, without which a takeover takes nothing over.
    ("CAP_NET_RAW", &[CAP_NET_RAW]),
    ("CAP_PERFMON", &[CAP_PERFMON, CAP_SYS_ADMIN]),
    ("CAP_BPF", &[CAP_BPF, CAP_SYS_ADMIN]),
];

/// Checks the privileges of this process.
///
/// # Errors
/// One line that names the missing ones.
pub(super) fn require_privileges() -> Result<(), Error> {
    privileges(&fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// Checks privileges, kernel version and BPF itself, and returns the kernel's version.
///
/// # Errors
/// One line that says what is missing.
pub(super) fn check() -> Result<(u32, u32), Error> {
    require_privileges()?;
    let release = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    let version = kernel(&release)?;
    support(&aya::sys::is_program_supported(ProgramType::Xdp).map_err(|error| error.to_string()))?;
    Ok(version)
}

/// Judges whether the kernel took a program made to try it, or what it said instead.
fn support(tried: &Result<bool, String>) -> Result<(), Error> {
    match tried {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Setup(
            "this kernel has no BPF or no XDP: it needs CONFIG_BPF_SYSCALL, CONFIG_BPF_JIT and CONFIG_NET"
                .into(),
        )),
        Err(error) => Err(Error::Setup(format!(
            "the kernel refuses BPF although the capabilities are there (locked down, or a container's seccomp filter): {error}"
        ))),
    }
}

/// Checks the effective capabilities in the text of `/proc/self/status`.
fn privileges(status: &str) -> Result<(), Error> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()) else {
        return Ok(());
    };
    let has = |bit: u32| effective & 1 << bit != 0;
    let missing: Vec<&str> = NEEDED
        .into_iter()
        .filter(|(_, bits)| !bits.iter().any(|&bit| has(bit)))
        .map(|(name, _)| name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Setup(format!(
        "not enough privilege, {} missing: run lbd as root or by its systemd unit",
        missing.join(", ")
    )))
}

/// Major and minor version of a kernel release such as `6.1.0-28-amd64`. One that cannot be read is taken for a new
/// one: the load will tell.
fn kernel(release: &str) -> Result<(u32, u32), Error> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else { return Ok((u32::MAX, 0)) };
    if (major, minor) >= MINIMUM_KERNEL {
        return Ok((major, minor));
    }
    let (least_major, least_minor) = MINIMUM_KERNEL;
    Err(Error::Setup(format!("kernel {release} is too old: {least_major}.{least_minor} or newer is needed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_four_capabilities_are_enough() {
        assert!(privileges("Name:\tlbd\nCapEff:\t000001ffffffffff\n").is_ok());
        assert!(privileges("CapEff:\t000000c000003000\n").is_ok());
        assert!(privileges("CapEff:\t0000000000203000\n").is_ok(), "CAP_SYS_ADMIN and the network");
        assert!(privileges("no such line").is_ok());
    }

    #[test]
    fn missing_capabilities_are_named() {
        for (effective, missing) in [
            ("0000004000002000", "CAP_NET_ADMIN, CAP_BPF"),
            ("000000c000001000", "CAP_NET_RAW"),
            ("0000000000000000", "CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_BPF"),
        ] {
            let error = privileges(&format!("CapEff:\t{effective}\n")).unwrap_err().to_string();
            let expected =
                format!("not enough privilege, {missing} missing: run lbd as root or by its systemd unit");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_kernel_without_bpf_and_one_that_forbids_it_are_told_apart() {
        assert!(support(&Ok(true)).is_ok());
        let without = support(&Ok(false)).unwrap_err().to_string();
        assert!(without.starts_with("this kernel has no BPF or no XDP: it needs CONFIG_"), "{without}");
        let locked = support(&Err("Operation not permitted".into())).unwrap_err().to_string();
        assert!(
            locked.starts_with("the kernel refuses BPF ") && locked.ends_with(": Operation not permitted")
        );
        assert!(!without.contains('\n') && !locked.contains('\n'));
    }

    #[test]
    fn kernels() {
        let readable =
            [("5.15.0", (5, 15)), ("6.1.0-28-amd64", (6, 1)), ("10.0-rc1", (10, 0)), ("new", (u32::MAX, 0))];
        for (release, version) in readable {
            assert_eq!(kernel(release).unwrap(), version);
        }
        let error = kernel("5.10.0-30-amd64").unwrap_err().to_string();
        assert_eq!(error, "kernel 5.10.0-30-amd64 is too old: 5.15 or newer is needed");
    }
}
