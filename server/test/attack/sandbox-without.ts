// The sandbox of the product with guards left out, so that an attack can be seen to succeed. Nothing in the product can do
// this: a program of the test stands in the place of bubblewrap and drops arguments on the way.
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/core/index.ts'
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
  ipc: 'the namespace of shared memory',
  'read-only': 'what is sealed read-only',
  devices: 'its own /dev',
  limits: "the process's limits",
} as const

export type Guard = keyof typeof guards

/** Each changes what bubblewrap is told (`@args`) and what it runs (`@words`). */
const omissions: Partial<Record<Guard, string>> = {
  user: [
    'unwrap("/usr/bin/setpriv");',
    'drop("--cap-drop", 1); drop("--cap-add", 1); push @args, "--cap-add", "ALL";',
  ].join('\n'),
  // Read-only, because the command may be root then.
  mounts: 'unshift @args, "--ro-bind", "/", "/host";',
  proc: 'swap("--proc", "--bind", "/proc", "/proc");',
  network: 'drop("--unshare-net", 0);',
  ipc: 'drop("--unshare-ipc", 0);',
  'read-only': 'drop("--remount-ro", 1);',
  // Sealed, it would lose its devices.
  devices: 'drop("--remount-ro", 1); swap("--dev", "--dev-bind", "/dev", "/dev");',
  limits: 'unwrap("/usr/bin/prlimit");',
}

const program = (without: readonly Guard[]): string => `#!/usr/bin/perl
use strict; use POSIX ();
open(my $in, '<&=', 3) or die; local $/;
our @args = split /\\0/, scalar <$in>;
our @words = @ARGV[3 .. $#ARGV];
sub first_of { my $word = shift; for (0 .. $#_) { return $_ if $_[$_] eq $word } die "no $word" }
sub drop { my ($name, $values) = @_; my @kept; while (@args) { my $one = shift @args;
  if ($one eq $name) { splice @args, 0, $values } else { push @kept, $one } } @args = @kept }
sub swap { my ($name, @new) = @_; splice @args, first_of($name, @args), 2, @new }
sub unwrap { my $at = first_of(shift, @words); my $end = $at + first_of("--", @words[$at .. $#words]);
  splice @words, $at, $end - $at + 1 }
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
    brought: () => assert.fail('no image is used here'),
    certificates: '',
  }
  return {
    run: (spec, watch) => runSession({ ...session, user: userIn('root', Math.random()) }, spec, watch),
  }
}
