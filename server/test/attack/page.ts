// The page of attacks, written from the tests: node server/test/attack/page.ts
import { writeFileSync } from 'node:fs'
import { sandboxAttacks } from './sandbox-attacks.ts'
import { guards } from './sandbox-without.ts'

/** Attacks whose tests stand elsewhere, because they belong beside the code or to every driver. `title` is part of a test's title. */
type Elsewhere = { attack: string; guard: string; file: string; title: string }

const proxy = (file: string) => `server/src/proxy/${file}.test.ts`
const attack = (file: string) => `server/test/attack/${file}.test.ts`
const beside = (file: string) => `server/src/${file}.test.ts`
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
    attack: 'outlive the server in a container, by stopping the guest that would hear of its end',
    guard: 'the sweep at the next start',
    file: beside('sandbox/engine'),
    title: 'whose guest was stopped by its command outlives kill -9',
  },
  {
    attack: 'all of the attacks on the host, from inside a container of Podman or Docker',
    guard: 'the same guards, given to the engine; its /sys is covered',
    file: beside('sandbox/engine'),
    title: 'SAND-2: attacks on the host fail',
  },
  {
    attack: 'all of the attacks on the host, from inside an image; and to change the image',
    guard: 'the same guards, and mounts of the image that are read-only',
    file: attack('image-attacks'),
    title: 'what fails in an image',
  },
  {
    attack:
      'an archive of an image with paths that lead out, links to the host, devices, setuid files, bombs',
    guard: 'it is unpacked inside a sandbox, and the host makes each name itself',
    file: beside('images/images'),
    title: 'what an archive must not do is left out',
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
    attack: 'HTTP/2 that becomes another request in HTTP/1.1: pseudo-headers, line breaks, lengths, CONNECT',
    guard: 'each head is checked once more, and written anew',
    file: proxy('http2'),
    title: 'what would be another request in HTTP/1.1 is refused in HTTP/2',
  },
  {
    attack: 'streams of HTTP/2 that are begun and broken off, without end',
    guard: 'limits of streams, resets and heads for each connection',
    file: proxy('http2'),
    title: 'a connection whose requests are broken off again and again is ended',
  },
  {
    attack: 'answers with CL and TE, two lengths, codings inside of chunks, bare LF, folded lines',
    guard: 'a strict reader, compared with Node’s parser, and every answer written anew',
    file: proxy('answer-reader'),
    title: 'an answer that could be read in two ways is none',
  },
  {
    attack: 'an answer that nobody asked for, behind one that somebody did',
    guard: 'its connection serves no other request',
    file: proxy('odd-answers'),
    title: 'what a destination sends unasked is not the answer to the next request',
  },
  {
    attack: 'frames of a WebSocket that two readers could read differently',
    guard: 'a strict parser, and every frame written anew',
    file: proxy('websocket'),
    title: 'frames that two readers could read differently stop the connection',
  },
  {
    attack: 'an upgrade to another protocol',
    guard: 'WebSocket alone, after a handshake of the proxy’s own',
    file: proxy('refusals'),
    title: 'an upgrade to another protocol than WebSocket is refused',
  },
  {
    attack: 'a placeholder in a place of the request, or of a login, that it was not lent for',
    guard: 'the server compares the place with the grant, and it is an alert',
    file: beside('lend/use'),
    title: 'is exchanged there alone, and a try elsewhere is an alert',
  },
  {
    attack:
      'the password of a database: a login inside of a login, another database, replication, a server that repeats it',
    guard: 'the login is made outside; what comes back is searched',
    file: beside('proxy/relay/postgres-hostile'),
    title: 'a database that repeats the password in its refusal tells it to nobody',
  },
  {
    attack: 'a signature of a lent SSH key for another host or another session',
    guard: 'the agent signs logins of a session that is bound to a host of the lease',
    file: 'server/test/ssh-relay.test.ts',
    title: 'a server with another host key gets no signature, even if the client goes on',
  },
  {
    attack: 'a part of a lease that is wider, longer or more than the whole',
    guard: 'each lease above is asked when it is made and when it is used',
    file: beside('lend/delegation'),
    title: 'no part is wider, longer or more than the whole',
  },
  {
    attack: 'from another machine: no certificate, another’s, floods, silence',
    guard: 'a process of its own, which asks for each connection, and limits',
    file: 'server/test/remote-agents.test.ts',
    title: 'floods, too many connections and clients that say nothing are cut',
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
