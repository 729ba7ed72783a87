// The vault's operations for the console, on the real server: what each does, what it refuses, who may, and what is recorded.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { codeOf, type RunningServer, startServer } from './support/server.ts'

const madeUp = (): string => `made-up-${randomBytes(12).toString('hex')}`

/** A token of the vault that has the one policy. */
async function tokenWith(server: RunningServer, name: string, policy: string) {
  await server.call(api.acl.write, { policyName: name, text: policy })
  const body = { policies: [name], no_default_policy: true }
  const { body: answer } = await server.ask('POST', '/v1/auth/token/create', { body })
  const { auth } = answer as { auth: { client_token: string; accessor: string } }
  return { token: auth.client_token, accessor: auth.accessor }
}

const refusal = async (
  server: RunningServer,
  method: string,
  path: string,
  body?: unknown,
  token?: string,
) => {
  const reply = await server.ask(method, `/api/v1${path}`, { body, ...(token ? { token } : {}) })
  return [reply.status, codeOf(reply)]
}

test('UI-1: the vault, looked at and changed through the API', async (t) => {
  const server = await startServer(t)
  const call = server.call

  await t.test(
    'VAULT-2: secrets: written with the version that was seen, compared, searched, deleted, brought back, purged',
    async () => {
      const path = 'secret/shop/stripe'
      const [first, second] = [madeUp(), madeUp()]
      assert.deepEqual(await call(api.secrets.write, { path, set: { key: first, region: 'eu' }, cas: 0 }), {
        path,
        version: 1,
      })
      assert.deepEqual(await refusal(server, 'PUT', '/secrets', { path, set: { key: 'x' }, cas: 0 }), [
        400,
        'secret.cas_mismatch',
      ])
      const changed = await call(api.secrets.write, {
        path,
        set: { key: second },
        remove: ['region'],
        cas: 1,
      })
      assert.equal(changed.version, 2)
      assert.deepEqual((await call(api.secrets.compare, { path, from: 1, to: 2 })).fields, [
        { field: 'key', change: 'changed' },
        { field: 'region', change: 'removed' },
      ])
      assert.equal((await call(api.secrets.reveal, { path, field: 'key', version: 1 })).value, first)
      assert.equal((await call(api.secrets.reveal, { path, field: 'key' })).value, second)
      assert.deepEqual(await refusal(server, 'GET', `/secrets/compare?path=${path}&from=1&to=9`), [
        404,
        'secret.not_found',
      ])
      await call(api.secrets.delete, { path, versions: [2] })
      assert.deepEqual(await refusal(server, 'PUT', '/secrets', { path, set: { key: 'x' }, cas: 2 }), [
        404,
        'secret.not_found',
      ])
      await call(api.secrets.undelete, { path, versions: [2] })
      await call(api.secrets.destroy, { path, versions: [1] })
      const history = await call(api.secrets.history, { path })
      assert.deepEqual(
        history.versions.map(({ version, deletedAt, destroyed }) => [version, deletedAt, destroyed]),
        [
          [1, null, true],
          [2, null, false],
        ],
      )
      const { items, complete } = await call(api.secrets.search, { words: 'SHOP stri' })
      assert.deepEqual([items.map((item) => item.path), complete], [[path], true])
      assert.deepEqual(await refusal(server, 'POST', '/secrets/purge', { path, confirm: 'secret/shop' }), [
        400,
        'request.invalid',
      ])
      await call(api.secrets.purge, { path, confirm: path })
      assert.deepEqual(await refusal(server, 'GET', `/secrets/history?path=${path}`), [
        404,
        'secret.not_found',
      ])
      for (const bad of ['secret/', 'secret/a//b', 'sys/policies/acl/x', 'nowhere/x'])
        assert.equal(
          (await refusal(server, 'PUT', '/secrets', { path: bad, set: { a: 'b' }, cas: 0 }))[0],
          bad.startsWith('secret') ? 400 : 404,
          bad,
        )
    },
  )

  await t.test('VAULT-2: mounts: added, tuned, and removed only when the path is repeated', async () => {
    const made = await call(api.mounts.enable, {
      path: 'team/kv',
      type: 'kv',
      version: '2',
      description: 'Team',
    })
    assert.deepEqual([made.path, made.kind, made.version, made.fixed], ['team/kv/', 'secret', 2, false])
    const { items: top } = await call(api.secrets.list, {})
    assert.deepEqual(
      top.map((entry) => [entry.path, entry.folder]),
      [
        ['secret/', true],
        ['team/kv/', true],
      ],
    )
    await call(api.mounts.enable, { path: 'auth/apps', type: 'approle' })
    const tuned = await call(api.mounts.tune, {
      path: 'auth/apps/',
      maxTtlSeconds: 3600,
      description: 'Apps',
    })
    assert.deepEqual([tuned.maxTtlSeconds, tuned.description], [3600, 'Apps'])
    const { items, types } = await call(api.mounts.list, {})
    assert.ok(items.some(({ path, fixed }) => path === 'sys/' && fixed))
    assert.ok(types.secret.includes('transit') && types.auth.includes('approle'))
    for (const [method, path, body, expected] of [
      ['POST', '/vault/mounts', { path: 'team/kv', type: 'kv' }, [400, 'request.invalid']],
      ['POST', '/vault/mounts', { path: 'x', type: 'magic' }, [400, 'request.invalid']],
      ['POST', '/vault/mounts', { path: 'team/kv/tune', type: 'kv' }, [400, 'request.invalid']],
      ['PUT', '/vault/mounts', { path: 'none', description: 'x' }, [404, 'vault.not_found']],
      ['POST', '/vault/mounts/disable', { path: 'team/kv', confirm: 'team' }, [400, 'request.invalid']],
      [
        'POST',
        '/vault/mounts/disable',
        { path: 'team/kv/tune', confirm: 'team/kv/tune' },
        [404, 'vault.not_found'],
      ],
      ['POST', '/vault/mounts/disable', { path: 'sys', confirm: 'sys' }, [400, 'request.invalid']],
    ] as const)
      assert.deepEqual(await refusal(server, method, path, body), expected, JSON.stringify(body))
    await call(api.mounts.disable, { path: 'team/kv', confirm: 'team/kv' })
    assert.ok(!(await call(api.mounts.list, {})).items.some(({ path }) => path === 'team/kv/'))
  })

  await t.test(
    'VAULT-2: policies: what is wrong has its place; a draft is tried before it is stored',
    async () => {
      const text = 'path "secret/data/shop/*" {\n  capabilities = ["read"]\n}\n'
      assert.equal((await call(api.acl.write, { policyName: 'shop', text })).text, text)
      assert.ok((await call(api.acl.list, {})).items.includes('shop'))
      const wrong = await server.ask('PUT', '/api/v1/vault/policies/shop', {
        body: { text: 'path "x" {\n  fly = 1\n}' },
      })
      assert.deepEqual([wrong.status, codeOf(wrong)], [400, 'policy.invalid'])
      assert.match(String((wrong.body as { detail: string }).detail), /line 2, column 3/)
      const tried = await call(api.acl.test, { text, method: 'DELETE', path: 'secret/data/shop/x' })
      assert.deepEqual([tried.allowed, tried.reasons[0]?.code], [false, 'missing-capability'])
      assert.match(tried.remedy ?? '', /\["read", "delete"\]/)
      await call(api.acl.delete, { policyName: 'shop' })
      assert.deepEqual(await refusal(server, 'GET', '/vault/policies/shop'), [404, 'vault.not_found'])
      assert.deepEqual(await refusal(server, 'DELETE', '/vault/policies/default'), [400, 'request.invalid'])
      assert.deepEqual(await refusal(server, 'PUT', '/vault/policies/root', { text }), [
        400,
        'request.invalid',
      ])
    },
  )

  await t.test(
    'VAULT-2: AppRoles: made, given a wrapped secret id that works once, and removed',
    async () => {
      const named = { mount: 'auth/apps/', roleName: 'deploy' }
      const terms = {
        policies: ['default'],
        tokenTtlSeconds: 600,
        tokenMaxTtlSeconds: 1200,
        secretIdTtlSeconds: 3600,
        secretIdUses: 2,
        boundCidrs: [],
      }
      const role = await call(api.appRoles.write, { ...named, ...terms })
      assert.equal(role.tokenTtlSeconds, 600)
      const { wrappingToken, roleId } = await call(api.appRoles.issue, named)
      assert.equal(roleId, role.roleId)
      const unwrap = () => server.ask('POST', '/v1/sys/wrapping/unwrap', { token: wrappingToken })
      const { secret_id } = ((await unwrap()).body as { data: { secret_id: string } }).data
      assert.equal((await unwrap()).status, 400)
      const login = () =>
        server.ask('POST', '/v1/auth/apps/login', { token: null, body: { role_id: roleId, secret_id } })
      assert.equal((await login()).status, 200)
      const { secretIds } = await call(api.appRoles.read, named)
      assert.deepEqual(
        secretIds.map(({ usesLeft }) => usesLeft),
        [1],
      )
      const tokens = await call(api.tokens.list, {})
      const given = tokens.items.find(({ path }) => path === 'auth/apps/login')
      assert.deepEqual([given?.orphan, given?.policies], [true, ['default']])
      await call(api.appRoles.revoke, { ...named, accessor: secretIds[0]?.accessor ?? '' })
      assert.notEqual((await login()).status, 200)
      await call(api.tokens.revoke, { accessor: given?.accessor ?? '' })
      assert.ok(!(await call(api.tokens.list, {})).items.some(({ accessor }) => accessor === given?.accessor))
      const [unknown] = await refusal(server, 'POST', '/vault/tokens/revoke', { accessor: 'none' })
      assert.ok(unknown === 404 || unknown === 400, String(unknown))
      for (const body of [
        { ...named, mount: 'secret/', ...terms },
        { ...named, roleName: 'a/secret-id', ...terms },
      ])
        assert.ok([400, 404].includes(Number((await refusal(server, 'PUT', '/vault/approles', body))[0])))
      await call(api.appRoles.delete, named)
      assert.deepEqual((await call(api.appRoles.list, {})).items, [])
    },
  )

  await t.test(
    'VAULT-2: a token explains itself, and another one only with the right that the vault asks for',
    async () => {
      const own = await tokenWith(server, 'own', 'path "secret/shop/*" { capabilities = ["read"] }')
      const other = await tokenWith(
        server,
        'helper',
        'path "sys/capabilities-accessor" { capabilities = ["update", "sudo"] }',
      )
      const question = { method: 'GET', path: 'secret/data/shop/stripe' } as const
      const self = await call(api.vault.explain, question, own.token)
      assert.deepEqual(self.reasons.map(({ code }) => code).slice(0, 2), ['no-rule', 'kv2-policy'])
      assert.equal(self.token?.accessor, own.accessor)
      const about = { ...question, accessor: own.accessor }
      assert.equal((await call(api.vault.explain, about, other.token)).token?.accessor, own.accessor)
      assert.equal((await call(api.vault.explain, about)).token?.accessor, own.accessor)
      const stranger = { ...question, accessor: other.accessor }
      assert.deepEqual(await refusal(server, 'POST', '/vault/explain', stranger, own.token), [
        403,
        'policy.denied',
      ])
      assert.deepEqual(await refusal(server, 'POST', '/vault/explain', question), [400, 'request.invalid'])
      // Nothing else of Keyward's API is for such a token.
      for (const [method, path] of [
        ['GET', '/vault/tokens'],
        ['GET', '/vault/mounts'],
        ['GET', '/secrets/search?words=a'],
        ['POST', '/vault/policies/test'],
      ] as const)
        assert.equal(
          (
            await refusal(
              server,
              method,
              path,
              method === 'GET' ? undefined : { text: '', ...question },
              own.token,
            )
          )[0],
          403,
        )

      const shown = await server.keyward(['vault', 'explain', 'read', 'secret/data/shop/stripe'], {
        env: { KEYWARD_TOKEN: own.token },
      })
      assert.equal(shown.code, 1, shown.stderr)
      assert.match(shown.stdout, /^Refused: READ secret\/data\/shop\/stripe\nNone of its policies \(own\)/)
      assert.match(
        shown.stdout,
        /This would allow it, and no more:\n\npath "secret\/data\/shop\/stripe" \{\n {2}capabilities = \["read"\]/,
      )
      assert.ok(!shown.stdout.includes(own.token))
      const json = await server.keyward([
        'vault',
        'explain',
        'GET',
        'cubbyhole/x',
        '--accessor',
        other.accessor,
        '--json',
      ])
      assert.equal(JSON.parse(json.stdout).allowed, false)
      assert.equal((await server.keyward(['vault', 'explain', 'FLY', 'x'])).code, 2)
    },
  )

  await t.test('VAULT-3: leases: listed below a path, revoked, and what is none is refused', async () => {
    assert.deepEqual(await call(api.credentials.list, {}), { items: [], next: null })
    const write = (path: string, body: unknown) => server.ask('POST', `/v1/${path}`, { body })
    await call(api.mounts.enable, { path: 'pki', type: 'pki' })
    await write('pki/root/generate/internal', { common_name: 'example', ttl: '24h', key_type: 'ec' })
    await write('pki/roles/shop', {
      allow_any_name: true,
      generate_lease: true,
      key_type: 'ec',
      max_ttl: '1h',
    })
    for (const name of ['a', 'b'])
      assert.equal((await write('pki/issue/shop', { common_name: `${name}.example` })).status, 200)
    const { items } = await call(api.credentials.list, { prefix: 'pki/issue' })
    assert.deepEqual(
      items.map(({ state, mount, role, error }) => [state, mount, role, error]),
      [
        ['live', 'pki/', 'shop', null],
        ['live', 'pki/', 'shop', null],
      ],
    )
    assert.deepEqual((await call(api.credentials.list, { prefix: 'database' })).items, [])
    assert.deepEqual((await call(api.credentials.list, { failing: 'true' })).items, [])
    assert.equal((await call(api.credentials.backlog, {})).total, 2)
    const [first, second] = items.map(({ id }) => id)
    assert.deepEqual(await refusal(server, 'POST', '/vault/leases/renew', { leaseId: first }), [
      400,
      'request.invalid',
    ])
    await call(api.credentials.revoke, { leaseId: first ?? '' })
    const left = await call(api.credentials.list, { prefix: 'pki/issue/shop/' })
    assert.deepEqual(
      left.items.map(({ id }) => id),
      [second],
    )
    assert.deepEqual(
      await refusal(server, 'POST', '/vault/leases/renew', { leaseId: 'database/creds/x/none' }),
      [400, 'request.invalid'],
    )
  })

  await t.test('GOV-1: each change is recorded under who made it, and no value with it', async () => {
    const { items } = await call(api.audit.list, { limit: 500 })
    const changed = items.filter(({ type }) =>
      ['secret.written', 'policy.written', 'secret.revealed'].includes(type),
    )
    assert.ok(changed.length > 4)
    assert.ok(changed.every(({ actor }) => actor.startsWith('person:')))
    assert.ok(
      items.some(
        ({ type, target }) => type === 'vault.explained' && target === 'path:secret/data/shop/stripe',
      ),
    )
    assert.doesNotMatch(JSON.stringify(items), /made-up/)
  })

  await t.test('VAULT-1: the key is rotated, and a sealed vault says so everywhere', async () => {
    const before = await call(api.seal.status, {})
    const after = await call(api.seal.rotate, {})
    assert.equal(after.key?.term, (before.key?.term ?? 0) + 1)
    assert.equal((await refusal(server, 'POST', '/vault/seal', { confirm: 'yes' }))[0], 400)
    const sealed = await call(api.seal.close, { confirm: 'seal' })
    assert.deepEqual([sealed.sealed, sealed.key], [true, null])
    for (const path of [
      '/vault/mounts',
      '/vault/policies',
      '/vault/tokens',
      '/vault/leases',
      '/secrets/search?words=a',
    ])
      assert.deepEqual(await refusal(server, 'GET', path), [503, 'vault.sealed'], path)
    assert.equal((await call(api.seal.status, {})).sealed, true)
  })
})
