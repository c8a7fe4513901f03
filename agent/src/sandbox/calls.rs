//! System calls: what the kernel lets the process and its programs call, by seccomp.
//!
//! An agent that starts no programs has a list of the calls that it makes. A call that is not in it fails with ENOSYS, as
//! on an older kernel: C libraries then take the older call in its place, and a call that was forgotten here costs one
//! thing that the agent does, where a signal would end a camera's agent again and again. What takes over the machine
//! or another process fails with EPERM. Where programs are configured, these alone are refused, as nobody here knows
//! what a vendor's encoder calls.

use linux_raw_sys::general as nr;
use linux_raw_sys::ptrace;
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use seccompiler::{apply_filter, sock_filter};

use super::numbers;
use super::rights::Rights;

/// The word by which the kernel names the processor; `None` where there is no list of its calls.
const PROCESSOR: Option<u32> = match () {
    () if cfg!(all(target_arch = "arm", target_endian = "little")) => Some(ptrace::AUDIT_ARCH_ARM),
    () if cfg!(all(target_arch = "aarch64", target_endian = "little")) => {
        Some(ptrace::AUDIT_ARCH_AARCH64)
    }
    () if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) => {
        Some(ptrace::AUDIT_ARCH_X86_64)
    }
    () => None,
};

/// Instructions of the kernel's filter language: load a word, mask it, jump if equal, return.
const LOAD: u16 = 0x20;
const MASK: u16 = 0x54;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Verdicts: go on, or fail with an error.
const ALLOW: u32 = 0x7fff_0000;
const FAIL: u32 = 0x0005_0000;
/// Where the number of a call, its processor and its arguments stand; an argument has eight bytes, of which the lower
/// four are looked at.
const NUMBER: u32 = 0;
const MACHINE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Flags of clone that make a namespace.
const NAMESPACES: u32 = nr::CLONE_NEWNS
    | nr::CLONE_NEWCGROUP
    | nr::CLONE_NEWUTS
    | nr::CLONE_NEWIPC
    | nr::CLONE_NEWUSER
    | nr::CLONE_NEWPID
    | nr::CLONE_NEWNET;
/// Families of sockets: local, IPv4, IPv6, and the kernel's own (netlink), by which interfaces are listed.
const FAMILIES: [u32; 4] = [1, 2, 10, 16];
const MAP: u32 = {
    #[cfg(target_pointer_width = "64")]
    let number = nr::__NR_mmap;
    #[cfg(not(target_pointer_width = "64"))]
    let number = nr::__NR_mmap2;
    number
};

/// A call that depends on one of its arguments: allowed where the masked argument is one of the values.
struct Checked {
    number: u32,
    argument: u32,
    mask: u32,
    values: &'static [u32],
    fails: Errno,
}

/// Has the kernel refuse every call beyond the rights, of this thread and of all that it starts. Returns false where it
/// cannot.
pub(super) fn confine(rights: &Rights) -> bool {
    let Some(processor) = PROCESSOR else { return false };
    let applied = apply_filter(&filter(processor, rights));
    if let Err(e) = &applied {
        log::debug!("sandbox: seccomp: {e}");
    }
    applied.is_ok()
}

/// The filter for these rights.
fn filter(processor: u32, rights: &Rights) -> Vec<sock_filter> {
    let starts = !rights.run.is_empty();
    let clock = rights.capabilities.contains(CapabilitySet::SYS_TIME);
    let restarts = rights.capabilities.contains(CapabilitySet::SYS_BOOT);
    // A call of another processor's kind, such as a 32-bit one, has numbers of its own.
    let mut filter =
        vec![load(MACHINE), jump(processor, 1, 0), give(fail(Errno::NOSYS)), load(NUMBER)];
    let mut verdict = |number, verdict| filter.extend([jump(number, 0, 1), give(verdict)]);
    if !starts {
        numbers::made().for_each(|number| verdict(number, ALLOW));
        numbers::granted(clock, restarts).for_each(|number| verdict(number, ALLOW));
    }
    // Its arguments are in memory, where no filter looks. C libraries take clone then.
    verdict(nr::__NR_clone3, fail(Errno::NOSYS));
    for number in numbers::refused(starts, clock, restarts) {
        verdict(number, fail(Errno::PERM));
    }
    checked(starts).into_iter().for_each(|call| check(&mut filter, &call));
    filter.push(give(if starts { ALLOW } else { fail(Errno::NOSYS) }));
    filter
}

/// Calls that depend on an argument, for an agent that starts programs or does not.
fn checked(starts: bool) -> Vec<Checked> {
    let call =
        |number, argument, mask, values, fails| Checked { number, argument, mask, values, fails };
    let socket = call(nr::__NR_socket, 0, !0, &FAMILIES, Errno::AFNOSUPPORT);
    if starts {
        return vec![socket, call(nr::__NR_clone, 0, NAMESPACES, &[0], Errno::PERM)];
    }
    const THREAD: u32 = nr::CLONE_THREAD;
    const WRITE: u32 = nr::PROT_WRITE;
    const RUN: u32 = nr::PROT_EXEC;
    vec![
        socket,
        call(nr::__NR_clone, 0, THREAD | NAMESPACES, &[THREAD], Errno::PERM),
        // Nothing that was written is run.
        call(MAP, 2, WRITE | RUN, &[0, WRITE, RUN], Errno::PERM),
        call(nr::__NR_mprotect, 2, RUN, &[0], Errno::PERM),
    ]
}

fn check(filter: &mut Vec<sock_filter>, call: &Checked) {
    let low = if cfg!(target_endian = "little") { 0 } else { 4 };
    let mut block = vec![
        load(ARGUMENTS + 8 * call.argument + low),
        sock_filter { code: MASK, jt: 0, jf: 0, k: call.mask },
    ];
    call.values.iter().for_each(|value| block.extend([jump(*value, 0, 1), give(ALLOW)]));
    block.push(give(fail(call.fails)));
    // A block has four values at most.
    filter.push(jump(call.number, 0, block.len() as u8));
    filter.append(&mut block);
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: LOAD, jt: 0, jf: 0, k: offset }
}

/// Skips instructions: `same` where the word loaded is `value`, else `other`.
fn jump(value: u32, same: u8, other: u8) -> sock_filter {
    sock_filter { code: EQUAL, jt: same, jf: other, k: value }
}

fn give(verdict: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: verdict }
}

fn fail(error: Errno) -> u32 {
    FAIL | error.raw_os_error().cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::sandbox::rights::Named;

    /// The verdict of the filter on a call, as the kernel would find it.
    fn verdict(filter: &[sock_filter], machine: u32, number: u32, arguments: [u32; 3]) -> u32 {
        let (mut at, mut word) = (0, 0);
        for _ in 0..=filter.len() {
            let sock_filter { code, jt, jf, k } = filter[at];
            at += 1;
            match code {
                LOAD => {
                    word = match k {
                        NUMBER => number,
                        MACHINE => machine,
                        argument => arguments[(argument - ARGUMENTS) as usize / 8],
                    }
                }
                MASK => word &= k,
                EQUAL => at += usize::from(if word == k { jt } else { jf }),
                RETURN => return k,
                _ => panic!("no such instruction: {code}"),
            }
        }
        panic!("it does not end")
    }

    fn rights(more: &str) -> Rights {
        let text = format!(
            "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'pq7x'\n[[channel]]\n{more}"
        );
        Rights::of(&text.parse::<Config>().unwrap(), &Named::default())
    }

    #[test]
    fn an_agent_makes_its_own_calls_and_no_others() {
        let Some(machine) = PROCESSOR else { return };
        let alone = filter(machine, &rights("backend = 'emulator'\n"));
        let board = filter(machine, &rights("backend = ['emulator', 'linux']\n"));
        let starts = filter(machine, &rights("backend = 'emulator'\ncommand = ['x']\n"));
        assert!(alone.len() < 1024, "a filter has 4096 instructions at most: {}", alone.len());
        let (none, no) = (fail(Errno::NOSYS), fail(Errno::PERM));
        let thread = nr::CLONE_VM | nr::CLONE_THREAD;
        let (rw, rx) = (nr::PROT_READ | nr::PROT_WRITE, nr::PROT_READ | nr::PROT_EXEC);
        for (number, arguments, wanted) in [
            (nr::__NR_read, [0; 3], [ALLOW, ALLOW, ALLOW]),
            (nr::__NR_waitid, [0; 3], [ALLOW, ALLOW, ALLOW]),
            (nr::__NR_execve, [0; 3], [no, no, ALLOW]),
            (nr::__NR_ptrace, [0; 3], [no, no, no]),
            (nr::__NR_mount, [0; 3], [no, no, no]),
            (nr::__NR_bpf, [0; 3], [no, no, no]),
            (nr::__NR_kexec_load, [0; 3], [no, no, no]),
            (nr::__NR_reboot, [0; 3], [no, no, no]),
            (nr::__NR_setuid, [0; 3], [no, no, ALLOW]),
            (nr::__NR_clock_settime, [0; 3], [no, ALLOW, no]),
            (nr::__NR_clone3, [0; 3], [none, none, none]),
            (nr::__NR_clone, [thread, 0, 0], [ALLOW, ALLOW, ALLOW]),
            (nr::__NR_clone, [17, 0, 0], [no, no, ALLOW]),
            (nr::__NR_clone, [nr::CLONE_NEWUSER, 0, 0], [no, no, no]),
            (nr::__NR_clone, [thread | nr::CLONE_NEWNET, 0, 0], [no, no, no]),
            (nr::__NR_socket, [2, 0, 0], [ALLOW, ALLOW, ALLOW]),
            // Packets as they are on the wire.
            (nr::__NR_socket, [17, 0, 0], [fail(Errno::AFNOSUPPORT); 3]),
            (MAP, [0, 0, rw], [ALLOW, ALLOW, ALLOW]),
            (MAP, [0, 0, rx], [ALLOW, ALLOW, ALLOW]),
            (MAP, [0, 0, rw | rx], [no, no, ALLOW]),
            (nr::__NR_mprotect, [0, 0, rx], [no, no, ALLOW]),
            (nr::__NR_mprotect, [0, 0, rw], [ALLOW, ALLOW, ALLOW]),
            // A call that is newer than this program.
            (9999, [0; 3], [none, none, ALLOW]),
        ] {
            let found = [&alone, &board, &starts].map(|f| verdict(f, machine, number, arguments));
            assert_eq!(found, wanted, "call {number} {arguments:?}");
        }
        let foreign = machine ^ 1;
        assert_eq!(verdict(&starts, foreign, nr::__NR_read, [0; 3]), none);
    }

    #[test]
    fn no_call_is_both_allowed_and_refused() {
        let refused: Vec<_> = numbers::refused(false, false, false).collect();
        for number in numbers::made() {
            assert!(!refused.contains(&number), "call {number}");
            let checked = checked(false).iter().any(|call| call.number == number);
            assert!(!checked, "call {number} depends on its arguments");
        }
    }
}
