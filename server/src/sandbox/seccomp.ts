// The system-call filter of a sandbox, as the classic BPF program that `seccomp(2)` takes. A list of what is denied: what
// remains is what ordinary compilers, interpreters and package managers use. Two of its rules need an argument of the
// call; a filter sees arguments as numbers and never what a pointer leads to, which is why `clone3` is refused whole.

type Architecture = 'x64' | 'arm64'

/** Numbers of one call: on x86_64, on arm64; undefined where the architecture has no such call. */
type Numbers = readonly [number | undefined, number | undefined]

const errno = { EPERM: 1, ENOSYS: 38, EPROTONOSUPPORT: 93, EAFNOSUPPORT: 97 } as const

/** Refused with "operation not permitted": a program that asks for these wants out. */
const forbidden: Record<string, Numbers> = {
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  move_mount: [429, 429],
  open_tree: [428, 428],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  unshare: [272, 97],
  setns: [308, 268],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  pidfd_getfd: [438, 438],
  kcmp: [312, 272],
  bpf: [321, 280],
  userfaultfd: [323, 282],
  perf_event_open: [298, 241],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  syslog: [103, 116],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  fanotify_init: [300, 262],
  lookup_dcookie: [212, 18],
  vhangup: [153, 58],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  adjtimex: [159, 171],
  clock_adjtime: [305, 266],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  iopl: [172, undefined],
  ioperm: [173, undefined],
  modify_ldt: [154, undefined],
  nfsservctl: [180, 42],
}

/** Refused with "no such call", so that libraries fall back to an older call that the filter can read. */
const absent: Record<string, Numbers> = {
  clone3: [435, 435],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
}

/** `mseal`: every later call is newer than this list, and so refused until somebody has looked at it. */
const lastKnownCall = 462

const inspected = {
  clone: [56, 220],
  ioctl: [16, 29],
  socket: [41, 198],
} as const satisfies Record<string, Numbers>

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const newNamespaceFlags = 0x7e02_0000
/** TIOCSTI and TIOCLINUX type into a terminal; TIOCSETD loads line disciplines. */
const terminalRequests = [0x5412, 0x541c, 0x5423]
/** AF_UNIX, AF_INET, AF_INET6. */
const socketFamilies = [1, 2, 10]
/** IPPROTO_UDP: TCP, UDP and ICMP lie below; SCTP, DCCP and MPTCP, with their large kernel code, above. */
const lastProtocol = 17

/** The rules by name, for whoever writes them down in another form. */
export const filterRules = {
  forbidden: Object.keys(forbidden),
  absent: Object.keys(absent),
  newNamespaceFlags,
  terminalRequests,
  socketFamilies,
  lastProtocol,
  errno,
}

const arm64 = 0xc000_00b7
const x64 = 0xc000_003e
/** Calls of the x32 ABI carry this bit under the x86_64 architecture number. */
const x32Bit = 0x4000_0000

const offset = { number: 0, architecture: 4, argument: (index: number) => 16 + 8 * index }
const opcode = { load: 0x20, equal: 0x15, greater: 0x25, greaterOrEqual: 0x35, anyBit: 0x45, answer: 0x06 }
const killProcess = 0x8000_0000
const allow = 0x7fff_0000
const refuse = (code: number): number => 0x0005_0000 | code

type Instruction = { code: number; ifTrue: number; ifFalse: number; value: number }

const load = (at: number): Instruction => ({ code: opcode.load, ifTrue: 0, ifFalse: 0, value: at })
const answer = (value: number): Instruction => ({ code: opcode.answer, ifTrue: 0, ifFalse: 0, value })
/** Runs the following `length` instructions when the test holds, else skips them. */
const when = (code: number, value: number, length: number): Instruction => ({
  code,
  ifTrue: 0,
  ifFalse: length,
  value,
})
const guarded = (code: number, value: number, body: Instruction[]): Instruction[] => [
  when(code, value, body.length),
  ...body,
]

function refuseAll(calls: Record<string, Numbers>, column: 0 | 1, code: number): Instruction[] {
  return Object.values(calls).flatMap((numbers) => {
    const number = numbers[column]
    return number === undefined ? [] : guarded(opcode.equal, number, [answer(refuse(code))])
  })
}

function inspectArguments(column: 0 | 1): Instruction[] {
  return [
    ...guarded(opcode.equal, inspected.clone[column], [
      load(offset.argument(0)),
      ...guarded(opcode.anyBit, newNamespaceFlags, [answer(refuse(errno.EPERM))]),
      answer(allow),
    ]),
    ...guarded(opcode.equal, inspected.ioctl[column], [
      load(offset.argument(1)),
      ...terminalRequests.flatMap((request) => guarded(opcode.equal, request, [answer(refuse(errno.EPERM))])),
      answer(allow),
    ]),
    ...guarded(opcode.equal, inspected.socket[column], [
      load(offset.argument(2)),
      ...guarded(opcode.greater, lastProtocol, [answer(refuse(errno.EPROTONOSUPPORT))]),
      load(offset.argument(0)),
      ...socketFamilies.flatMap((family) => guarded(opcode.equal, family, [answer(allow)])),
      answer(refuse(errno.EAFNOSUPPORT)),
    ]),
  ]
}

/** The filter for this architecture, or undefined where none is written: then nothing may be run. */
export function seccompFilter(architecture: string): Buffer | undefined {
  if (architecture !== 'x64' && architecture !== 'arm64') return undefined
  return assemble(program(architecture))
}

function program(architecture: Architecture): Instruction[] {
  const column = architecture === 'x64' ? 0 : 1
  const here = architecture === 'x64' ? x64 : arm64
  return [
    load(offset.architecture),
    { code: opcode.equal, ifTrue: 1, ifFalse: 0, value: here },
    answer(killProcess),
    load(offset.number),
    ...guarded(opcode.greaterOrEqual, x32Bit, [answer(killProcess)]),
    ...guarded(opcode.greater, lastKnownCall, [answer(refuse(errno.ENOSYS))]),
    ...refuseAll(forbidden, column, errno.EPERM),
    ...refuseAll(absent, column, errno.ENOSYS),
    ...inspectArguments(column),
    answer(allow),
  ]
}

/** `struct sock_filter`: u16 code, u8 jt, u8 jf, u32 k; both architectures are little-endian. */
function assemble(instructions: Instruction[]): Buffer {
  const bytes = Buffer.alloc(instructions.length * 8)
  instructions.forEach(({ code, ifTrue, ifFalse, value }, index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(ifTrue, index * 8 + 2)
    bytes.writeUInt8(ifFalse, index * 8 + 3)
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4)
  })
  return bytes
}
