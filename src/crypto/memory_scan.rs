//! For tests: this process's own memory, as a core image would hold it. The barrier's tests use this file too.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::thread;

/// One mapping of `/proc/self/smaps`.
pub(crate) struct Mapping {
    pub(crate) start: u64,
    end: u64,
    pub(crate) name: String,
    readable: bool,
    flags: Vec<String>,
}

impl Mapping {
    /// Whether the kernel shows this two-letter flag in `VmFlags`: `lo` locked, `dd` not dumped, `dc` not copied on fork.
    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }

    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}

pub(crate) fn mappings() -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-') {
            let readable = words.next().unwrap().starts_with('r');
            let address = |text| u64::from_str_radix(text, 16).unwrap();
            let name = words.nth(3).unwrap_or_default().to_owned();
            mappings.push(Mapping { start: address(start), end: address(end), name, readable, flags: Vec::new() });
        } else if first == "VmFlags:" {
            mappings.last_mut().unwrap().flags = words.map(str::to_owned).collect();
        }
    }
    mappings
}

pub(crate) fn mapping_of(address: u64) -> Mapping {
    mappings().into_iter().find(|mapping| mapping.contains(address)).unwrap()
}

pub(crate) fn read_32(address: u64) -> [u8; 32] {
    try_read_32(address).unwrap()
}

/// Nothing when nothing is mapped there.
pub(crate) fn try_read_32(address: u64) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, address).ok().map(|()| bytes)
}

/// How many bytes from `address` on are zero.
pub(crate) fn zeros_from(address: u64) -> u64 {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut page = vec![0; 4096];
    let mut zeros = 0;
    loop {
        memory.read_exact_at(&mut page, address + zeros).unwrap();
        match page.iter().position(|&byte| byte != 0) {
            Some(position) => return zeros + position as u64,
            None => zeros += page.len() as u64,
        }
    }
}

/// Runs `work` on a thread that then stays as it is, with its stack and all, and says what of `secrets` a core image would show.
pub(crate) fn residue_of(secrets: &[&[u8; 32]], work: impl FnOnce() + Send) -> Vec<String> {
    let (worked, wait_for_work) = mpsc::channel();
    let (release, wait_for_release) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            work();
            worked.send(()).unwrap();
            let _ = wait_for_release.recv();
        });
        // When the work panicked, joining says so.
        let found = if wait_for_work.recv().is_ok() { find_copies(secrets) } else { Vec::new() };
        drop(release);
        worker.join().unwrap();
        found
    })
}

/// Where, outside memory that no core image holds, half of one of `secrets` (either half) lies: as it is, XORed as HMAC
/// pads a key, or with the bytes of each 32-bit word reversed as SHA-256 loads them.
pub(crate) fn find_copies(secrets: &[&[u8; 32]]) -> Vec<String> {
    // How byte i of a window must look. The needles are never written out: they would be found.
    const FORMS: [fn(&[u8], usize) -> u8; 4] =
        [|half, i| half[i], |half, i| half[i] ^ 0x36, |half, i| half[i] ^ 0x5c, |half, i| half[i ^ 3]];
    const HALF: usize = 16;
    let halves: Vec<&[u8]> = secrets.iter().flat_map(|secret| secret.chunks_exact(HALF)).collect();
    let mut by_first_byte = vec![Vec::new(); 256];
    for (half, bytes) in halves.iter().enumerate() {
        for (form, byte) in FORMS.iter().enumerate() {
            by_first_byte[usize::from(byte(bytes, 0))].push((half, form));
        }
    }
    let memory = File::open("/proc/self/mem").unwrap();
    let mut window = vec![0; 1 << 20];
    let mut found = Vec::new();
    for mapping in mappings().iter().filter(|mapping| mapping.readable && !mapping.has_flag("dd")) {
        let mut at = mapping.start;
        while at < mapping.end {
            let wanted = usize::try_from(mapping.end - at).unwrap().min(window.len());
            // The kernel's own pages ([vvar]) and pages that another thread unmapped meanwhile cannot be read.
            let Ok(got @ 1..) = memory.read_at(&mut window[..wanted], at) else { break };
            for (offset, candidate) in window[..got].windows(HALF).enumerate() {
                for &(half, form) in &by_first_byte[usize::from(candidate[0])] {
                    if (1..HALF).all(|i| candidate[i] == FORMS[form](halves[half], i)) {
                        found.push(format!("half {half} in form {form} at {:#x} in {:?}", at + offset as u64, mapping.name));
                    }
                }
            }
            // Windows overlap, so that nothing hides on a border.
            let step = if at + got as u64 == mapping.end || got < HALF { got } else { got - (HALF - 1) };
            at += step as u64;
        }
    }
    found
}
