/**
 * KV reads, durable writes and transit encryptions per second beside OpenBao on the same machine in one run: `keyward server --dev` on
 * SQLite and `bao server` with raft storage and a file audit device, plain HTTP on loopback, same requests, same client, in rounds that
 * take turns after one round to warm up. The median counts.
 *
 *   node bench/vault.ts [seconds] [connections] [rounds]   (Node 24)
 *
 * Durability. Writes: both answer after their storage has synced the write to disk. Reads and encryptions: OpenBao answers once the
 * operating system has the audit line. Keyward by default answers only when the entry is on disk, which is the stricter promise; `kernel`
 * is Keyward with KEYWARD_AUDIT_READS=kernel, which promises what OpenBao does.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { findBao } from '../server/test/support/bao.ts'
import { circumstances, median, print, rounded } from './support/figures.ts'
import { hasWrk, runLoad } from './support/http-load.ts'
import {
  call,
  openWorkbench,
  processorSeconds,
  sourceLauncher,
  startBao,
  startKeyward,
  type Target,
} from './support/servers.ts'

const seconds = Number(process.argv[2] ?? 5)
const connections = Number(process.argv[3] ?? 32)
const rounds = Number(process.argv[4] ?? 3)
const bench = openWorkbench()
const wrk = hasWrk()

type Kind = 'reads' | 'writes' | 'encryptions'
type Measured = { readonly perSecond: number; readonly processorMicroseconds: number }

const value = JSON.stringify({ data: { value: randomBytes(16).toString('hex') } })
const plaintext = JSON.stringify({ plaintext: randomBytes(32).toString('base64') })

function requestOf(kind: Kind): { path: string; body?: string } {
  if (kind === 'reads') return { path: '/v1/secret/data/bench' }
  if (kind === 'encryptions') return { path: '/v1/transit/encrypt/bench', body: plaintext }
  return { path: `/v1/secret/data/${randomBytes(4).toString('hex')}/`, body: value }
}

async function measure(target: Target, kind: Kind): Promise<Measured> {
  const before = processorSeconds(target.pid)
  const load = { port: target.port, token: target.token, connections, seconds, ...requestOf(kind) }
  const { requests, perSecond } = await runLoad(load, wrk, bench.folder)
  const used = processorSeconds(target.pid) - before
  return { perSecond, processorMicroseconds: (used * 1e6) / requests }
}

/** Each server in turn, so that what else the machine does meets all of them alike. */
async function compare(targets: readonly Target[], kind: Kind): Promise<Map<string, Measured>> {
  const measured = new Map<string, Measured[]>(targets.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++)
    for (const target of targets) {
      const result = await measure(target, kind)
      if (round > 0) measured.get(target.name)?.push(result)
    }
  const middle = (results: readonly Measured[], of: keyof Measured): number =>
    rounded(median(results.map((result) => result[of])))
  return new Map(
    [...measured].map(([name, results]) => [
      name,
      {
        perSecond: middle(results, 'perSecond'),
        processorMicroseconds: middle(results, 'processorMicroseconds'),
      },
    ]),
  )
}

function reportOf(results: ReadonlyMap<string, Measured>) {
  const theirs = results.get('openbao')?.perSecond
  return Object.fromEntries(
    [...results].map(([name, result]) => [
      name,
      { ...result, ...(theirs ? { timesOpenbao: rounded(result.perSecond / theirs, 1) } : {}) },
    ]),
  )
}

try {
  const keyward = { launcher: sourceLauncher, data: join(bench.folder, 'keyward') }
  const relaxed = { ...keyward, data: `${keyward.data}-kernel`, env: { KEYWARD_AUDIT_READS: 'kernel' } }
  const ours = await startKeyward(bench, 'keyward', keyward)
  const kernel = await startKeyward(bench, 'keyward, reads audited to the kernel', relaxed)
  const bao = await findBao()
  const theirs = 'path' in bao ? [await startBao(bench, bao.path)] : []
  for (const { port, token } of [ours, kernel, ...theirs]) {
    await call(port, 'POST', 'secret/data/bench', token, JSON.parse(value))
    await call(port, 'POST', 'sys/mounts/transit', token, { type: 'transit' })
    await call(port, 'POST', 'transit/keys/bench', token, {})
  }
  const reads = await compare([ours, kernel, ...theirs], 'reads')
  const writes = await compare([ours, ...theirs], 'writes')
  const encryptions = await compare([ours, kernel, ...theirs], 'encryptions')
  print({
    ...circumstances(),
    client: wrk ? 'wrk' : 'a small Node client',
    connections,
    seconds,
    rounds,
    ...('missing' in bao ? { openbao: bao.missing } : {}),
    reads: reportOf(reads),
    durableWrites: reportOf(writes),
    transitEncryptions: reportOf(encryptions),
  })
} finally {
  await bench.end()
}
