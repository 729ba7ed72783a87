// Transit as the `bao` command uses it, and keys that move between Keyward and a real OpenBao server.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { type Run, runner, succeeds } from './support/bao-runner.ts'
import { openBaoServer } from './support/openbao-server.ts'
import { base64 } from './support/transit.ts'
import { openUnsealedVault, serveVault } from './support/vault-server.ts'

const plaintext = base64('hello')
const context = base64('abc')

/** The data of an answer, or one field of it. */
type Client = {
  data(...args: string[]): Promise<Record<string, never>>
  field(name: string, ...args: string[]): Promise<string>
}

function clientOf(run: Run): Client {
  const data = async (...args: string[]): Promise<Record<string, never>> => {
    const out = await succeeds(run(...args))
    return (out.trim() === '' ? {} : JSON.parse(out).data) as Record<string, never>
  }
  return { data, field: async (name, ...args) => String((await data(...args))[name]) }
}

/** The same without starting a process for each call. */
function httpClient(url: string, token: string): Client {
  async function data(verb = '', path = '', ...rest: string[]): Promise<Record<string, never>> {
    const fields = rest.map((field) => splitAt(field, field.indexOf('=')))
    const reply = await fetch(`${url}/v1/${path}`, {
      method: verb === 'write' ? 'POST' : 'GET',
      headers: { 'X-Vault-Token': token },
      ...(verb === 'write' ? { body: JSON.stringify(Object.fromEntries(fields)) } : {}),
    })
    const text = await reply.text()
    assert.ok(reply.ok, `${path}: ${text}`)
    return (text === '' ? {} : JSON.parse(text).data) as Record<string, never>
  }
  return { data, field: async (name, ...args) => String((await data(...args))[name]) }
}

const splitAt = (field: string, at: number): [string, string] => [field.slice(0, at), field.slice(at + 1)]

async function keyward(t: TestContext, path: string): Promise<{ bao: Run; url: string; rootToken: string }> {
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const bao = runner(t, path, url, rootToken, 'json')
  await succeeds(bao('secrets', 'enable', 'transit'))
  return { bao, url, rootToken }
}

test('VAULT-4: bao makes keys, encrypts, rotates, rewraps, signs and verifies', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { bao, url } = await keyward(t, path)
  const { data, field } = clientOf(bao)

  await t.test('encrypt, decrypt, rotate, rewrap', async () => {
    await data('write', '-f', 'transit/keys/orders')
    const old = await field('ciphertext', 'write', 'transit/encrypt/orders', `plaintext=${plaintext}`)
    assert.match(old, /^vault:v1:/)
    assert.equal(await field('plaintext', 'write', 'transit/decrypt/orders', `ciphertext=${old}`), plaintext)
    assert.equal(await field('latest_version', 'write', '-f', 'transit/keys/orders/rotate'), '2')
    const fresh = await field('ciphertext', 'write', 'transit/rewrap/orders', `ciphertext=${old}`)
    assert.match(fresh, /^vault:v2:/)
    await data('write', 'transit/keys/orders/config', 'min_decryption_version=2')
    assert.match(
      (await bao('write', 'transit/decrypt/orders', `ciphertext=${old}`)).err,
      /disallowed by policy \(too old\)/,
    )
    assert.equal(
      await field('plaintext', 'write', 'transit/decrypt/orders', `ciphertext=${fresh}`),
      plaintext,
    )
  })

  await t.test('sign, verify, hmac, data keys, random and hash', async () => {
    for (const type of ['ed25519', 'ecdsa-p256', 'rsa-2048']) {
      await data('write', `transit/keys/${type}`, `type=${type}`)
      const signature = await field(
        'signature',
        'write',
        `transit/sign/${type}/sha2-512`,
        `input=${plaintext}`,
      )
      const check = [
        'write',
        `transit/verify/${type}/sha2-512`,
        `input=${plaintext}`,
        `signature=${signature}`,
      ]
      assert.equal(await field('valid', ...check), 'true')
    }
    const hmac = await field('hmac', 'write', 'transit/hmac/orders', `input=${plaintext}`)
    assert.equal(
      await field('valid', 'write', 'transit/verify/orders', `input=${plaintext}`, `hmac=${hmac}`),
      'true',
    )
    assert.ok(await field('plaintext', 'write', '-f', 'transit/datakey/plaintext/orders'))
    assert.match(await field('random_bytes', 'write', 'sys/tools/random/4', 'format=hex'), /^[0-9a-f]{8}$/)
    assert.match(await field('sum', 'write', 'transit/hash/sha2-256', `input=${plaintext}`), /^2cf24dba/)
  })

  await t.test('keys are listed, read, exported and deleted', async () => {
    const listed = JSON.parse(await succeeds(bao('list', 'transit/keys'))) as string[]
    assert.deepEqual(listed, ['ecdsa-p256', 'ed25519', 'orders', 'rsa-2048'])
    assert.equal(await field('type', 'read', 'transit/keys/ed25519'), 'ed25519')
    assert.match((await bao('read', 'transit/export/encryption-key/orders')).err, /not exportable/)
    assert.match((await bao('delete', 'transit/keys/orders')).err, /deletion is not allowed for this key/)
    await data('write', 'transit/keys/orders/config', 'deletion_allowed=true', 'exportable=true')
    assert.ok(await field('keys', 'read', 'transit/export/encryption-key/orders'))
    await succeeds(bao('delete', 'transit/keys/orders'))
    assert.equal((await bao('read', 'transit/keys/orders')).code, 2)
  })

  await t.test('bao wraps key material by itself: transit import and import-version', async (it) => {
    const folder = mkdtempSync(join(tmpdir(), 'keyward-import-'))
    it.after(() => rmSync(folder, { recursive: true, force: true }))
    for (const [number, verb] of ['import', 'import-version'].entries()) {
      const file = join(folder, String(number))
      writeFileSync(file, randomBytes(32).toString('base64'))
      const type = verb === 'import' ? ['type=aes256-gcm96'] : []
      await succeeds(bao('transit', verb, 'transit/keys/mine', `@${file}`, ...type))
    }
    assert.equal(await field('latest_version', 'read', 'transit/keys/mine'), '2')
    assert.match(
      await field('ciphertext', 'write', 'transit/encrypt/mine', `plaintext=${plaintext}`),
      /^vault:v2:/,
    )
  })

  await t.test('a token with a policy does what it says and no more', async (it) => {
    const file = join(mkdtempSync(join(tmpdir(), 'keyward-policy-')), 'p.hcl')
    it.after(() => rmSync(join(file, '..'), { recursive: true, force: true }))
    writeFileSync(file, 'path "transit/encrypt/mine" {\n  capabilities = ["update"]\n}\n')
    await succeeds(bao('policy', 'write', 'encrypts', file))
    const token = JSON.parse(await succeeds(bao('token', 'create', '-policy=encrypts'))).auth
      .client_token as string
    const limited = runner(t, path, url, token, 'json')
    const { field: limitedField } = clientOf(limited)
    const sealed = await limitedField('ciphertext', 'write', 'transit/encrypt/mine', `plaintext=${plaintext}`)
    assert.match(
      (await limited('write', 'transit/decrypt/mine', `ciphertext=${sealed}`)).err,
      /permission denied/,
    )
  })
})

test('VAULT-4: keys move from OpenBao to Keyward and back, and what was made with them stays good', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const mine = await keyward(t, path)
  const theirs = await openBaoServer(t, path)
  const [here, there] = [httpClient(mine.url, mine.rootToken), httpClient(theirs.url, theirs.token)]
  await there.data('write', 'sys/mounts/transit', 'type=transit')

  async function move(from: Client, to: Client, name: string): Promise<void> {
    const backup = await from.field('backup', 'read', `transit/backup/${name}`)
    await to.data('write', `transit/restore/${name}`, `backup=${backup}`)
  }

  for (const [from, to, where] of [
    [there, here, 'here'],
    [here, there, 'there'],
  ] as const) {
    for (const type of ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'rsa-2048'])
      await t.test(`${type} to ${where}`, async () => {
        const name = `${where}-${type}`
        await from.data(
          'write',
          `transit/keys/${name}`,
          `type=${type}`,
          'exportable=true',
          'allow_plaintext_backup=true',
        )
        const first = await from.field(
          'ciphertext',
          'write',
          `transit/encrypt/${name}`,
          `plaintext=${plaintext}`,
        )
        await from.data('write', `transit/keys/${name}/rotate`)
        const second = await from.field(
          'ciphertext',
          'write',
          `transit/encrypt/${name}`,
          `plaintext=${plaintext}`,
        )
        await move(from, to, name)
        for (const ciphertext of [first, second])
          assert.equal(
            await to.field('plaintext', 'write', `transit/decrypt/${name}`, `ciphertext=${ciphertext}`),
            plaintext,
          )
        const back = await to.field(
          'ciphertext',
          'write',
          `transit/encrypt/${name}`,
          `plaintext=${plaintext}`,
        )
        assert.match(back, /^vault:v2:/)
        assert.equal(
          await from.field('plaintext', 'write', `transit/decrypt/${name}`, `ciphertext=${back}`),
          plaintext,
        )
      })

    await t.test(`convergent to ${where}`, async () => {
      const name = `${where}-convergent`
      const settings = [
        'derived=true',
        'convergent_encryption=true',
        'exportable=true',
        'allow_plaintext_backup=true',
      ]
      await from.data('write', `transit/keys/${name}`, ...settings)
      await move(from, to, name)
      const encrypt = ['write', `transit/encrypt/${name}`, `plaintext=${plaintext}`, `context=${context}`]
      assert.equal(await to.field('ciphertext', ...encrypt), await from.field('ciphertext', ...encrypt))
    })

    for (const [type, ...how] of [
      ['ed25519'],
      ['ed25519', 'derived=true'],
      ['ecdsa-p256', 'marshaling_algorithm=jws'],
      ['ecdsa-p384', 'prehashed=true'],
      ['ecdsa-p521'],
      ['rsa-2048', 'signature_algorithm=pkcs1v15'],
      ['rsa-2048', 'salt_length=hash'],
      ['rsa-2048', 'prehashed=true'],
    ])
      await t.test(`signatures of ${[type, ...how].join(' ')} to ${where}`, async () => {
        const name = [where, type, ...how].join('-').replaceAll(/[=_]/g, '-')
        const derived = how.includes('derived=true')
        const settings = [`type=${type}`, 'exportable=true', 'allow_plaintext_backup=true']
        await from.data('write', `transit/keys/${name}`, ...settings, `derived=${derived}`)
        await move(from, to, name)
        const input = how.includes('prehashed=true') ? randomBytes(32).toString('base64') : plaintext
        const fields = [`input=${input}`, ...(derived ? [`context=${context}`] : how)]
        for (const [signer, verifier] of [
          [from, to],
          [to, from],
        ] as const) {
          const signature = await signer.field('signature', 'write', `transit/sign/${name}`, ...fields)
          const check = ['write', `transit/verify/${name}`, `signature=${signature}`, ...fields]
          assert.equal(await verifier.field('valid', ...check), 'true')
        }
        const hmac = await from.field('hmac', 'write', `transit/hmac/${name}`, `input=${plaintext}`)
        assert.equal(
          await to.field('valid', 'write', `transit/verify/${name}`, `input=${plaintext}`, `hmac=${hmac}`),
          'true',
        )
      })
  }
})
