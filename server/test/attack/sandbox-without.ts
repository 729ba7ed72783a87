// The sandbox of the product with guards left out, so that an attack can be seen to succeed. Nothing in the product can do
// this: a program of the test stands in the place of bubblewrap and drops arguments on the way.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/core/index.ts'
import { broughtAlong } from '../../src/sandbox/bubblewrap-arguments.ts'
import { findCgroups } from '../../src/sandbox/cgroups.ts'
import { userIn } from '../../src/sandbox/entry.ts'
import { findProgram, type SandboxDriver } from '../../src/sandbox/index.ts'
import { createRecords } from '../../src/sandbox/records.ts'
import { seccompFilter } from '../../src/sandbox/seccomp.ts'
import { runSession } from '../../src/sandbox/session.ts'
import { temporaryFolder } from '../support/sandbox/attacker.ts'

/**
 * What can be left out, each with the words for it on the page of attacks. The process namespace cannot: the guest ends
 * everybody in it when its command ends, and as root of the machine that would be everybody there is.
 */
export const guards = {
  filter: 'the filter of system calls',
  user: 'a user of its own without capabilities',
  mounts: 'its own tree of files',
  proc: "its own processes' /proc",
  network: 'the network namespace',
  // Left out in a network of the test's own, where those addresses answer.
  addresses: 'the network namespace',
  ipc: 'the namespace of shared memory',
  'read-only': 'what is sealed read-only',
  devices: 'its own /dev',
  limits: "the process's limits",
  image: 'the read-only mounts of the image',
} as const

export type Guard = keyof typeof guards

/** Each changes what bubblewrap is told (`@args`) and what it runs (`@words`). */
const omissions: Partial<Record<Guard, string>> = {
  user: [
    'unwrap("setpriv");',
    'drop("--cap-drop", 1); drop("--cap-add", 1); push @args, "--cap-add", "ALL";',
  ].join('\n'),
  // Read-only, because the command may be root then.
  mounts: 'unshift @args, "--ro-bind", "/", "/host";',
  proc: 'swap("--proc", "--bind", "/proc", "/proc");',
  network: 'drop("--unshare-net", 0);',
  addresses:
    'answer_at("lo", "169.254.169.254", 80); answer_at("lo:1", "192.0.2.1", 443); drop("--unshare-net", 0);',
  ipc: 'drop("--unshare-ipc", 0);',
  'read-only': 'drop("--remount-ro", 1);',
  // Sealed, it would lose its devices.
  devices: 'drop("--remount-ro", 1); swap("--dev", "--dev-bind", "/dev", "/dev");',
  limits: 'unwrap("prlimit");',
  image:
    'for (1 .. $#args) { $args[$_ - 1] = "--bind" if $args[$_ - 1] eq "--ro-bind" && $args[$_] =~ m{/images/} }',
}

/**
 * A network of this process's own, with these addresses of its loopback (SIOCSIFADDR, SIOCSIFFLAGS of netdevice(7)). The sockets are
 * inherited, and the kernel takes connections for them.
 */
const answerAt = `use Socket; my $network;
sub answer_at { my ($name, $address, $port) = @_;
  $network //= syscall(${process.arch === 'x64' ? 272 : 97}, 0x40000000); $network == 0 or die;
  socket(my $control, AF_INET, SOCK_DGRAM, 0) or die;
  ioctl($control, 0x8916, pack('a16 a24', $name, pack_sockaddr_in(0, inet_aton($address)))) or die;
  ioctl($control, 0x8914, pack('a16 s x22', $name, 0x41)) or die;
  $^F = 99; socket(my $listener, AF_INET, SOCK_STREAM, 0) or die;
  bind($listener, pack_sockaddr_in($port, inet_aton($address))) && listen($listener, 9) or die; push @main::kept, $listener }`

const program = (without: readonly Guard[]): string => `#!/usr/bin/perl
use strict; use POSIX ();
open(my $in, '<&=', 3) or die; local $/;
our @args = split /\\0/, scalar <$in>;
our @words = @ARGV[3 .. $#ARGV];
sub first_of { my $word = shift; for (0 .. $#_) { return $_ if $_[$_] eq $word } die "no $word" }
sub drop { my ($name, $values) = @_; my @kept; while (@args) { my $one = shift @args;
  if ($one eq $name) { splice @args, 0, $values } else { push @kept, $one } } @args = @kept }
sub swap { my ($name, @new) = @_; splice @args, first_of($name, @args), 2, @new }
sub unwrap { my $name = shift; my ($at) = grep { $words[$_] =~ m{/$name$} } 0 .. $#words;
  my $end = $at + first_of("--", @words[$at .. $#words]);
  # Brought into an image, it is started by its own loader.
  $at -= 3 if $at >= 3 && $words[$at - 2] eq '--library-path';
  splice @words, $at, $end - $at + 1 }
${answerAt}
${without.map((guard) => omissions[guard] ?? '').join('\n')}
pipe(my $out, my $to) or die; print $to map { "$_\\0" } @args; close $to;
POSIX::dup2(fileno $out, 3); exec '${findProgram('bwrap')}', '--args', '3', '--', @words; die;
`

/** A filter of one instruction: everything is allowed (SECCOMP_RET_ALLOW). */
const allowAll = Buffer.alloc(8)
allowAll.writeUInt16LE(0x06, 0)
allowAll.writeUInt32LE(0x7fff_0000, 4)

/** Only for root with its own namespaces: elsewhere a guard left out would leave the test's own account unguarded. */
export async function sandboxWithout(
  t: Pick<TestContext, 'after'>,
  without: readonly Guard[],
): Promise<Pick<SandboxDriver, 'run'>> {
  const folder = await temporaryFolder(t)
  const bubblewrap = join(folder, 'bubblewrap')
  await writeFile(bubblewrap, program(without), { mode: 0o755 })
  const records = createRecords(folder)
  await mkdir(records.mountPoint, { recursive: true })
  const session = {
    clock: systemClock,
    records,
    cgroups: await findCgroups(),
    mode: 'root' as const,
    bubblewrap,
    nodePath: process.execPath,
    mountPoint: records.mountPoint,
    seccomp: without.includes('filter') ? allowAll : (seccompFilter(process.arch) ?? allowAll),
    guest: await readFile(new URL('../../src/sandbox/guest.mjs', import.meta.url)),
    brought: () => broughtAlong(process.execPath),
    certificates: '',
  }
  return {
    run: (spec, watch) => runSession({ ...session, user: userIn('root', Math.random()) }, spec, watch),
  }
}
