//! Numbers of system calls: what the agent makes, by the libraries that it is built from, and what nobody shall make.
//!
//! What the agent makes was taken from a trace of every case of `tests/interop`, and completed by what the C libraries
//! make in their place on other processors and with other kernels.

use linux_raw_sys::general as nr;

/// The calls of which many are made in a second; they are looked at first.
const BUSY: &[u32] = &[
    nr::__NR_epoll_pwait,
    nr::__NR_recvfrom,
    nr::__NR_recvmsg,
    nr::__NR_sendto,
    nr::__NR_sendmsg,
    nr::__NR_writev,
    nr::__NR_read,
    nr::__NR_write,
    nr::__NR_futex,
    nr::__NR_clock_gettime,
    nr::__NR_sendmmsg,
    nr::__NR_epoll_ctl,
    nr::__NR_timerfd_settime,
    #[cfg(any(target_arch = "arm", target_arch = "x86_64"))]
    nr::__NR_epoll_wait,
    #[cfg(target_arch = "arm")]
    nr::__NR_send,
    #[cfg(target_arch = "arm")]
    nr::__NR_recv,
    #[cfg(target_arch = "arm")]
    nr::__NR_clock_gettime64,
    #[cfg(target_arch = "arm")]
    nr::__NR_futex_time64,
];

/// The other calls on every processor.
const USUAL: &[u32] = &[
    nr::__NR_accept,
    nr::__NR_accept4,
    nr::__NR_bind,
    nr::__NR_brk,
    nr::__NR_chdir,
    nr::__NR_clock_getres,
    nr::__NR_clock_nanosleep,
    nr::__NR_close,
    nr::__NR_close_range,
    nr::__NR_connect,
    nr::__NR_copy_file_range,
    nr::__NR_dup,
    nr::__NR_dup3,
    nr::__NR_epoll_create1,
    nr::__NR_eventfd2,
    nr::__NR_exit,
    nr::__NR_exit_group,
    nr::__NR_faccessat,
    nr::__NR_faccessat2,
    nr::__NR_fallocate,
    nr::__NR_fchmod,
    nr::__NR_fchmodat,
    nr::__NR_fchown,
    nr::__NR_fchownat,
    nr::__NR_fcntl,
    nr::__NR_fdatasync,
    nr::__NR_flock,
    nr::__NR_fstatfs,
    nr::__NR_fsync,
    nr::__NR_ftruncate,
    nr::__NR_getcwd,
    nr::__NR_getdents64,
    nr::__NR_getegid,
    nr::__NR_geteuid,
    nr::__NR_getgid,
    nr::__NR_getgroups,
    nr::__NR_getpeername,
    nr::__NR_getpgid,
    nr::__NR_getpid,
    nr::__NR_getppid,
    nr::__NR_getrandom,
    nr::__NR_getresgid,
    nr::__NR_getresuid,
    nr::__NR_getrusage,
    nr::__NR_getsid,
    nr::__NR_getsockname,
    nr::__NR_getsockopt,
    nr::__NR_gettid,
    nr::__NR_gettimeofday,
    nr::__NR_getuid,
    nr::__NR_ioctl,
    nr::__NR_kill,
    nr::__NR_linkat,
    nr::__NR_listen,
    nr::__NR_lseek,
    nr::__NR_madvise,
    nr::__NR_membarrier,
    nr::__NR_mkdirat,
    nr::__NR_mremap,
    nr::__NR_msync,
    nr::__NR_munmap,
    nr::__NR_nanosleep,
    nr::__NR_openat,
    nr::__NR_openat2,
    nr::__NR_pidfd_open,
    nr::__NR_pidfd_send_signal,
    nr::__NR_pipe2,
    nr::__NR_ppoll,
    nr::__NR_prctl,
    nr::__NR_pread64,
    nr::__NR_preadv,
    nr::__NR_prlimit64,
    nr::__NR_pselect6,
    nr::__NR_pwrite64,
    nr::__NR_pwritev,
    nr::__NR_readahead,
    nr::__NR_readlinkat,
    nr::__NR_readv,
    nr::__NR_recvmmsg,
    nr::__NR_renameat,
    nr::__NR_renameat2,
    nr::__NR_restart_syscall,
    nr::__NR_rseq,
    nr::__NR_rt_sigaction,
    nr::__NR_rt_sigpending,
    nr::__NR_rt_sigprocmask,
    nr::__NR_rt_sigreturn,
    nr::__NR_rt_sigsuspend,
    nr::__NR_rt_sigtimedwait,
    nr::__NR_sched_getaffinity,
    nr::__NR_sched_yield,
    nr::__NR_sendfile,
    nr::__NR_set_robust_list,
    nr::__NR_set_tid_address,
    nr::__NR_setsockopt,
    nr::__NR_shutdown,
    nr::__NR_sigaltstack,
    nr::__NR_socketpair,
    nr::__NR_splice,
    nr::__NR_statfs,
    nr::__NR_statx,
    nr::__NR_symlinkat,
    nr::__NR_sync,
    nr::__NR_syncfs,
    nr::__NR_sysinfo,
    nr::__NR_tgkill,
    nr::__NR_timerfd_create,
    nr::__NR_timerfd_gettime,
    nr::__NR_tkill,
    nr::__NR_truncate,
    nr::__NR_umask,
    nr::__NR_uname,
    nr::__NR_unlinkat,
    nr::__NR_utimensat,
    nr::__NR_wait4,
    nr::__NR_waitid,
];

/// Calls of processors with 64 bits.
#[cfg(target_pointer_width = "64")]
const WIDE: &[u32] =
    &[nr::__NR_fadvise64, nr::__NR_fstat, nr::__NR_newfstatat, nr::__NR_sync_file_range];
#[cfg(not(target_pointer_width = "64"))]
const WIDE: &[u32] = &[];

/// Older calls that newer processors lack.
#[cfg(any(target_arch = "arm", target_arch = "x86_64"))]
const OLD: &[u32] = &[
    nr::__NR_access,
    nr::__NR_chmod,
    nr::__NR_chown,
    nr::__NR_dup2,
    nr::__NR_epoll_create,
    nr::__NR_eventfd,
    nr::__NR_getpgrp,
    nr::__NR_lchown,
    nr::__NR_link,
    nr::__NR_lstat,
    nr::__NR_mkdir,
    nr::__NR_open,
    nr::__NR_pipe,
    nr::__NR_poll,
    nr::__NR_readlink,
    nr::__NR_rename,
    nr::__NR_rmdir,
    nr::__NR_stat,
    nr::__NR_symlink,
    nr::__NR_unlink,
];
#[cfg(not(any(target_arch = "arm", target_arch = "x86_64")))]
const OLD: &[u32] = &[];

/// Calls of one processor.
#[cfg(target_arch = "x86_64")]
const OWN: &[u32] = &[nr::__NR_arch_prctl, nr::__NR_getrlimit, nr::__NR_select, nr::__NR_time];
#[cfg(target_arch = "arm")]
const OWN: &[u32] = &[
    // Those of the processor itself: the cache after code was written, and the place of a thread's own variables.
    0x0f_0002,
    0x0f_0005,
    nr::__NR_arm_fadvise64_64,
    nr::__NR__llseek,
    nr::__NR__newselect,
    nr::__NR_arm_sync_file_range,
    nr::__NR_chown32,
    nr::__NR_clock_getres_time64,
    nr::__NR_clock_nanosleep_time64,
    nr::__NR_fchown32,
    nr::__NR_fcntl64,
    nr::__NR_fstat,
    nr::__NR_fstat64,
    nr::__NR_fstatat64,
    nr::__NR_fstatfs64,
    nr::__NR_ftruncate64,
    nr::__NR_getegid32,
    nr::__NR_geteuid32,
    nr::__NR_getgid32,
    nr::__NR_getgroups32,
    nr::__NR_getresgid32,
    nr::__NR_getresuid32,
    nr::__NR_getuid32,
    nr::__NR_lchown32,
    nr::__NR_lstat64,
    nr::__NR_ppoll_time64,
    nr::__NR_pselect6_time64,
    nr::__NR_recvmmsg_time64,
    nr::__NR_rt_sigtimedwait_time64,
    nr::__NR_sendfile64,
    nr::__NR_sigreturn,
    nr::__NR_stat64,
    nr::__NR_statfs64,
    nr::__NR_timerfd_gettime64,
    nr::__NR_timerfd_settime64,
    nr::__NR_truncate64,
    nr::__NR_ugetrlimit,
    nr::__NR_utimensat_time64,
];
#[cfg(not(any(target_arch = "arm", target_arch = "x86_64")))]
const OWN: &[u32] = &[nr::__NR_getrlimit];

/// Calls that take the machine or another process over. They fail for programs that the agent starts as well.
const DANGEROUS: &[u32] = &[
    nr::__NR_acct,
    nr::__NR_add_key,
    nr::__NR_bpf,
    nr::__NR_chroot,
    nr::__NR_delete_module,
    nr::__NR_finit_module,
    nr::__NR_fsconfig,
    nr::__NR_fsmount,
    nr::__NR_fsopen,
    nr::__NR_fspick,
    nr::__NR_init_module,
    nr::__NR_io_uring_enter,
    nr::__NR_io_uring_register,
    nr::__NR_io_uring_setup,
    nr::__NR_kcmp,
    nr::__NR_kexec_load,
    nr::__NR_keyctl,
    nr::__NR_mknodat,
    nr::__NR_mount,
    nr::__NR_mount_setattr,
    nr::__NR_move_mount,
    nr::__NR_name_to_handle_at,
    nr::__NR_open_by_handle_at,
    nr::__NR_open_tree,
    nr::__NR_perf_event_open,
    nr::__NR_personality,
    nr::__NR_pidfd_getfd,
    nr::__NR_pivot_root,
    nr::__NR_process_vm_readv,
    nr::__NR_process_vm_writev,
    nr::__NR_ptrace,
    nr::__NR_quotactl,
    nr::__NR_request_key,
    nr::__NR_setdomainname,
    nr::__NR_sethostname,
    nr::__NR_setns,
    nr::__NR_swapoff,
    nr::__NR_swapon,
    nr::__NR_syslog,
    nr::__NR_umount2,
    nr::__NR_unshare,
    nr::__NR_userfaultfd,
    nr::__NR_vhangup,
];

/// Calls that start programs, or a process that is none of the agent's threads.
const STARTS: &[u32] = &[
    nr::__NR_execve,
    nr::__NR_execveat,
    #[cfg(any(target_arch = "arm", target_arch = "x86_64"))]
    nr::__NR_fork,
    #[cfg(any(target_arch = "arm", target_arch = "x86_64"))]
    nr::__NR_vfork,
];

/// Calls that change whom the process belongs to.
const BECOMES: &[u32] = &[
    nr::__NR_capset,
    nr::__NR_setfsgid,
    nr::__NR_setfsuid,
    nr::__NR_setgid,
    nr::__NR_setgroups,
    nr::__NR_setregid,
    nr::__NR_setresgid,
    nr::__NR_setresuid,
    nr::__NR_setreuid,
    nr::__NR_setuid,
];

/// Calls that set the clock.
const CLOCK: &[u32] = &[
    nr::__NR_adjtimex,
    nr::__NR_clock_adjtime,
    nr::__NR_clock_settime,
    nr::__NR_settimeofday,
    #[cfg(target_arch = "arm")]
    nr::__NR_clock_settime64,
    #[cfg(target_arch = "arm")]
    nr::__NR_clock_adjtime64,
];

/// The calls that an agent makes which starts no programs, the busy ones first.
pub(super) fn made() -> impl Iterator<Item = u32> {
    [BUSY, USUAL, WIDE, OLD, OWN].into_iter().flatten().copied()
}

/// Calls that nobody shall make, by what the process has a right to.
pub(super) fn refused(starts: bool, clock: bool, restarts: bool) -> impl Iterator<Item = u32> {
    let lists = [
        (DANGEROUS, true),
        (STARTS, !starts),
        (BECOMES, !starts),
        (CLOCK, !clock),
        (&[nr::__NR_reboot], !restarts),
    ];
    lists.into_iter().filter(|(_, is_refused)| *is_refused).flat_map(|(list, _)| list).copied()
}

/// Calls that a right allows which is there for the configuration.
pub(super) fn granted(clock: bool, restarts: bool) -> impl Iterator<Item = u32> {
    let lists = [(CLOCK, clock), (&[nr::__NR_reboot], restarts)];
    lists.into_iter().filter(|(_, is_granted)| *is_granted).flat_map(|(list, _)| list).copied()
}
