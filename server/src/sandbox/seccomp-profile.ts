import { filterRules } from './seccomp.ts'

// The same filter as `seccompFilter`, in the JSON that container engines take. They know calls by name, so what is let
// through has to be named: the calls of Linux up to `mseal`, without those that the filter denies or looks into.
// https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp

const allowed = `
  accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown clock_getres
  clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3
  epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve
  execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat
  fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
  fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat get_mempolicy
  get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups
  getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid
  getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents
  io_pgetevents io_setup io_submit ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset
  landlock_restrict_self lchown lgetxattr link linkat listen listmount listxattr llistxattr lremovexattr
  lseek lsetxattr lsm_get_self_attr lsm_list_modules lsm_set_self_attr lstat madvise map_shadow_stack
  mbind membarrier memfd_create memfd_secret migrate_pages mincore mkdir mkdirat mknod mknodat mlock
  mlock2 mlockall mmap move_pages mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend
  mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep
  newfstatat open openat openat2 pause personality pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc
  pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6
  pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg
  remap_file_pages removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction
  rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
  sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
  sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop sendfile sendmmsg sendmsg
  sendto set_mempolicy set_mempolicy_home_node set_robust_list set_thread_area set_tid_address setfsgid
  setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid
  setrlimit setsid setsockopt setuid setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd
  signalfd4 socketpair splice stat statfs statmount statx symlink symlinkat sync sync_file_range syncfs
  sysfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime
  timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat ustat
  utime utimensat utimes vfork vmsplice wait4 waitid write writev
`

type Condition = { index: number; value: number; valueTwo?: number; op: string }
type Rule = { names: string[]; action: string; errnoRet?: number; args?: Condition[] }
export type SeccompProfile = {
  defaultAction: string
  defaultErrnoRet: number
  architectures: string[]
  syscalls: Rule[]
}

const wholeWord = 0xffff_ffff

const masked = (index: number, mask: number, value: number): Condition => ({
  index,
  value: mask,
  valueTwo: value,
  op: 'SCMP_CMP_MASKED_EQ',
})
const letThrough = (names: string[], args?: Condition[]): Rule => ({
  names,
  action: 'SCMP_ACT_ALLOW',
  ...(args ? { args } : {}),
})
const refuse = (names: string[], errnoRet: number, args?: Condition[]): Rule => ({
  names,
  action: 'SCMP_ACT_ERRNO',
  errnoRet,
  ...(args ? { args } : {}),
})

/** A call that no rule names, because it is newer or has conditions that do not hold, does not exist. */
export function seccompProfile(architecture: string): SeccompProfile | undefined {
  const own = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' }[architecture]
  if (own === undefined) return undefined
  const { forbidden, absent, errno } = filterRules
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: errno.ENOSYS,
    architectures: [own],
    syscalls: [
      letThrough(allowed.trim().split(/\s+/)),
      refuse(forbidden, errno.EPERM),
      refuse(absent, errno.ENOSYS),
      ...processRules(),
      ...terminalRules(),
      ...socketRules(),
    ],
  }
}

function processRules(): Rule[] {
  const { newNamespaceFlags, errno } = filterRules
  const bits = Array.from({ length: 32 }, (_, bit) => 2 ** bit).filter(
    (flag) => (newNamespaceFlags & flag) !== 0,
  )
  return [
    letThrough(['clone'], [masked(0, newNamespaceFlags, 0)]),
    ...bits.map((flag) => refuse(['clone'], errno.EPERM, [masked(0, flag, flag)])),
  ]
}

/**
 * The kernel looks at the lower half of a request, so a comparison of the whole register could be passed by. What differs
 * from every refused request in the lower half is spelled out, one prefix of bits at a time.
 */
function terminalRules(): Rule[] {
  const { terminalRequests, errno } = filterRules
  const prefixes = new Map<string, Condition>()
  for (const request of terminalRequests) {
    for (let bit = 31; bit >= 0; bit--) {
      const mask = (wholeWord << bit) >>> 0
      const value = ((request ^ (2 ** bit)) & mask) >>> 0
      if (terminalRequests.some((other) => (other & mask) >>> 0 === value)) continue
      prefixes.set(`${mask}:${value}`, masked(1, mask, value))
    }
  }
  return [
    ...[...prefixes.values()].map((condition) => letThrough(['ioctl'], [condition])),
    ...terminalRequests.map((request) => refuse(['ioctl'], errno.EPERM, [masked(1, wholeWord, request)])),
  ]
}

/** Whole registers are compared: a family or protocol with a high half is refused, though the kernel would not see that half. */
function socketRules(): Rule[] {
  const { socketFamilies, lastProtocol, errno } = filterRules
  const last = Math.max(...socketFamilies)
  const others = Array.from({ length: last }, (_, family) => family).filter(
    (family) => !socketFamilies.includes(family),
  )
  const family = (value: number, op = 'SCMP_CMP_EQ'): Condition => ({ index: 0, value, op })
  const protocol = (op: string): Condition => ({ index: 2, value: lastProtocol, op })
  return [
    ...socketFamilies.flatMap((value) => [
      letThrough(['socket'], [family(value), protocol('SCMP_CMP_LE')]),
      refuse(['socket'], errno.EPROTONOSUPPORT, [family(value), protocol('SCMP_CMP_GT')]),
    ]),
    ...others.map((value) => refuse(['socket'], errno.EAFNOSUPPORT, [family(value)])),
    refuse(['socket'], errno.EAFNOSUPPORT, [family(last, 'SCMP_CMP_GT')]),
  ]
}
