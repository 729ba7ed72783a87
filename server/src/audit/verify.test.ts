import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { test } from 'node:test'
import type { AuditEntry, AuditHead } from '@keyward/contract'
import { canonicalJson, digestOf } from '../core/index.ts'
import { chainStart, type VerifyProblem, verifyAudit } from './verify.ts'

const keys = generateKeyPairSync('ed25519')
const startedAt = Date.UTC(2026, 0, 2)

const sealed = (content: Omit<AuditEntry, 'hash'>): AuditEntry => ({ ...content, hash: digestOf(content) })

function chainOf(length: number): AuditEntry[] {
  const chain: AuditEntry[] = []
  for (let seq = 1; seq <= length; seq++) {
    chain.push(
      sealed({
        seq,
        id: `aud_${seq}`,
        at: new Date(startedAt + seq * 1000).toISOString(),
        type: 'secret.read',
        outcome: seq % 2 ? 'intent' : 'done',
        actor: 'person:ada',
        target: 'secret:secret/shop/stripe',
        correlation: '',
        detail: { b: seq, a: ['ü', null] },
        previous: chain.at(-1)?.hash ?? chainStart,
      }),
    )
  }
  return chain
}

function headOf(chain: readonly AuditEntry[], { privateKey, publicKey } = keys): AuditHead {
  const content = {
    seq: chain.length,
    hash: chain.at(-1)?.hash ?? chainStart,
    at: new Date(startedAt).toISOString(),
  }
  return { ...content, signature: signatureOf(content, privateKey), publicKey: pemOf(publicKey) }
}

const signatureOf = (content: { seq: number; hash: string; at: string }, key: KeyObject): string =>
  sign(null, Buffer.from(canonicalJson(content)), key).toString('base64')
const pemOf = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString()

async function* each(chain: readonly AuditEntry[]): AsyncIterable<AuditEntry> {
  yield* chain
}

const kindsOf = (problems: readonly VerifyProblem[]): string[] =>
  problems.map(({ kind, seq }) => `${kind} ${seq}`)

async function problemsOf(chain: AuditEntry[], head: AuditHead): Promise<string[]> {
  const report = await verifyAudit({ entries: each(chain), head })
  assert.equal(report.verified, report.problemCount === 0)
  return kindsOf(report.problems)
}

const at = (chain: AuditEntry[], index: number): AuditEntry => {
  const entry = chain[index]
  assert.ok(entry)
  return entry
}

test('GOV-1: a whole chain verifies, also an empty one', async () => {
  const chain = chainOf(5)
  const report = await verifyAudit({ entries: each(chain), head: headOf(chain) })
  assert.deepEqual(report, {
    verified: true,
    entries: 5,
    lastHash: chain[4]?.hash,
    firstAt: '2026-01-02T00:00:01.000Z',
    lastAt: '2026-01-02T00:00:05.000Z',
    problems: [],
    problemCount: 0,
  })
  assert.deepEqual(await problemsOf([], headOf([])), [])
})

test('GOV-1: a changed entry shows, in whichever field', async () => {
  const changes: Partial<AuditEntry>[] = [
    { actor: 'person:eve' },
    { at: '2026-01-02T00:00:09.000Z' },
    { detail: { b: 3, a: ['u', null] } },
    { outcome: 'denied' },
    { id: 'aud_9' },
  ]
  for (const change of changes) {
    const chain = chainOf(5)
    const head = headOf(chain)
    chain[2] = { ...at(chain, 2), ...change }
    assert.deepEqual(await problemsOf(chain, head), ['hash 3'])
  }
})

test('GOV-1: a changed entry that was hashed again breaks the link of the next', async () => {
  const chain = chainOf(5)
  const head = headOf(chain)
  const { hash: _, ...content } = at(chain, 2)
  chain[2] = sealed({ ...content, actor: 'person:eve' })
  assert.deepEqual(await problemsOf(chain, head), ['link 4'])
})

test('GOV-1: a removed, doubled or moved entry shows', async () => {
  const chain = chainOf(5)
  const head = headOf(chain)
  assert.deepEqual(await problemsOf(chain.toSpliced(2, 1), head), ['sequence 4', 'link 4', 'length 5'])
  assert.deepEqual(await problemsOf(chain.toSpliced(0, 1), head), ['sequence 2', 'link 2', 'length 5'])
  assert.deepEqual(await problemsOf(chain.toSpliced(2, 0, at(chain, 2)), head), [
    'sequence 3',
    'link 3',
    'length 5',
  ])
  const moved = [at(chain, 0), at(chain, 2), at(chain, 1), at(chain, 3), at(chain, 4)]
  assert.deepEqual(await problemsOf(moved, head), [
    'sequence 3',
    'link 3',
    'sequence 2',
    'link 2',
    'sequence 4',
    'link 4',
  ])
})

test('GOV-1: removing the newest entries shows, and so does adding one', async () => {
  const chain = chainOf(5)
  assert.deepEqual(await problemsOf(chain.slice(0, 4), headOf(chain)), ['length 5', 'head 5'])
  assert.deepEqual(await problemsOf([], headOf(chain)), ['length 5', 'head 5'])
  assert.deepEqual(await problemsOf(chain, headOf(chain.slice(0, 4))), ['length 4', 'head 4'])
})

test('GOV-1: a head that was changed or signed by another key shows', async () => {
  const chain = chainOf(3)
  const head = headOf(chain)
  const other = generateKeyPairSync('ed25519')
  assert.deepEqual(await problemsOf(chain, { ...head, at: '2026-02-02T00:00:00.000Z' }), ['signature 3'])
  assert.deepEqual(await problemsOf(chain, { ...head, signature: '' }), ['signature 3'])
  assert.deepEqual(await problemsOf(chain, { ...head, publicKey: pemOf(other.publicKey) }), ['signature 3'])
  assert.deepEqual(await problemsOf(chain, { ...head, publicKey: 'none' }), ['key 3'])
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  assert.deepEqual(await problemsOf(chain, { ...head, publicKey: pemOf(rsa.publicKey) }), ['key 3'])

  const trusted = await verifyAudit({
    entries: each(chain),
    head: headOf(chain, other),
    publicKey: pemOf(keys.publicKey),
  })
  assert.deepEqual(kindsOf(trusted.problems), ['key 3'])
})

test('GOV-1: a chain cut and signed anew by its own keeper is caught by a head seen earlier', async () => {
  const chain = chainOf(5)
  const known = [{ seq: 5, hash: at(chain, 4).hash }]
  const cut = chain.slice(0, 3)
  const report = await verifyAudit({ entries: each(cut), head: headOf(cut), known })
  assert.deepEqual(kindsOf(report.problems), ['known 5'])
  const grown = chainOf(9)
  assert.equal((await verifyAudit({ entries: each(grown), head: headOf(grown), known })).verified, true)
})

test('GOV-1: of many problems the first are kept and all are counted', async () => {
  const chain = chainOf(50)
  const head = headOf(chain)
  const changed = chain.map((entry) => ({ ...entry, actor: 'person:eve' }))
  const report = await verifyAudit({ entries: each(changed), head })
  assert.equal(report.problems.length, 20)
  assert.equal(report.problemCount, 50)
})
