import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64, type Fields, openTransit } from '../../../../test/support/transit.ts'

const bytes = (count: number): string => base64('k'.repeat(count))
const values: readonly unknown[] = [
  ...[undefined, null, '', 0, -1, 1, 2, 1e20, 1.5, true, [], {}, [{}], [1], [{ plaintext: 'aaaa' }]],
  ...['x', '*', 'aaaa', bytes(32), bytes(64), '9'.repeat(30), '__proto__', '\u0000'],
  ...[
    'vault:v1:',
    'vault:v1:aaaa',
    'vault:v1:MAYCAQECAQE=',
    ...[30, 64, 256].map((n) => `vault:v1:${bytes(n)}`),
  ],
  ...['pss', 'pkcs1v15', 'jws', 'asn1', 'none', 'sha1', 'sha2-512', 'rsa-2048', 'aes256-gcm96', 'hmac'],
]
const fields =
  'plaintext ciphertext input signature hmac context associated_data nonce key_version batch_input prehashed hash_algorithm signature_algorithm marshaling_algorithm salt_length bits bytes format type public_key backup min_decryption_version min_encryption_version auto_rotate_period min_available_version version hash_function partial_failure_response_code derived key_size reference force'.split(
    ' ',
  )
const paths =
  'encrypt/N decrypt/N rewrap/N datakey/plaintext/N sign/N verify/N sign/N/sha2-512 verify/N/none hmac/N random hash keys/new keys/N/config keys/N/trim keys/N/import keys/other/import keys/N/import_version restore restore/r config/keys'.split(
    ' ',
  )

/** The same numbers in every run (Lehmer's generator), so that what fails can be repeated. */
function sequence(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

test('VAULT-4: whatever is sent is answered or refused, and never an internal error', async (t) => {
  const { call, ok } = await openTransit(t)
  const names = ['aes128-gcm96', 'chacha20-poly1305', 'ed25519', 'ecdsa-p256', 'ecdsa-p521', 'rsa-2048']
  for (const type of names) await ok(`keys/${type}`, { type })
  await ok('keys/h', { type: 'hmac', key_size: 32 })
  await ok('keys/c', { derived: true, convergent_encryption: true })
  await ok('keys/e', { type: 'ed25519', derived: true })
  const all = [...names, 'h', 'c', 'e']
  const below = sequence(20_260_101)
  const one = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const some = (count: number): Fields =>
    Object.fromEntries(Array.from({ length: count }, () => [one(fields), one(values)]))
  const statuses = new Set<number>()
  for (let round = 0; round < 600; round++) {
    const body =
      below(5) === 0 ? { ...some(2), batch_input: [some(4), { input: 'aaaa' }] } : some(1 + below(5))
    const path = `transit/${one(paths).replace('N', one(all))}`
    const { status } = await call('POST', path, body)
    assert.ok(status < 500, `${path} ${JSON.stringify(body)}: ${status}`)
    statuses.add(status)
  }
  assert.ok(statuses.has(200) && statuses.has(400))
})
