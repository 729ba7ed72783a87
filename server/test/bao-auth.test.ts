// Signing in as the `bao` command does it: auth methods, logins, wrapped answers and token roles over HTTP.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { inputRunner, runner, succeeds } from './support/bao-runner.ts'
import { openUnsealedVault, serveVault } from './support/vault-server.ts'

const generated = (): string => `test-${randomBytes(12).toString('hex')}`

test('VAULT-2: bao signs in', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const bao = runner(t, path, url, rootToken)
  const nobody = runner(t, path, url, undefined)
  const baoWithInput = inputRunner(t, path, url, rootToken)
  const nobodyWithInput = inputRunner(t, path, url, undefined)
  await succeeds(bao('kv', 'put', 'secret/shop', 'key=v'))
  const field = async (...args: string[]): Promise<string> => (await succeeds(bao(...args))).trim()

  await t.test('auth enable, list, tune, disable', async () => {
    assert.match(
      await succeeds(bao('auth', 'enable', '-max-lease-ttl=2h', 'approle')),
      /Enabled approle auth method/i,
    )
    await succeeds(bao('auth', 'enable', '-path=people', '-description=people', 'userpass'))
    const list = await succeeds(bao('auth', 'list'))
    assert.match(list, /approle\/\s+approle/)
    assert.match(list, /people\/\s+userpass\s+\S+\s+people/)
    await succeeds(bao('auth', 'tune', '-default-lease-ttl=1h', 'approle'))
    assert.match(await succeeds(bao('read', 'sys/auth/approle/tune')), /default_lease_ttl\s+1h/)
    assert.match((await bao('auth', 'enable', 'approle')).err, /path is already in use at/)
    assert.match((await bao('auth', 'enable', 'magic')).err, /plugin not found in the catalog/)
    await succeeds(bao('auth', 'enable', '-path=gone', 'approle'))
    await succeeds(bao('auth', 'disable', 'gone'))
    assert.doesNotMatch(await succeeds(bao('auth', 'list')), /gone/)
  })

  await t.test('approle: role, secret id, login', async () => {
    await succeeds(
      bao(
        'write',
        'auth/approle/role/shop',
        'token_policies=default',
        'token_ttl=20m',
        'secret_id_num_uses=2',
      ),
    )
    assert.match(await succeeds(bao('read', 'auth/approle/role/shop')), /token_ttl\s+20m/)
    assert.match(await succeeds(bao('list', 'auth/approle/role')), /shop/)
    const roleId = await field('read', '-field=role_id', 'auth/approle/role/shop/role-id')
    const secretId = await field('write', '-f', '-field=secret_id', 'auth/approle/role/shop/secret-id')
    const login = [
      'write',
      '-field=token',
      'auth/approle/login',
      `role_id=${roleId}`,
      `secret_id=${secretId}`,
    ]
    const token = (await succeeds(nobody(...login))).trim()
    assert.match(await succeeds(runner(t, path, url, token)('token', 'lookup')), /display_name\s+approle/)
    await succeeds(nobody(...login))
    const refused = await nobody(...login)
    assert.equal(refused.code, 2)
    assert.match(refused.err, /invalid role or secret ID/)
    await succeeds(bao('write', 'auth/approle/role/shop/token-ttl', 'token_ttl=5m'))
    assert.match(await succeeds(bao('read', 'auth/approle/role/shop/token-ttl')), /token_ttl\s+5m/)
    await succeeds(bao('write', '-f', 'auth/approle/tidy/secret-id'))
  })

  await t.test('a wrapped secret id is unwrapped once', async () => {
    const wrapped = await field(
      'write',
      '-f',
      '-wrap-ttl=2m',
      '-field=wrapping_token',
      'auth/approle/role/shop/secret-id',
    )
    assert.match(
      await succeeds(bao('write', 'sys/wrapping/lookup', `token=${wrapped}`)),
      /creation_path\s+auth\/approle\/role\/shop\/secret-id/,
    )
    assert.match(await succeeds(nobody('unwrap', '-field=secret_id', wrapped)), /^[0-9a-f-]{36}\s*$/)
    const again = await nobody('unwrap', wrapped)
    assert.equal(again.code, 2)
    assert.match(again.err, /wrapping token is not valid or does not exist/)
    const secret = await field('read', '-wrap-ttl=60', '-field=wrapping_token', 'secret/data/shop')
    assert.match(await succeeds(bao('unwrap', secret)), /map\[key:v\]/)
  })

  await t.test('login with a name and a password', async () => {
    const password = generated()
    await succeeds(
      baoWithInput(password, 'write', 'auth/people/users/mary', 'password=-', 'token_policies=default'),
    )
    const login = ['login', '-method=userpass', '-path=people', '-no-store', '-field=token', 'username=mary']
    const token = (await succeeds(nobodyWithInput(password, ...login, 'password=-'))).trim()
    assert.match(await succeeds(runner(t, path, url, token)('token', 'lookup')), /display_name\s+people-mary/)
    const refused = await nobodyWithInput(generated(), ...login, 'password=-')
    assert.equal(refused.code, 2)
    assert.match(refused.err, /invalid username or password/)
  })

  await t.test('token create with a role, and a batch token', async () => {
    await succeeds(
      bao('write', 'auth/token/roles/app', 'allowed_policies=shop', 'orphan=true', 'token_period=1h'),
    )
    const created = await succeeds(bao('token', 'create', '-role=app'))
    assert.match(created, /token_policies\s+\["default" "shop"\]/)
    assert.match(created, /token_duration\s+1h/)
    assert.match(
      (await bao('token', 'create', '-role=app', '-policy=other')).err,
      /must be subset of the role's allowed policies/,
    )
    assert.match((await bao('token', 'create', '-role=none')).err, /unknown role none/)
    const batch = await field('token', 'create', '-type=batch', '-policy=default', '-ttl=5m', '-field=token')
    const asBatch = runner(t, path, url, batch)
    assert.match(await succeeds(asBatch('token', 'lookup')), /type\s+batch/)
    assert.match((await asBatch('token', 'renew')).err, /batch tokens cannot be renewed/)
  })
})
