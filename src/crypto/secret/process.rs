//! What keeps secrets inside the process: no core image, no tracing by others, and a look at the swap space.
#![allow(unsafe_code, reason = "setrlimit and prctl have no safe interface in std")]

use std::{fs, io};

use crate::CryptoError;

/// Forbids core images and makes the process undumpable, so that no other process of the same user may trace it or read its memory.
///
/// `allow_core` leaves both as they are. It is a switch for tests that search a core image, never for production.
///
/// # Errors
/// [`CryptoError::Harden`] when the kernel refuses.
pub fn harden_process(allow_core: bool) -> Result<(), CryptoError> {
    if allow_core {
        return Ok(());
    }
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live `rlimit`.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) } != 0 {
        return Err(CryptoError::Harden { what: "RLIMIT_CORE", source: io::Error::last_os_error() });
    }
    let undumpable: libc::c_ulong = 0;
    // SAFETY: PR_SET_DUMPABLE takes one integer and no pointer.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, undumpable) } != 0 {
        return Err(CryptoError::Harden { what: "PR_SET_DUMPABLE", source: io::Error::last_os_error() });
    }
    Ok(())
}

/// Whether the machine may write memory to a swap device. Locked memory is never swapped, but plaintexts in flight and
/// asymmetric keys are not locked. When the kernel does not tell, the answer is yes.
pub fn swap_is_on() -> bool {
    match fs::read_to_string("/proc/swaps") {
        Ok(table) => lists_a_device(&table),
        // A kernel built without swap has no such file.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The first line is a heading, each further line a device or file.
fn lists_a_device(table: &str) -> bool {
    table.lines().skip(1).any(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const CHILD: &str = "CLAVIGER_TEST_HARDEN_CHILD";

    fn dumpable() -> bool {
        // SAFETY: PR_GET_DUMPABLE takes no pointer.
        (unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }) != 0
    }

    fn core_limit() -> String {
        fs::read_to_string("/proc/self/limits").unwrap().lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned()
    }

    /// Hardening cannot be taken back, so it happens in a process of its own: this test binary, running this test alone.
    #[test]
    fn hardening_forbids_core_images_unless_told_otherwise() {
        if std::env::var_os(CHILD).is_some() {
            let before = core_limit();
            harden_process(true).unwrap();
            assert!(dumpable(), "the test switch must change nothing");
            assert_eq!(core_limit(), before);
            harden_process(false).unwrap();
            assert!(!dumpable());
            assert_eq!(core_limit().split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
            return;
        }
        let name = "secret::process::tests::hardening_forbids_core_images_unless_told_otherwise";
        let child = Command::new(std::env::current_exe().unwrap()).args(["--exact", name]).env(CHILD, "1").output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
    }

    #[test]
    fn a_swap_table_is_read() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(!lists_a_device(heading));
        assert!(lists_a_device(&format!("{heading}/dev/sda2 partition 1 0 -2\n")));
        assert!(!lists_a_device(""));
    }
}
