// Attacks from inside a sandbox. Each is a few words for a shell; it has got through when they end with 0.
import type { Guard } from './sandbox-without.ts'

export type SandboxAttack = {
  /** What it tries. */
  name: string
  script: string
  /** Without these it gets through; none where the machine itself would have to be changed for that. */
  guards: readonly Guard[]
  /** What stops it, where leaving it out cannot be tried. */
  stoppedBy?: string
  /** Not every machine has what is attacked: where it fails also without its guards, that is said. */
  dependsOnKernel?: true
}

/** Where the test puts things of the host for attacks to reach, in the environment of the command. */
export type Bait = {
  /** A file that every user of the host may read. */
  FILE: string
  /** A socket that every user may connect to, and one without a file. */
  SOCKET: string
  ABSTRACT: string
  /** A listener on the host's loopback. */
  PORT: string
  /** The key of a piece of the host's shared memory. */
  SHM: string
  /** A process of the host, with KEYWARD_BAIT in its environment. */
  HOST_PID: string
}

const isX64 = process.arch === 'x64'
const arm = (x64: number, arm64: number): number => (isX64 ? x64 : arm64)

/** One system call by its number; texts are Perl's, so `pack` makes structures. */
const call = (number: number, ...values: (number | string)[]): string =>
  `perl -e '$b = "\\0" x 4096; @a = (${[number, ...values].join(', ')}); exit(syscall(shift @a, @a) < 0)'`

const connects = (to: string): string =>
  `perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); exit !connect($s, pack_sockaddr_un(${to}))'`
const connectsTo = (host: string, port: string): string =>
  `perl -MSocket -e 'socket(my $s, AF_INET, SOCK_STREAM, 0); alarm 5; exit !connect($s, pack_sockaddr_in(${port}, inet_aton("${host}")))'`
const opens = (file: string): string => `true >> ${file}`
const socketOf = (family: number, type: number, protocol: number): string =>
  call(arm(41, 198), family, type, protocol)

const newUser = 0x1000_0000
const newMount = 0x2_0000

const files: SandboxAttack[] = [
  { name: 'read /etc/shadow', script: 'cat /etc/shadow || cat /host/etc/shadow', guards: ['mounts', 'user'] },
  {
    name: 'read a file of the host by its absolute path',
    script: 'cat $FILE || cat /host$FILE',
    guards: ['mounts'],
  },
  {
    name: 'read a file of the host by a relative path',
    script: 'cat ../../../../../../..$FILE || cat ../host$FILE',
    guards: ['mounts'],
  },
  {
    name: 'read a file of the host through a link of its own',
    script: 'ln -s $FILE link; ln -s /host$FILE other; cat link || cat other',
    guards: ['mounts'],
  },
  {
    name: 'read a file of the host through /proc/1/root, or through that of another process',
    script: 'cat /proc/1/root$FILE || cat /proc/$HOST_PID/root$FILE',
    guards: ['proc', 'user'],
  },
  {
    name: 'read the environment of process 1, or of another process of the host',
    script: 'grep -qz ^KEYWARD_BAIT= /proc/1/environ || grep -qz ^KEYWARD_BAIT= /proc/$HOST_PID/environ',
    guards: ['proc', 'user'],
  },
  { name: 'see the processes of the host', script: 'test -e /proc/$HOST_PID/status', guards: ['proc'] },
  {
    name: 'connect to a socket of the host, such as docker.sock',
    script: `${connects('$ENV{SOCKET}')} || ${connects('"/host$ENV{SOCKET}"')}`,
    guards: ['mounts'],
  },
  {
    name: 'connect to a socket of the host that has no file',
    script: connects('"\\0$ENV{ABSTRACT}"'),
    guards: ['network'],
  },
  {
    name: 'attach to shared memory of the host',
    script: `perl -e 'exit !defined shmget($ENV{SHM}, 0, 0)'`,
    guards: ['ipc'],
  },
]

const changes: SandboxAttack[] = [
  { name: 'write to the root', script: 'touch /planted', guards: ['user', 'read-only'] },
  { name: 'write to /etc', script: 'touch /etc/planted', guards: ['user', 'read-only'] },
  { name: 'write to /dev', script: 'touch /dev/planted', guards: ['user', 'read-only'] },
  { name: 'write to /usr', script: 'touch /usr/planted', guards: [], stoppedBy: 'a read-only mount' },
  {
    name: 'mount a file system',
    script: call(arm(165, 40), '"none"', '"/tmp"', '"tmpfs"', 0, 0),
    guards: ['filter', 'user'],
  },
  {
    name: 'make what is read-only writable again',
    script: call(arm(165, 40), '"none"', '"/"', '"none"', 0x1020, 0),
    guards: ['filter', 'user'],
  },
  {
    name: 'take away a mount, to see what it covers',
    script: call(arm(166, 39), '"/dev/shm"', 2),
    guards: ['filter', 'user'],
  },
  {
    name: 'mount the control groups, whose settings run programs on the host',
    script: call(arm(165, 40), '"none"', '"/var/tmp"', '"cgroup2"', 0, 0),
    guards: ['filter', 'user'],
    dependsOnKernel: true,
  },
  {
    name: 'make a mount by the newer calls (fsopen)',
    script: call(430, '"tmpfs"', 0),
    guards: ['filter', 'user'],
    dependsOnKernel: true,
  },
  { name: 'make a device', script: 'mknod /tmp/null c 1 3', guards: ['user'] },
  {
    name: 'read the memory or a disk of the machine through a device',
    script: 'for d in mem sda vda nvme0n1; do head -c 1 /dev/$d && exit; done; exit 1',
    guards: ['devices', 'user'],
    dependsOnKernel: true,
  },
  {
    name: 'read the log of the kernel through a device',
    script: 'timeout 5 dd if=/dev/kmsg of=/tmp/log bs=8192 count=1',
    guards: ['devices', 'user'],
    dependsOnKernel: true,
  },
  {
    name: 'open /proc/sysrq-trigger',
    script: opens('/proc/sysrq-trigger'),
    guards: ['proc', 'user'],
    dependsOnKernel: true,
  },
  {
    name: 'open the setting that runs a program at each core dump',
    script: opens('/proc/sys/kernel/core_pattern'),
    guards: ['proc', 'user'],
  },
  {
    name: 'see the control groups of the host',
    script: 'ls /sys/fs/cgroup/* || ls /host/sys/fs/cgroup/*',
    guards: ['mounts'],
    dependsOnKernel: true,
  },
  {
    name: 'leave a core dump',
    script: 'ulimit -Sc $(ulimit -Hc); test "$(ulimit -Sc)" != 0',
    guards: ['limits'],
    dependsOnKernel: true,
  },
  {
    name: 'open more files than it may',
    script: 'perl -e \'for (1 .. 300) { open(my $f, "<", "/dev/null") or exit 1; push @f, $f }\'',
    guards: ['limits'],
  },
  {
    name: 'raise its own limits',
    script: 'ulimit -Hn 4096',
    guards: ['user'],
    dependsOnKernel: true,
  },
  {
    name: 'take the processor by real-time priority',
    script: call(arm(144, 119), 0, 1, 'pack("i", 1)'),
    guards: ['user'],
    dependsOnKernel: true,
  },
]

const namespaces: SandboxAttack[] = [
  {
    name: 'unshare a user namespace',
    script: call(arm(272, 97), newUser),
    guards: ['filter'],
    dependsOnKernel: true,
  },
  { name: 'unshare a mount namespace', script: call(arm(272, 97), newMount), guards: ['filter', 'user'] },
  {
    name: 'clone into a user namespace',
    script: call(arm(56, 220), newUser | 17, 0, 0, 0, 0),
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'hide the flags of a clone from the filter (clone3)',
    script: call(435, `pack("Q8", ${newUser}, 0, 0, 0, 17, 0, 0, 0)`, 64),
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'enter the network of the host (setns, nsenter)',
    script: 'nsenter --net=/proc/1/ns/net true || nsenter --net=/proc/$HOST_PID/ns/net true',
    guards: ['filter', 'proc', 'user'],
  },
  { name: 'change the root (chroot)', script: call(arm(161, 51), '"/tmp"'), guards: ['filter', 'user'] },
]

const kernel: SandboxAttack[] = [
  { name: 'trace a process (ptrace)', script: call(arm(101, 117), 0, 0, 0, 0), guards: ['filter'] },
  {
    name: 'read the memory of another process (process_vm_readv)',
    script: `perl -e '$p = fork // exit 1; if (!$p) { sleep 9; exit } open(my $m, "<", "/proc/$p/maps") or exit 1; <$m> =~ /^([0-9a-f]+)/; $b = "\\0" x 16; $r = syscall(${arm(310, 270)}, $p, pack("PQ", $b, 16), 1, pack("QQ", hex $1, 16), 1, 0); kill 9, $p; exit($r < 0)'`,
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'take the control channel out of the guest (pidfd_getfd)',
    script: `perl -e 'for $p (1 .. 99) { next if $p == $$; $f = syscall(434, $p, 0); exit 0 if $f >= 0 && syscall(438, $f, 6, 0) >= 0 } exit 1'`,
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'use the keys of the kernel (keyctl)',
    script: call(arm(250, 219), 0, -3, 1),
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'make a map for programs in the kernel (bpf)',
    script: call(arm(321, 280), 0, 'pack("L5", 2, 4, 4, 1, 0) . "\\0" x 108', 128),
    guards: ['filter', 'user'],
    dependsOnKernel: true,
  },
  {
    name: 'count events of the kernel (perf_event_open)',
    script: call(arm(298, 241), 'pack("LLQ", 1, 112, 0) . "\\0" x 96', 0, -1, -1, 0),
    guards: ['filter', 'user'],
    dependsOnKernel: true,
  },
  {
    name: 'handle page faults of the kernel (userfaultfd)',
    script: call(arm(323, 282), 1),
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'set up a ring of calls that no filter sees (io_uring)',
    script: call(425, 1, '$b'),
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'name a file by its handle',
    script: call(arm(303, 264), -100, '"/usr"', 'pack("Ll", 120, 0) . "\\0" x 128', '"\\0" x 8', 0),
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'open a file by its handle, past all mounts',
    script: `perl -e 'my ($h, $p, $m) = (pack("Ll", 120, 0) . "\\0" x 128, "/usr", "\\0" x 8); syscall(${arm(303, 264)}, -100, $p, $h, $m, 0) == 0 or exit 1; open(my $d, "<", "/usr") or exit 1; exit(syscall(${arm(304, 265)}, fileno $d, $h, 0) < 0)'`,
    guards: ['filter', 'user'],
    dependsOnKernel: true,
  },
  {
    name: 'read the log of the kernel (syslog)',
    script: call(arm(103, 116), 10, 0, 0),
    guards: ['filter', 'user'],
    dependsOnKernel: true,
  },
  {
    name: 'watch every file of a mount (fanotify)',
    script: call(arm(300, 262), 0, 0),
    guards: ['filter', 'user'],
    dependsOnKernel: true,
  },
  {
    name: 'read its table of segments (modify_ldt)',
    script: isX64 ? call(154, 0, '$b', 16) : 'false',
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'call by the numbers of x32',
    script: isX64 ? call(0x4000_0000 + 39) : 'false',
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'type into its terminal (TIOCSTI)',
    script: `perl -MPOSIX -e 'open(my $m, "+<", "/dev/ptmx") or exit 1; my $z = pack("i", 0); ioctl($m, 0x40045431, $z); ioctl($m, 0x80045430, $z) or exit 1; my $n = unpack("i", $z); if (my $p = fork) { waitpid $p, 0; exit $? >> 8 } setsid(); open(my $s, "+<", "/dev/pts/$n") or exit 1; my $x = "x"; exit !ioctl($s, 0x5412, $x)'`,
    guards: ['filter', 'user'],
    dependsOnKernel: true,
  },
]

const network: SandboxAttack[] = [
  {
    name: 'reach a listener on the loopback of the host',
    script: connectsTo('127.0.0.1', '$ENV{PORT}'),
    guards: ['network'],
  },
  {
    name: 'reach an address of the Internet directly',
    script: connectsTo('192.0.2.1', '443'),
    guards: ['addresses'],
  },
  {
    name: 'reach the metadata of a cloud directly',
    script: connectsTo('169.254.169.254', '80'),
    guards: ['addresses'],
  },
  { name: 'open a raw socket', script: socketOf(2, 3, 1), guards: ['user'] },
  {
    name: 'open a packet socket',
    script: socketOf(17, 3, 3),
    guards: ['filter', 'user'],
    dependsOnKernel: true,
  },
  { name: 'open a netlink socket', script: socketOf(16, 3, 0), guards: ['filter'] },
  {
    name: 'open a socket to the hypervisor (vsock)',
    script: socketOf(40, 1, 0),
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'open a socket to the ciphers of the kernel (alg)',
    script: socketOf(38, 5, 0),
    guards: ['filter'],
    dependsOnKernel: true,
  },
  {
    name: 'open an SCTP or MPTCP socket',
    script: socketOf(2, 1, 262),
    guards: ['filter'],
    dependsOnKernel: true,
  },
]

export const sandboxAttacks: readonly SandboxAttack[] = [
  ...files,
  ...changes,
  ...namespaces,
  ...kernel,
  ...network,
]

/** All of them in one command: each in a shell of its own, its name and how it ended on one line. */
export const scriptOf = (attacks: readonly SandboxAttack[]): string =>
  attacks
    .map(({ script }, index) => `( ${script} ) >/tmp/out-${index} 2>&1 </dev/null; echo "${index} $?"`)
    .join('\n')

/** Names of those that got through. Throws when one did not report. */
export function gotThrough(attacks: readonly SandboxAttack[], output: string): string[] {
  const ends = new Map(
    [...output.matchAll(/^(\d+) (\d+)$/gm)].map(([, index, code]) => [Number(index), Number(code)]),
  )
  const silent = attacks.filter((_, index) => !ends.has(index))
  if (silent.length > 0) throw new Error(`did not report: ${silent.map(({ name }) => name)}\n${output}`)
  return attacks.filter((_, index) => ends.get(index) === 0).map(({ name }) => name)
}
