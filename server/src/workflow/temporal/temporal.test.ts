import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '../../core/index.ts'
import { createCodec } from './codec.ts'
import { credentialsOf, temporalSettings } from './settings.ts'

const newKey = (): Secret => new Secret(randomBytes(32).toString('base64'))
const payload = (text: string) => ({
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(JSON.stringify(text)),
})

test('OPS-4: a payload comes back as it was, and shows nothing of itself', async () => {
  const codec = createCodec(newKey())
  const [sealed, again] = await codec.encode([payload('what a run says'), payload('what a run says')])
  assert.ok(sealed?.data && again?.data)
  assert.ok(!Buffer.from(sealed.data).includes('what a run says'))
  assert.notDeepEqual(sealed.data, again.data, 'each has a nonce of its own')
  assert.deepEqual(await codec.decode([sealed]), [payload('what a run says')])
  assert.deepEqual(await codec.encode([]), [])
  const [empty] = await codec.encode([{ metadata: { encoding: Buffer.from('binary/null') } }])
  assert.ok(empty)
  const [opened] = await codec.decode([empty])
  assert.deepEqual([...(opened?.data ?? [1])], [])
})

test('OPS-4: what another key sealed, what was changed and what nobody sealed is refused', async () => {
  const codec = createCodec(newKey())
  const [sealed] = await codec.encode([payload('mine')])
  assert.ok(sealed?.data)
  const refused = { code: 'temporal.foreign_payload' }
  await assert.rejects(createCodec(newKey()).decode([sealed]), refused)
  for (const at of [0, 12, 28]) {
    const changed = Buffer.from(sealed.data)
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    await assert.rejects(codec.decode([{ ...sealed, data: changed }]), refused)
  }
  await assert.rejects(codec.decode([{ ...sealed, data: Buffer.from('short') }]), refused)
  await assert.rejects(codec.decode([payload('plain')]), refused)
})

test('WORK-2: an address is all that Temporal takes, and what makes no sense together is refused', () => {
  const address = { KEYWARD_TEMPORAL_ADDRESS: 'temporal.internal:7233' }
  assert.equal(temporalSettings({}), undefined)
  const { namespace, tls } = temporalSettings(address) ?? {}
  assert.deepEqual([namespace, tls], ['default', false])
  assert.equal(temporalSettings({ ...address, KEYWARD_TEMPORAL_API_KEY_FILE: '/key' })?.tls, true)
  assert.equal(temporalSettings({ ...address, KEYWARD_TEMPORAL_TLS: 'true' })?.tls, true)
  assert.ok(temporalSettings({ KEYWARD_TEMPORAL_ADDRESS: '[::1]:7233' }))
  for (const wrong of [
    { KEYWARD_TEMPORAL_ADDRESS: 'https://temporal.internal:7233' },
    { KEYWARD_TEMPORAL_ADDRESS: 'temporal.internal' },
    { ...address, KEYWARD_TEMPORAL_TLS: 'yes' },
    { ...address, KEYWARD_TEMPORAL_TLS_CERT: '/cert' },
    { ...address, KEYWARD_TEMPORAL_TLS_KEY: '/key' },
    { ...address, KEYWARD_TEMPORAL_TLS: 'false', KEYWARD_TEMPORAL_TLS_CA: '/ca' },
  ])
    assert.throws(() => temporalSettings(wrong), { code: 'request.invalid' })
})

test('WORK-2: certificates and the API key are read from their files, and a missing one is named', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'api.key')
  const apiKey = randomBytes(12).toString('hex')
  writeFileSync(file, `${apiKey}\n`)
  chmodSync(file, 0o600)
  const settings = { address: 'a:1', namespace: 'n', tls: true }
  assert.equal((await credentialsOf({ ...settings, apiKeyFile: file })).apiKey?.reveal(), apiKey)
  assert.deepEqual(await credentialsOf(settings), {})
  await assert.rejects(credentialsOf({ ...settings, caFile: join(folder, 'none.pem') }), {
    code: 'temporal.unavailable',
    message: /cannot be reached|cannot be read/,
  })
})
