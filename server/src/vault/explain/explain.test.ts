// What is said of a request, compared with what the vault does, and to whom it is said.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codesOf, type Method, openExplained, rule } from '../../../test/support/explained.ts'
import { authOf } from '../../../test/support/vault-auth.ts'
import { Secret } from '../../core/index.ts'
import type { Explanation } from './explanation.ts'

test('VAULT-2: for every method and path, a request is refused exactly when the explanation says so', async (t) => {
  const { tokenWith } = await openExplained(t)
  const policies = [
    [
      rule('secret/data/*', 'read', 'update'),
      rule('secret/data/shop/+', 'create'),
      rule('secret/metadata/', 'list'),
    ],
    [rule('+/data/shop/*', 'read', 'list', 'delete'), rule('secret/data/shop/stripe', 'deny')],
    [rule('*', 'read', 'list'), rule('sys/*', 'sudo', 'update')],
    [rule('old/+/b', 'create', 'update', 'patch', 'delete'), rule('old/*', 'read')],
    [rule('auth/approle/role/a', 'deny'), rule('auth/+/role/*', 'read', 'update')],
    [rule('auth/token/*', 'update', 'read'), rule('sys/policies/acl/+', 'create', 'update', 'read', 'list')],
  ]
  const paths = [
    'secret/data/shop/stripe',
    'secret/data/shop/new',
    'secret/data/other',
    'secret/metadata',
    'secret/shop',
    'hidden/data/shop/x',
    'old/a',
    'old/a/b',
    'sys/policies/acl/p',
    'sys/internal/ui/mounts',
    'sys/rotate',
    'auth/token/lookup-self',
    'auth/token/accessors',
    'auth/approle/login',
    'auth/oidc/oidc/callback',
    'auth/approle/role/A',
    'sys/wrapping/wrap',
    'nowhere/x',
  ]
  for (const texts of policies)
    for (const path of paths)
      for (const method of ['GET', 'LIST', 'POST', 'PATCH', 'DELETE'] as const) {
        const { explain, call } = await tokenWith(texts)
        const { allowed, reasons } = await explain(method, path, { parameters: {} })
        const { status } = await call(method, path, {})
        assert.equal(
          status === 403,
          !allowed,
          `${method} ${path}: ${status}, ${reasons[0]?.text}\n${texts.join('')}`,
        )
      }
})

test('IDENT-3: an explanation does not tell what the token cannot see', async (t) => {
  const { tokenWith } = await openExplained(t)
  const { explain } = await tokenWith([rule('old/a', 'read')])
  const same = ({ reasons, remedy, needs, mount }: Explanation, path: string) =>
    JSON.stringify({ reasons, remedy, needs, mount }).replaceAll(path, 'PATH')
  for (const method of ['GET', 'LIST', 'POST', 'PATCH', 'DELETE'] as const) {
    // A mount and a secret that are there, and such as are not.
    const there = await explain(method, 'hidden/data/plan')
    const nowhere = await explain(method, 'absent/data/plan')
    assert.equal(there.mount, null)
    assert.equal(same(there, 'hidden/data/plan'), same(nowhere, 'absent/data/plan'))
    assert.doesNotMatch(JSON.stringify(there.reasons), /hidden\/(?!data\/plan)/)
  }
  // Within a mount that it sees: whether a secret exists is not told to who may neither create nor change it.
  const reader = await tokenWith([rule('secret/data/shop/*', 'read')])
  const old = await reader.explain('POST', 'secret/data/shop/stripe')
  const fresh = await reader.explain('POST', 'secret/data/shop/absent')
  assert.equal(same(old, 'secret/data/shop/stripe'), same(fresh, 'secret/data/shop/absent'))
})

test('VAULT-2: another token is explained by its accessor: its addresses, uses and end', async (t) => {
  const { tokenWith, vault, root } = await openExplained(t)
  const { names } = await tokenWith([rule('secret/data/shop/*', 'read')])
  await root('POST', 'auth/token/roles/near', { token_bound_cidrs: ['10.0.0.0/8'], orphan: true })
  const body = { policies: names, num_uses: 3, ttl: '1h' }
  const accessor = String(authOf(await root('POST', 'auth/token/create/near', body))['accessor'])
  const ask = (remoteAddress: string) =>
    vault.explain(
      { kind: 'accessor', accessor },
      { method: 'GET', path: '/v1/secret/data/shop/stripe', remoteAddress },
      true,
    )
  const inside = await ask('10.1.2.3')
  assert.equal(inside.allowed, true)
  assert.deepEqual(codesOf(inside), ['granted', 'token-address', 'token-uses', 'token-ends'])
  const outside = await ask('192.0.2.1')
  assert.equal(outside.allowed, false)
  assert.equal(codesOf(outside)[0], 'token-address')
  assert.match(outside.reasons[0]?.text ?? '', /works from 10\.0\.0\.0\/8, not from 192\.0\.2\.1/)
  await assert.rejects(
    vault.explain({ kind: 'accessor', accessor: 'gone' }, { method: 'GET', path: 'x' }, true),
    {
      code: 'request.invalid',
      detail: /never was, it was revoked, or its time is over/,
    },
  )
})

test('POL-1: the ceiling of Cedar is named when it is what refuses', async (t) => {
  const ceiling = (_: unknown, __: string, ___: string, secretPath: string) => ({
    allow: secretPath !== 'secret/shop/stripe',
    reason: 'forbidden by no-production',
  })
  const { tokenWith } = await openExplained(t, { ceiling })
  const { explain, call } = await tokenWith([rule('secret/data/*', 'read')])
  const refused = await explain('GET', 'secret/data/shop/stripe')
  assert.equal(refused.allowed, false)
  assert.deepEqual(codesOf(refused).slice(0, 2), ['ceiling', 'granted'])
  assert.match(refused.reasons[0]?.text ?? '', /Above the vault's policies: forbidden by no-production/)
  assert.equal((await call('GET', 'secret/data/shop/stripe')).status, 403)
})

test('VAULT-2: root may everything, a draft is tried before it is stored, and bad questions are refused', async (t) => {
  const { vault, rootToken, root } = await openExplained(t)
  const self = { kind: 'token', token: new Secret(rootToken) } as const
  const all = await vault.explain(self, { method: 'POST', path: 'sys/seal' }, true)
  assert.deepEqual([all.allowed, codesOf(all), all.remedy], [true, ['root'], null])
  const draft = (text: string, method: Method, path: string) =>
    vault.explain({ kind: 'policies', policies: [{ name: 'draft', text }] }, { method, path }, true)
  const tried = await draft(rule('secret/data/shop/*', 'update'), 'POST', 'secret/data/shop/stripe')
  assert.deepEqual([tried.allowed, tried.token, tried.needsMode], [true, null, 'some'])
  const elsewhere = await draft(rule('secret/data/shop/*', 'read'), 'GET', 'absent/x')
  assert.equal(elsewhere.remedy, null)
  assert.match(elsewhere.reasons.map(({ text }) => text).join(' '), /No mount/)
  await assert.rejects(draft('path "x" {\n  capabilities = ["fly"]\n}', 'GET', 'x'), {
    code: 'policy.invalid',
    detail: /line 2, column 3/,
  })
  await assert.rejects(vault.explain(self, { method: 'GET', path: '/v1/' }, true), {
    code: 'request.invalid',
  })
  await assert.rejects(
    vault.explain({ kind: 'token', token: new Secret('x') }, { method: 'GET', path: 'x' }, true),
    {
      code: 'token.invalid',
    },
  )
  await root('POST', 'sys/seal')
  await assert.rejects(vault.explain(self, { method: 'GET', path: 'x' }, true), { code: 'vault.sealed' })
})
