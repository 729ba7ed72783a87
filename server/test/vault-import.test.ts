// `keyward vault import` from a real OpenBao development server into a real Keyward.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { newRootToken, type RunningServer, scratchFolder, startServer } from './support/server.ts'

type Fields = Record<string, unknown>
type Ask = (method: string, path: string, body?: unknown) => Promise<{ status: number; data: Fields }>
type Report = { items: { kind: string; path: string; outcome: string; detail?: string }[]; remarks: string[] }

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** The other vault: in memory, on loopback, ended after the test. */
async function startBao(t: TestContext, path: string): Promise<{ address: string; token: string; ask: Ask }> {
  const port = await freePort()
  const token = `test-${randomBytes(9).toString('hex')}`
  const address = `http://127.0.0.1:${port}`
  const args = ['server', '-dev', `-dev-root-token-id=${token}`, `-dev-listen-address=127.0.0.1:${port}`]
  const child = spawn(path, args, { env: { HOME: scratchFolder(t, 'bao') }, stdio: 'ignore' })
  t.after(() => void child.kill())
  const ask = asker(address, token)
  while (true) {
    const up = await ask('GET', 'sys/health').then(
      ({ status }) => status === 200,
      () => false,
    )
    if (up) return { address, token, ask }
    if (child.exitCode !== null) throw new Error(`bao ended with ${child.exitCode}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const asker =
  (address: string, token: string): Ask =>
  async (method, path, body) => {
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const parsed = (text ? JSON.parse(text) : {}) as Fields
    return { status: response.status, data: (parsed['data'] ?? {}) as Fields }
  }

async function furnish(ask: Ask): Promise<void> {
  for (const n of [1, 2, 3]) await ask('POST', 'secret/data/shop/db', { data: { password: `v${n}` } })
  await ask('POST', 'secret/delete/shop/db', { versions: [1] })
  await ask('POST', 'secret/metadata/shop/db', {
    custom_metadata: { owner: 'ada' },
    max_versions: 7,
    cas_required: true,
  })
  await ask('POST', 'secret/data/odd', { data: { id: 1.5, on: true, deep: { b: 1, a: [null] } } })
  for (let n = 1; n <= 14; n++) await ask('POST', 'secret/data/often', { data: { n: `${n}` } })
  await ask('POST', 'sys/mounts/old', { type: 'kv', description: 'the old ones', options: { version: '1' } })
  await ask('POST', 'old/a/b', { user: 'x', password: 'y' })
  await ask('POST', 'sys/mounts/keys', { type: 'transit' })
  await ask('POST', 'sys/policies/acl/shop', {
    policy: 'path "secret/data/shop/*" { capabilities = ["read"] }',
  })
  await ask('POST', 'sys/auth/machines', { type: 'approle' })
  await ask('POST', 'auth/machines/role/shop', {
    token_policies: 'shop',
    token_ttl: '20m',
    secret_id_num_uses: 5,
  })
  await ask('POST', 'auth/machines/role/shop/secret-id', {})
  await ask('POST', 'sys/auth/people', { type: 'userpass' })
  await ask('POST', 'auth/people/users/ada', { password: 'a long password' })
}

test('VAULT-2: what an OpenBao holds is imported: versions, policies, AppRoles; again it finds everything there', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const bao = await startBao(t, path)
  await furnish(bao.ask)
  const token = newRootToken()
  const server = await startServer(t, { token })
  const here = asker(server.address, token)
  const run = runner(server, bao)

  await t.test('a dry run writes nothing and reads no value', async () => {
    const { report, text } = await run(['--dry-run'])
    assert.ok(report.items.some(({ path, outcome }) => path === 'secret/shop/db' && outcome === 'planned'))
    assert.equal(/v3|a long password/.test(text), false)
    assert.equal((await here('GET', 'secret/metadata/shop/db')).status, 404)
    assert.equal((await here('GET', 'sys/policies/acl/shop')).status, 404)
  })

  await t.test('the import', async () => {
    const { report, code, text } = await run([])
    assert.equal(code, 0, text)
    const failed = report.items.filter(({ outcome }) => outcome === 'failed' || outcome === 'kept')
    assert.deepEqual(failed, [])
    const db = await here('GET', 'secret/metadata/shop/db')
    assert.equal(db.data['current_version'], 3)
    assert.deepEqual(
      [db.data['custom_metadata'], db.data['max_versions'], db.data['cas_required']],
      [{ owner: 'ada' }, 7, true],
    )
    assert.deepEqual((await here('GET', 'secret/data/shop/db?version=2')).data['data'], { password: 'v2' })
    assert.equal((await here('GET', 'secret/data/shop/db?version=1')).status, 404)
    const odd = await here('GET', 'secret/data/odd')
    assert.deepEqual(odd.data['data'], { id: 1.5, on: true, deep: { b: 1, a: [null] } })
    const often = await here('GET', 'secret/metadata/often')
    assert.equal(often.data['current_version'], 14)
    assert.deepEqual((await here('GET', 'secret/data/often?version=14')).data['data'], { n: '14' })
    assert.deepEqual((await here('GET', 'old/a/b')).data, { user: 'x', password: 'y' })
    const role = (await here('GET', 'auth/machines/role/shop')).data
    assert.deepEqual([role['token_policies'], role['token_ttl']], [['shop'], 1200])
    assert.equal(
      (await here('GET', 'auth/machines/role/shop/role-id')).data['role_id'],
      (await bao.ask('GET', 'auth/machines/role/shop/role-id')).data['role_id'],
    )
    assert.match(String((await here('GET', 'sys/policies/acl/shop')).data['policy']), /secret\/data\/shop/)
    const remarks = report.remarks.join('\n')
    for (const words of [/keys\/ is of type transit/, /1 secret ids/, /users ada/])
      assert.match(remarks, words)
    assert.equal(/v3|a long password/.test(text), false)
  })

  await t.test('again: everything is there already', async () => {
    const { report, code } = await run([])
    assert.equal(code, 0)
    assert.deepEqual(new Set(report.items.map(({ outcome }) => outcome)), new Set(['present']))
  })

  await t.test(
    'a version that came later is added; what differs here stays, or is replaced when that was said',
    async () => {
      await bao.ask('POST', 'secret/data/often', { data: { n: '15' } })
      await here('POST', 'secret/data/odd', { data: { ours: true } })
      await here('POST', 'old/a/b', { user: 'ours' })
      const kept = await run([])
      assert.equal(kept.code, 1)
      const outcomes = Object.fromEntries(kept.report.items.map((item) => [item.path, item.outcome]))
      assert.deepEqual(
        [outcomes['secret/often'], outcomes['secret/odd'], outcomes['old/a/b']],
        ['continued', 'kept', 'kept'],
      )
      assert.deepEqual((await here('GET', 'old/a/b')).data, { user: 'ours' })
      await run(['--conflict', 'replace', '--mount', 'old'])
      assert.deepEqual((await here('GET', 'old/a/b')).data, { user: 'x', password: 'y' })
      assert.deepEqual((await here('GET', 'secret/data/odd')).data['data'], { ours: true })
    },
  )

  await t.test(
    'without a token, with a wrong one, from itself, or onto another kind of mount: refused in words',
    async () => {
      const missing = await server.keyward(['vault', 'import', '--from', bao.address])
      assert.match(missing.stderr, /KEYWARD_IMPORT_TOKEN/)
      const wrong = await runner(server, { ...bao, token: 'nobody' }).plain([])
      assert.equal(wrong.code, 2)
      assert.match(wrong.stderr, /answered 403/)
      const self = await runner(server, { ...bao, address: server.address, token }).plain([])
      assert.match(self.stderr, /is this one/)
      await bao.ask('POST', 'sys/mounts/clash', { type: 'kv', options: { version: '2' } })
      await bao.ask('POST', 'clash/data/a', { data: { n: 1 } })
      await here('POST', 'sys/mounts/clash', { type: 'kv', options: { version: '1' } })
      const clash = await run(['--mount', 'clash'])
      assert.deepEqual(
        clash.report.items.map(({ path, outcome }) => [path, outcome]),
        [['clash/', 'kept']],
      )
    },
  )
})

function runner(server: RunningServer, { address, token }: { address: string; token: string }) {
  const plain = (more: readonly string[]) =>
    server.keyward(['vault', 'import', '--from', address, ...more], { env: { KEYWARD_IMPORT_TOKEN: token } })
  const run = async (more: readonly string[]) => {
    const { code, stdout, stderr } = await plain([...more, '--json'])
    assert.notEqual(code, 2, stderr)
    return { code, text: stdout + stderr, report: JSON.parse(stdout) as Report }
  }
  return Object.assign(run, { plain })
}
