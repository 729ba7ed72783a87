import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from './support/server.ts'

test('VAULT-1: keyward vault makes, opens and closes a vault of key shares, and no share is an argument', async (t) => {
  const server = await startServer(t, { args: ['--seal', 'shamir'] })
  const keyward = (args: string[], input = '', token = '') =>
    server.keyward(['vault', ...args], { input, env: { KEYWARD_TOKEN: token } })
  const before = await keyward(['status'])
  assert.deepEqual([before.code, /not made yet/.test(before.stdout)], [1, true], before.stderr)
  assert.equal((await keyward(['init', '--shares', '2', '--threshold', '3'])).code, 2)
  const made = await keyward(['init', '--shares', '2', '--threshold', '2', '--json'])
  assert.equal(made.code, 0, made.stderr)
  const { keys, root_token } = JSON.parse(made.stdout) as { keys: string[]; root_token: string }
  const first = await keyward(['unseal'], `${keys[0]}\n`)
  assert.deepEqual([first.code, /Given so far\s+1/.test(first.stdout)], [1, true], first.stdout)
  assert.match((await keyward(['unseal', '--reset'])).stdout, /Given so far\s+0/)
  await keyward(['unseal'], `${keys[0]}\n`)
  assert.notEqual((await keyward(['unseal'], `${keys[1]?.replace(/^../, '00')}\n`)).code, 0)
  for (const key of keys) await keyward(['unseal'], `${key}\n`)
  const open = await keyward(['status'])
  assert.deepEqual([open.code, /Vault\s+open/.test(open.stdout)], [0, true], open.stdout)
  assert.notEqual((await keyward(['seal'])).code, 0, 'without a token')
  assert.equal((await keyward(['seal'], '', root_token)).code, 0)
  assert.equal((await keyward(['status'])).code, 1)
})
