// Identity and signing in at a provider, as the `bao` command does it over HTTP.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { inputRunner, runner, succeeds } from './support/bao-runner.ts'
import { newSigningKey, openIssuer, signed } from './support/oidc-issuer.ts'
import { openUnsealedVault, serveVault } from './support/vault-server.ts'

const generated = (): string => `test-${randomBytes(12).toString('hex')}`

async function setup(t: TestContext, path: string) {
  const { vault, rootToken, clock } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const bao = runner(t, path, url, rootToken)
  const nobody = runner(t, path, url, undefined)
  const field = async (...args: string[]): Promise<string> => (await succeeds(bao(...args))).trim()
  const accessorOf = async (mount: string): Promise<string> => {
    const list = await succeeds(runner(t, path, url, rootToken, 'json')('auth', 'list'))
    return String(JSON.parse(list)[`${mount}/`].accessor)
  }
  return { url, rootToken, clock, bao, nobody, field, accessorOf }
}

async function setupOidc(t: TestContext, path: string, ...more: string[]) {
  const { url, bao, clock } = await setup(t, path)
  const issuer = await openIssuer(t, [await newSigningKey()], clock)
  const config = [
    `oidc_discovery_url=${issuer.url}`,
    `oidc_client_id=${issuer.client.id}`,
    `oidc_client_secret=${issuer.client.secret}`,
    ...more,
  ]
  await succeeds(bao('auth', 'enable', 'oidc'))
  await succeeds(bao('write', 'auth/oidc/config', ...config))
  return { url, bao, issuer }
}

test('VAULT-2: bao keeps entities, groups and aliases, and a policy with a template follows them', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { url, rootToken, bao, nobody, field, accessorOf } = await setup(t, path)
  await succeeds(bao('auth', 'enable', 'userpass'))
  const password = generated()
  await succeeds(
    inputRunner(t, path, url, rootToken)(password, 'write', 'auth/userpass/users/mary', 'password=-'),
  )
  const rules = 'path "secret/data/of/{{identity.entity.name}}" { capabilities = ["create", "update"] }'
  await succeeds(inputRunner(t, path, url, rootToken)(rules, 'policy', 'write', 'own', '-'))
  const entity = await field('write', '-field=id', 'identity/entity', 'name=mary', 'metadata=team=shop')
  await succeeds(
    bao(
      'write',
      'identity/entity-alias',
      'name=mary',
      `canonical_id=${entity}`,
      `mount_accessor=${await accessorOf('userpass')}`,
    ),
  )
  const group = await field(
    'write',
    '-field=id',
    'identity/group',
    'name=buyers',
    'policies=own',
    `member_entity_ids=${entity}`,
  )
  const read = await succeeds(bao('read', 'identity/entity/name/mary'))
  assert.match(read, /metadata\s+map\[team:shop\]/)
  assert.match(read, new RegExp(`direct_group_ids\\s+\\[${group}\\]`))
  assert.match(await succeeds(bao('list', 'identity/entity/name')), /mary/)
  assert.match(await succeeds(bao('list', 'identity/group/id')), new RegExp(group))
  assert.match(await succeeds(bao('write', 'identity/lookup/entity', 'name=mary')), new RegExp(entity))

  const login = (...flags: string[]) =>
    inputRunner(t, path, url, undefined)(
      password,
      'login',
      '-method=userpass',
      '-no-store',
      ...flags,
      'username=mary',
      'password=-',
    )
  const shown = await succeeds(login())
  assert.match(shown, /identity_policies\s+\["own"\]/)
  const token = (await succeeds(login('-field=token'))).trim()
  const mary = runner(t, path, url, token)
  assert.match(await succeeds(mary('token', 'lookup')), new RegExp(`entity_id\\s+${entity}`))
  assert.match(await succeeds(mary('token', 'capabilities', 'secret/data/of/mary')), /create, update/)
  await succeeds(mary('kv', 'put', 'secret/of/mary', 'a=b'))
  assert.match((await mary('kv', 'put', 'secret/of/tom', 'a=b')).err, /permission denied/)
  await succeeds(bao('write', 'identity/entity/name/mary', 'disabled=true'))
  assert.match((await mary('token', 'lookup')).err, /permission denied/)
  await succeeds(bao('delete', 'identity/entity/name/mary'))
  assert.equal((await bao('read', 'identity/entity/name/mary')).code, 2)
  assert.equal((await nobody('list', 'identity/entity/id')).code, 2)
})

test('VAULT-2: bao signs in with a token of a provider', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { bao, nobody, clock } = await setup(t, path)
  const key = await newSigningKey('ES256')
  const issuer = await openIssuer(t, [key], clock)
  await succeeds(bao('auth', 'enable', 'jwt'))
  await succeeds(bao('write', 'auth/jwt/config', `jwks_url=${issuer.url}/keys`))
  await succeeds(
    bao(
      'write',
      'auth/jwt/role/build',
      'role_type=jwt',
      'user_claim=sub',
      'bound_audiences=keyward',
      'bound_claims={"repository": ["shop", "desk"]}',
      'claim_mappings={"repository": "repository"}',
      'token_policies=default',
    ),
  )
  const now = Math.floor(clock.now().getTime() / 1000)
  const claims = { sub: 'job', aud: 'keyward', exp: now + 60, repository: 'shop' }
  const jwt = await signed(key, claims)
  const shown = await succeeds(nobody('write', 'auth/jwt/login', 'role=build', `jwt=${jwt}`))
  assert.match(shown, /token_meta_repository\s+shop/)
  const wrong = await signed(key, { ...claims, repository: 'other' })
  const refused = await nobody('write', 'auth/jwt/login', 'role=build', `jwt=${wrong}`)
  assert.equal(refused.code, 2)
  assert.match(refused.err, /claim "repository" does not match any associated bound claim values/)
})

test('VAULT-2: bao login -method=oidc: the browser goes to the provider and comes back', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { url, bao } = await setupOidc(t, path, 'default_role=person')
  await succeeds(
    bao(
      'write',
      'auth/oidc/role/person',
      'user_claim=sub',
      'allowed_redirect_uris=http://localhost:8250/oidc/callback',
    ),
  )
  const shown = await browsed(t, path, url, [], followed)
  assert.match(shown, /Success! You are now authenticated/)
  assert.match(shown, /token_meta_role\s+person/)
})

test('VAULT-2: bao login -method=oidc: to the server, and with a device', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { url, bao, issuer } = await setupOidc(t, path)
  const usual = ['user_claim=sub', 'poll_interval=1']
  await succeeds(
    bao(
      'write',
      'auth/oidc/role/direct',
      ...usual,
      'callback_mode=direct',
      'oidc_disable_confirmation=true',
      `allowed_redirect_uris=${url}/v1/auth/oidc/oidc/callback`,
    ),
  )
  await succeeds(bao('write', 'auth/oidc/role/device', ...usual, 'callback_mode=device'))
  const direct = await browsed(t, path, url, ['callbackmode=direct', 'role=direct'], followed)
  assert.match(direct, /token_meta_role\s+direct/)
  const device = await browsed(t, path, url, ['callbackmode=device', 'role=device'], () => {
    issuer.state.device = 'yes'
  })
  assert.match(device, /token_meta_role\s+device/)
})

/** The page that it ends on is the client's, or the server's. */
function followed(link: string): void {
  fetch(link).then(
    (answer) => answer.text(),
    () => undefined,
  )
}

/** Runs the command, opens the link that it prints as a browser would, and returns what it prints at the end. */
function browsed(
  t: TestContext,
  path: string,
  url: string,
  more: readonly string[],
  open: (link: string) => void,
): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'keyward-bao-'))
  t.after(() => rmSync(home, { recursive: true, force: true }))
  const port = 20_000 + (process.pid % 20_000)
  const args = ['login', '-method=oidc', '-no-store', 'skip_browser=true', `port=${port}`, ...more]
  const child = spawn(path, args, { env: { HOME: home, BAO_ADDR: url, PATH: '/usr/bin:/bin' } })
  t.after(() => void child.kill())
  let [out, err] = ['', '']
  child.stdout.on('data', (part: Buffer) => {
    out += part.toString()
  })
  let opened = false
  child.stderr.on('data', (part: Buffer) => {
    err += part.toString()
    const link = /http:\/\/127\.0\.0\.1:\S+\/(?:authorize|activate)\S*(?=\s)/.exec(err)?.[0]
    if (!link || opened) return
    opened = true
    open(link)
  })
  return new Promise((resolve, reject) => {
    child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${out}${err}`))))
  })
}
