/**
 * What clients ask of a vault most, per second beside OpenBao on the same machine in one run: `keyward server --dev` on SQLite and `bao
 * server` with raft storage and a file audit device, plain HTTP on loopback, same requests, same client, in rounds that take turns
 * after one round to warm up. The median counts.
 *
 *   node bench/vault.ts [seconds] [connections,…] [rounds] [kind,…]   (Node 24)
 *
 * Durability. Writes and logins: both answer after their storage has synced the write to disk. The others: OpenBao answers once the
 * operating system has the audit line. Keyward by default answers only when the entry is on disk, which is the stricter promise;
 * `kernel` is Keyward with KEYWARD_AUDIT_READS=kernel, which promises what OpenBao does.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { findBao } from '../server/test/support/bao.ts'
import { circumstances, print, rounded } from './support/figures.ts'
import { hasWrk } from './support/http-load.ts'
import { compareInTurns, connectionsInWords, type Measured, measureLoad } from './support/rounds.ts'
import {
  call,
  childrenOf,
  openWorkbench,
  packageLauncher,
  residentMegabytes,
  startBao,
  startKeyward,
  type Target,
} from './support/servers.ts'

const seconds = Number(process.argv[2] ?? 3)
const connectionCounts = (process.argv[3] ?? '1,16').split(',').map(Number)
const rounds = Number(process.argv[4] ?? 3)
const bench = openWorkbench()
const wrk = hasWrk()

type Request = { readonly path: string; readonly body?: string }
/** A server with the requests that it is asked; `login` differs from server to server. */
type Subject = Target & { readonly requests: Readonly<Record<Kind, () => Request>> }

const kinds = ['read', 'write', 'lookup', 'login', 'encrypt'] as const
type Kind = (typeof kinds)[number]
const chosen = kinds.filter((kind) => process.argv[5]?.split(',').includes(kind) ?? true)

const value = { data: { value: randomBytes(16).toString('hex') } }
const peaks = new Map<string, { server: number; children: number }>()

/** What the servers hold at the same time in each round. */
async function prepare(target: Target): Promise<Subject> {
  const { port, token } = target
  const ask = async (method: string, path: string, body?: unknown): Promise<Record<string, string>> => {
    const reply = await call(port, method, path, token, body)
    const text = await reply.text()
    if (!reply.ok) throw new Error(`${method} ${path}: ${text}`)
    return text === '' ? {} : ((JSON.parse(text) as { data?: Record<string, string> }).data ?? {})
  }
  await ask('POST', 'secret/data/bench', value)
  await ask('POST', 'sys/mounts/transit', { type: 'transit' })
  await ask('POST', 'transit/keys/bench', {})
  await ask('POST', 'sys/auth/approle', { type: 'approle' })
  await ask('POST', 'auth/approle/role/bench', { token_policies: 'default', token_ttl: '1h' })
  const { role_id } = await ask('GET', 'auth/approle/role/bench/role-id')
  const { secret_id } = await ask('POST', 'auth/approle/role/bench/secret-id', {})
  const plaintext = randomBytes(32).toString('base64')
  return {
    ...target,
    requests: {
      read: () => ({ path: '/v1/secret/data/bench' }),
      write: () => ({
        path: `/v1/secret/data/${randomBytes(4).toString('hex')}/`,
        body: JSON.stringify(value),
      }),
      lookup: () => ({ path: '/v1/auth/token/lookup-self' }),
      login: () => ({ path: '/v1/auth/approle/login', body: JSON.stringify({ role_id, secret_id }) }),
      encrypt: () => ({ path: '/v1/transit/encrypt/bench', body: JSON.stringify({ plaintext }) }),
    },
  }
}

async function measure(subject: Subject, kind: Kind, connections: number): Promise<Measured> {
  const watch = setInterval(() => notePeak(subject), 250)
  try {
    return await measureLoad(
      subject,
      { connections, seconds, ...subject.requests[kind]() },
      { wrk, folder: bench.folder },
    )
  } finally {
    clearInterval(watch)
  }
}

function notePeak({ name, pid }: Target): void {
  const children = childrenOf(pid).reduce((sum, child) => sum + residentMegabytes(child).rss, 0)
  const known = peaks.get(name) ?? { server: 0, children: 0 }
  peaks.set(name, {
    server: Math.max(known.server, residentMegabytes(pid).rss),
    children: Math.max(known.children, children),
  })
}

const memory = () =>
  Object.fromEntries(
    [...peaks].map(([name, { server, children }]) => [
      name,
      { serverMegabytes: rounded(server), childrenMegabytes: rounded(children) },
    ]),
  )

try {
  const keyward = {
    launcher: process.env['KEYWARD_BENCH_LAUNCHER'] ?? packageLauncher(bench),
    data: join(bench.folder, 'keyward'),
  }
  const relaxed = { ...keyward, data: `${keyward.data}-kernel`, env: { KEYWARD_AUDIT_READS: 'kernel' } }
  const ours = await prepare(await startKeyward(bench, 'keyward', keyward))
  const kernel = await prepare(await startKeyward(bench, 'keyward, reads audited to the kernel', relaxed))
  const bao = await findBao()
  const theirs = 'path' in bao ? [await prepare(await startBao(bench, bao.path))] : []
  const compared: Record<string, unknown> = {}
  for (const kind of chosen)
    for (const connections of connectionCounts)
      compared[`${kind}, ${connectionsInWords(connections)}`] = await compareInTurns(
        [ours, kernel, ...theirs],
        rounds,
        (subject) => measure(subject, kind, connections),
      )
  print({
    ...circumstances(),
    client: wrk ? 'wrk' : 'a small Node client',
    seconds,
    rounds,
    ...('missing' in bao ? { openbao: bao.missing } : {}),
    ...compared,
    peakMemory: memory(),
  })
} finally {
  await bench.end()
}
