import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { type Fields, openTransit } from '../../../../test/support/transit.ts'
import { AppError, type Log } from '../../../core/index.ts'

/** A log that keeps what it is given. */
function keepingLog(): { log: Log; text(): string } {
  const lines: string[] = []
  const keep = (fields: Record<string, unknown>, message: string): void => {
    lines.push(inspect(fields, { depth: 10 }) + message)
  }
  return { log: { info: keep, warn: keep, error: keep }, text: () => lines.join('\n') }
}

/** Everything that a run leaves outside of its answers: audit entries, log and files. */
function tracesOf(dataDir: string): Buffer {
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  return Buffer.concat(files.map((entry) => readFileSync(join(entry.parentPath, entry.name))))
}

test('VAULT-4: neither keys nor what is encrypted with them stand in the audit log, the log, refusals or files', async (t) => {
  const { log, text } = keepingLog()
  const { ok, read, call, audit, dataDir } = await openTransit(t, { log })
  const value = randomBytes(24)
  const plaintext = value.toString('base64')
  const secrets: Buffer[] = [value]
  for (const [type, kind] of [
    ['aes256-gcm96', 'encryption-key'],
    ['ed25519', 'signing-key'],
    ['ecdsa-p256', 'signing-key'],
  ] as const) {
    await ok(`keys/${type}`, { type, exportable: true, allow_plaintext_backup: true })
    for (const what of [kind, 'hmac-key']) {
      const keys = (await read(`export/${what}/${type}?format=${what === 'hmac-key' ? '' : formatOf(type)}`))[
        'keys'
      ]
      secrets.push(Buffer.from(String((keys as Fields)['1']), 'base64'))
    }
    await read(`backup/${type}`)
  }
  const made = await ok('datakey/plaintext/aes256-gcm96')
  secrets.push(Buffer.from(String(made['plaintext']), 'base64'))
  const { ciphertext } = await ok('encrypt/aes256-gcm96', { plaintext, associated_data: plaintext })
  await ok('decrypt/aes256-gcm96', { ciphertext, associated_data: plaintext })
  await ok('sign/ed25519', { input: plaintext })
  await ok('hmac/ed25519', { input: plaintext })
  await ok('hash', { input: plaintext })
  const { backup } = await read('backup/aes256-gcm96')
  // Refused in every way that could quote what was sent.
  const refusals: [string, Fields][] = [
    ['encrypt/aes256-gcm96', { plaintext: `${plaintext}*` }],
    ['encrypt/aes256-gcm96', { plaintext, key_version: plaintext }],
    ['encrypt/aes256-gcm96', { batch_input: plaintext }],
    ['decrypt/aes256-gcm96', { ciphertext: plaintext }],
    ['decrypt/aes256-gcm96', { ciphertext: `vault:v1:${plaintext}` }],
    ['restore', { backup }],
    ['restore', { backup: plaintext }],
    ['keys/x/import', { type: 'ed25519', ciphertext: plaintext }],
    ['keys/x/import', { type: 'ed25519', public_key: plaintext }],
    ['random', { bytes: plaintext }],
  ]
  const said: string[] = []
  for (const [path, body] of refusals) {
    const reply = await call('POST', `transit/${path}`, body)
    assert.equal(reply.status, 400, path)
    said.push(JSON.stringify(reply.body))
  }
  const { items } = await audit.page({ limit: 200, order: 'asc' })
  assert.ok(items.length > refusals.length)
  const traces = Buffer.concat([
    tracesOf(dataDir),
    Buffer.from([JSON.stringify(items), text(), ...said].join('\n')),
  ])
  for (const secret of secrets) {
    assert.ok(secret.length >= 24)
    for (const form of [secret.toString('base64').replace(/=+$/, ''), secret.toString('hex'), secret])
      assert.equal(traces.includes(form), false)
  }
})

/** Only Ed25519 has a raw form of its private key; the others are compared as DER. */
const formatOf = (type: string): string => (type === 'ecdsa-p256' ? 'der' : 'raw')

test('VAULT-4: what is done with keys is in the audit log by name, version and number, before it is answered', async (t) => {
  const { ok, read, audit, call } = await openTransit(t)
  await ok('keys/k', { exportable: true, allow_plaintext_backup: true })
  await ok('keys/k/rotate')
  await ok('keys/k/config', { deletion_allowed: true })
  await ok('encrypt/k', { batch_input: [{ plaintext: '' }, { plaintext: '' }] })
  await read('export/encryption-key/k/latest')
  const { backup } = await read('backup/k')
  await call('DELETE', 'transit/keys/k')
  await ok('restore', { backup })
  const { items } = await audit.page({ limit: 100, order: 'asc' })
  const told = items
    .filter(({ target }) => target.startsWith('path:transit/'))
    .map(({ type, target, outcome, detail }) => [type, target.slice(13), outcome, (detail as Fields)['note']])
  assert.deepEqual(told, [
    ['key.created', 'keys/k', 'done', { type: 'aes256-gcm96' }],
    ['key.rotated', 'keys/k/rotate', 'done', { version: 2 }],
    ['key.changed', 'keys/k/config', 'done', { deletionAllowed: true }],
    ['vault.request', 'encrypt/k', 'done', { items: 2 }],
    ['key.exported', 'export/encryption-key/k/latest', 'done', { kind: 'encryption-key', versions: [2] }],
    ['key.exported', 'backup/k', 'done', { kind: 'backup' }],
    ['key.deleted', 'keys/k', 'done', undefined],
    ['key.restored', 'restore', 'done', { name: 'k', versions: 2 }],
  ])
})

test('VAULT-4: nothing is encrypted when its audit entry cannot be stored', async (t) => {
  const { ok, call, audit } = await openTransit(t)
  await ok('keys/k')
  Object.assign(audit, { recordRead: () => Promise.reject(new AppError('audit.unavailable')) })
  const reply = await call('POST', 'transit/encrypt/k', { plaintext: '' })
  assert.ok(reply.status >= 500)
  assert.equal(JSON.stringify(reply.body).includes('vault:v1'), false)
})
