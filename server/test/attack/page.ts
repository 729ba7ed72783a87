// The page of attacks, written from the tests: node server/test/attack/page.ts
import { writeFileSync } from 'node:fs'
import { sandboxAttacks } from './sandbox-attacks.ts'
import { guards } from './sandbox-without.ts'

/** Attacks whose tests stand elsewhere, because they belong beside the code or to every driver. `title` is part of a test's title. */
type Elsewhere = { attack: string; guard: string; file: string; title: string }

const proxy = (file: string) => `server/src/proxy/${file}.test.ts`
const attack = (file: string) => `server/test/attack/${file}.test.ts`
const contract = (file: string) => `server/test/support/sandbox/${file}.ts`

export const elsewhere: readonly Elsewhere[] = [
  ...[
    'start processes without end (fork bomb)',
    'take all memory',
    'fill the disk with bytes',
    'fill the disk with files that hold nothing',
    'write one file without end',
    'compute without end',
    'print without end',
    'open files without end',
  ].map((name) => ({
    attack: name,
    guard: 'the limit of that name',
    file: attack('sandbox-resources'),
    title: name,
  })),
  {
    attack: 'outlive the wall time by leaving its group and session',
    guard: 'the process namespace',
    file: attack('sandbox-resources'),
    title: 'outlive the wall time by leaving its group and session',
  },
  {
    attack: 'survive the death of the server',
    guard: 'a process that is tied to its parent, and the sweep at the next start',
    file: 'server/src/sandbox/bubblewrap.test.ts',
    title: 'kill -9 leaves no process',
  },
  {
    attack: 'become root by a setuid program',
    guard: 'no new privileges, and mounts without setuid',
    file: attack('sandbox-resources'),
    title: 'become root by a setuid program',
  },
  {
    attack: 'swap a folder for a link while it is copied out',
    guard: 'files travel as frames, written only below folders that the host made',
    file: attack('sandbox-resources'),
    title: 'swap a folder for a link while it is copied out',
  },
  {
    attack: 'bring a host file out by a planted link',
    guard: 'links stay behind',
    file: contract('workspace'),
    title: 'a link planted inside brings no host file out',
  },
  {
    attack: 'find out the host’s folders from command lines',
    guard: 'arguments travel by a descriptor',
    file: contract('command'),
    title: 'command lines inside show no folder of the host',
  },
  {
    attack: 'reach another sandbox, or its files',
    guard: 'a user, a tree of files and a socket of its own',
    file: contract('pair'),
    title: 'side by side, neither sees the other',
  },
  {
    attack: 'use another sandbox’s way out',
    guard: 'the socket lies in a folder that is closed to others',
    file: proxy('lifecycle'),
    title: 'socket lies in a folder closed to others',
  },
  {
    attack:
      'a host that is not listed; userinfo, NUL, suffix, subdomain, punycode and other names like it; other ports',
    guard: 'one strict shape of names, compared with the list before anything is looked up',
    file: attack('egress-attacks'),
    title: 'only resembles the listed one',
  },
  {
    attack: 'an address in decimal, octal, hexadecimal, short or IPv4-mapped notation',
    guard: 'the same, and a check of every address that a name leads to',
    file: attack('egress-attacks'),
    title: 'refused in every notation',
  },
  {
    attack: 'data as labels of a name (wildcard, DNS tunnel)',
    guard: 'no resolver inside; names are compared before they are looked up',
    file: proxy('refusals'),
    title: 'is refused before any name is looked up',
  },
  {
    attack: 'rebinding: a DNS server that changes its answers',
    guard: 'one question, and only the addresses that were checked are connected to',
    file: attack('egress-attacks'),
    title: 'a DNS server that changes its answers leads nowhere else',
  },
  {
    attack: 'another server name or Host than the tunnel’s',
    guard: 'all three must be the same',
    file: proxy('refusals'),
    title: 'a TLS server name or Host header other than the tunnel',
  },
  {
    attack:
      'CL and TE, two lengths, obfuscated TE, bare LF, two Hosts, the absolute form, a nested CONNECT, h2c, the preface of HTTP/2',
    guard: 'a strict parser, and every request written anew',
    file: attack('egress-attacks'),
    title: 'no request is smuggled past what was judged',
  },
  {
    attack: 'a second request behind one that was allowed',
    guard: 'each request is judged',
    file: attack('egress-attacks'),
    title: 'a second request on a connection is judged like the first',
  },
  {
    attack: 'strip headers by naming them in Connection',
    guard: 'what decides where a message goes or ends is not its to list',
    file: attack('egress-attacks'),
    title: 'Connection strips no header that the proxy answers for',
  },
  {
    attack: 'plain HTTP, SOCKS, or bytes that are not TLS in a tunnel',
    guard: 'CONNECT and TLS only',
    file: attack('egress-attacks'),
    title: 'plain HTTP and bytes that are not TLS end',
  },
  {
    attack: 'a redirect that carries the credential elsewhere',
    guard: 'a placeholder is exchanged for its own destination only',
    file: proxy('answers'),
    title: 'a redirect takes neither the value nor its placeholder to another host',
  },
  {
    attack: 'an answer that reflects the value, in every usual encoding, cut into pieces or compressed',
    guard: 'redaction of answers',
    file: proxy('redact'),
    title: 'the usual encodings of a value are taken out',
  },
  {
    attack: 'ten thousand idle connections and heads that never end',
    guard: 'limits for each sandbox, and time for a head',
    file: attack('egress-attacks'),
    title: 'ten thousand idle connections',
  },
  {
    attack: 'go on after the lease has ended, in the middle of an answer',
    guard: 'what is under way is cut',
    file: proxy('cuts'),
    title: 'what outlives the time of its lease is cut',
  },
  {
    attack: 'kill the proxy in the middle of a request',
    guard: 'there is no other way out, and nothing is sent again by itself',
    file: attack('egress-attacks'),
    title: 'killed in the middle of a request',
  },
  {
    attack: 'an agent that is told to get the secret out, in more than fifty ways',
    guard: 'all of it together',
    file: attack('agent'),
    title: 'finds no way, of fifty and more',
  },
]

const row = (...cells: string[]): string => `| ${cells.join(' | ')} |`
const link = (file: string): string => `[${file.split('/').at(-1)}](../${file})`

function stops(name: string): string {
  const { guards: needed, stoppedBy } = sandboxAttacks.find((one) => one.name === name) ?? { guards: [] }
  return stoppedBy ?? needed.map((guard) => guards[guard]).join('; ')
}

function shown({ guards: needed, dependsOnKernel }: (typeof sandboxAttacks)[number]): string {
  if (needed.length === 0) return 'no: that would change the machine'
  return dependsOnKernel ? 'yes, where the machine has it' : 'yes'
}

export const page = (): string =>
  [
    '# Attacks',
    '',
    'What is tried against sandboxes and their way out, in every run of the tests: `npm run test:attack` runs most of it alone,',
    'in about a minute. This page is written from the tests (`node server/test/attack/page.ts`), and one of them compares.',
    '',
    '## From inside a sandbox',
    '',
    'Each attack is tried in a real sandbox, where it must fail. Then it is tried once more in the same sandbox without the guards',
    'that are named, where it must succeed: a guard that an attack does not need is no guard. The tests leave guards out by a',
    'program of their own in the place of bubblewrap; nothing in Keyward can. This needs root; elsewhere the tests say that they',
    'skip it.',
    '',
    row('attack', 'what stops it', 'gets through without'),
    row('---', '---', '---'),
    ...sandboxAttacks.map((one) => row(one.name, stops(one.name), shown(one))),
    '',
    '## Limits, what comes back, and the way out',
    '',
    row('attack', 'what stops it', 'test'),
    row('---', '---', '---'),
    ...elsewhere.map((one) => row(one.attack, one.guard, link(one.file))),
    '',
    'What a limit ends is told with the limit’s name; for each limit the same attack is shown to succeed where it is raised.',
    'What cannot be stopped is said in [decision 0005](decisions/0005-sandbox.md#what-remains-open) and [decision',
    '0006](decisions/0006-egress-proxy.md#what-redaction-cannot-catch).',
    '',
  ].join('\n')

if (import.meta.main) writeFileSync(new URL('../../../docs/attacks.md', import.meta.url), page())
