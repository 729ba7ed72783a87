import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AuditEntry, type AuditHead, api } from '@keyward/contract'
import { type ContractServer, openContractServer } from '../../test/support/contract-server.ts'
import { openShell } from '../../test/support/keyward-command.ts'
import { openShellInside } from '../../test/support/keyward-inside.ts'
import { AppError, canonicalJson, digestOf } from '../core/index.ts'

const keys = generateKeyPairSync('ed25519')
const pemOf = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString()
const chainStart = '0'.repeat(64)
const at = '2026-01-02T03:04:05.000Z'

function chainOf(length: number): AuditEntry[] {
  const chain: AuditEntry[] = []
  for (let seq = 1; seq <= length; seq++) {
    const content = {
      seq,
      id: `aud_${seq}`,
      at,
      type: 'secret.read' as const,
      outcome: 'done' as const,
      actor: 'person:ada',
      target: `secret:secret/shop/${seq}`,
      correlation: '',
      detail: null,
      previous: chain.at(-1)?.hash ?? chainStart,
    }
    chain.push({ ...content, hash: digestOf(content) })
  }
  return chain
}

function headOf(chain: readonly AuditEntry[], { privateKey, publicKey } = keys): AuditHead {
  const content = { seq: chain.length, hash: chain.at(-1)?.hash ?? chainStart, at }
  const signature = sign(null, Buffer.from(canonicalJson(content)), privateKey).toString('base64')
  return { ...content, signature, publicKey: pemOf(publicKey) }
}

/** Pages of 7, so that a chain of 20 takes three. */
function answerChain(server: ContractServer, chain: readonly AuditEntry[], head = headOf(chain)): void {
  server.answer(api.audit.head, () => head)
  server.answer(api.audit.list, ({ cursor, order }) => {
    const from = Number(cursor ?? 0)
    const ordered = order === 'asc' ? chain : chain.toReversed()
    const next = from + 7
    return { items: ordered.slice(from, next), next: next < chain.length ? String(next) : null }
  })
}

test('GOV-1: a chain is verified over the API, page by page, and what came after the head is no problem', async (t) => {
  const server = await openContractServer(t)
  const chain = chainOf(20)
  answerChain(server, chain, headOf(chain.slice(0, 18)))
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const { code, stdout } = await keyward(['audit', 'verify'])
  assert.equal(code, 0)
  assert.match(stdout, /Entries +18, 2026[^\n]*\n[\s\S]*verified\n$/)
  const { verified, entries, head } = JSON.parse((await keyward(['audit', 'verify', '--json'])).stdout)
  assert.deepEqual([verified, entries, head.seq], [true, 18, 18])
})

test('GOV-1: a changed entry exits 1 and is named', async (t) => {
  const server = await openContractServer(t)
  const chain = chainOf(20)
  answerChain(
    server,
    chain.map((entry) => (entry.seq === 12 ? { ...entry, actor: 'person:eve' } : entry)),
    headOf(chain),
  )
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const { code, stdout } = await keyward(['audit', 'verify'])
  assert.equal(code, 1)
  assert.match(stdout, /NOT verified\n {2}12 hash: its content is not what was hashed/)
})

test('GOV-1: a server that cuts its chain and signs it anew is caught by the head that was remembered', async (t) => {
  const server = await openContractServer(t)
  const chain = chainOf(20)
  answerChain(server, chain)
  const { keyward, home } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  assert.equal((await keyward(['audit', 'verify'])).code, 0)
  assert.equal(statSync(join(home, '.config', 'keyward', 'audit-heads.json')).mode & 0o777, 0o600)
  answerChain(server, chain.slice(0, 15))
  const cut = await keyward(['audit', 'verify'])
  assert.equal(cut.code, 1)
  assert.match(cut.stdout, /20 known: a head seen earlier is not in this chain/)
  answerChain(server, chain, headOf(chain, generateKeyPairSync('ed25519')))
  assert.match((await keyward(['audit', 'verify'])).stdout, /20 key: the head is signed by another key/)
  answerChain(server, chain.slice(0, 15))
  assert.equal((await keyward(['audit', 'verify', '--forget'])).code, 0)
})

test('GOV-1: an exported chain proves itself without the server, and by a key known from elsewhere', async (t) => {
  const server = await openContractServer(t)
  const chain = chainOf(20)
  answerChain(server, chain)
  const { keyward, home } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  assert.equal((await keyward(['audit', 'export', 'audit.jsonl'])).code, 0)
  const file = join(home, 'audit.jsonl')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.match(
    (await keyward(['audit', 'export', 'audit.jsonl'])).stderr,
    /exists\. Say --force to replace it/,
  )
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  assert.equal(lines.length, 21)

  const offline = { env: { KEYWARD_ADDRESS: 'http://127.0.0.1:9' } }
  const verify = (...more: string[]) => keyward(['audit', 'verify', 'audit.jsonl', ...more], offline)
  assert.equal((await verify()).code, 0)
  writeFileSync(join(home, 'trusted.pem'), pemOf(keys.publicKey))
  writeFileSync(join(home, 'other.pem'), pemOf(generateKeyPairSync('ed25519').publicKey))
  assert.match((await verify('--key', 'trusted.pem')).stdout, /by the key that you trust/)
  assert.equal((await verify('--key', 'other.pem')).code, 1)

  const rewrite = (changed: string[]): void => writeFileSync(file, `${changed.join('\n')}\n`)
  rewrite(lines.toSpliced(19, 1))
  assert.match((await verify()).stdout, /20 length: the signed head says 20 entries, the chain holds 19/)
  rewrite(lines.slice(0, 20))
  assert.match((await verify()).stderr, /does not end with a signed head/)
  rewrite(lines.with(4, '{"seq":5}'))
  assert.match((await verify()).stderr, /audit\.jsonl:5 is not an audit entry/)
  rewrite([...lines, lines[20] ?? ''])
  assert.match((await verify()).stderr, /audit\.jsonl:22 stands after the head/)
  for (const each of [lines.slice(0, 20), lines.with(4, 'x'), []]) {
    rewrite(each)
    const { code, stdout } = await verify('--json')
    assert.deepEqual([code, JSON.parse(stdout).verified], [1, false])
  }
  assert.equal((await keyward(['audit', 'verify', 'gone.jsonl'], offline)).code, 2)
})

test('GOV-1: a chain that the server itself refuses to sign is an answer, not an error', async (t) => {
  const server = await openContractServer(t)
  server.answer(api.audit.head, () => {
    throw new AppError('audit.broken', 'entry 9 is missing')
  })
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const { code, stderr } = await keyward(['audit', 'verify'])
  assert.deepEqual([code, stderr], [1, 'keyward: the audit chain does not verify: entry 9 is missing.\n'])
})

test('CLI-1: lists follow their pages on demand, as a table and as JSON', async (t) => {
  const server = await openContractServer(t)
  answerChain(server, chainOf(20))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const first = await keyward(['audit', 'list', '--limit', '7'])
  assert.match(
    first.stdout,
    /^SEQ {2}AT +TYPE +OUTCOME +ACTOR +TARGET\n 20 {2}2026-01-02 03:04:05 {2}secret\.read {2}done/,
  )
  assert.match(first.stderr, /These are the newest 7\. Add --all/)
  const all = JSON.parse((await keyward(['audit', 'list', '--all', '--oldest-first', '--json'])).stdout)
  assert.equal(all.items.length, 20)
  assert.equal(all.items[0].seq, 1)
  assert.equal(all.next, null)
})
