// Why a request is refused: each reason on the case it is for, and the answer compared with what the vault itself does.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { authOf } from '../../../test/support/vault-auth.ts'
import { callerOf, openUnsealedVault } from '../../../test/support/vault-server.ts'
import { Secret } from '../../core/index.ts'
import type { Explanation, ReasonCode } from './explanation.ts'

type Method = 'GET' | 'LIST' | 'POST' | 'PUT' | 'DELETE' | 'PATCH'
type Asked = { parameters?: Record<string, unknown>; wrapTtl?: string; remoteAddress?: string }

/** A vault with KV 1 at `old/`, KV 2 at `secret/` and `hidden/`, transit, and tokens of policies made as they are needed. */
async function openExplained(t: TestContext, options: Parameters<typeof openUnsealedVault>[1] = {}) {
  const world = await openUnsealedVault(t, options)
  const root = callerOf(world.vault, world.rootToken)
  await root('POST', 'sys/mounts/old', { type: 'kv', options: { version: '1' } })
  await root('POST', 'sys/mounts/hidden', { type: 'kv', options: { version: '2' } })
  await root('POST', 'sys/mounts/transit', { type: 'transit' })
  await root('POST', 'sys/auth/approle', { type: 'approle' })
  await root('POST', 'secret/data/shop/stripe', { data: { key: 'made-up' } })
  await root('POST', 'hidden/data/plan', { data: { key: 'made-up' } })
  let made = 0
  async function tokenWith(policies: readonly string[], fields: Record<string, unknown> = {}) {
    const names: string[] = []
    for (const policy of policies) {
      const name = `p${made++}`
      names.push(name)
      await root('PUT', `sys/policies/acl/${name}`, { policy })
    }
    const body = { policies: names.length > 0 ? names : ['none'], no_default_policy: true, ...fields }
    const auth = authOf(await root('POST', 'auth/token/create', body))
    const value = String(auth['client_token'])
    const call = callerOf(world.vault, value)
    const explain = (method: Method, path: string, asked: Asked = {}): Promise<Explanation> =>
      world.vault.explain({ kind: 'token', token: new Secret(value) }, { method, path, ...asked }, false)
    return { names, accessor: String(auth['accessor']), call, explain }
  }
  return { ...world, root, tokenWith }
}

const codesOf = ({ reasons }: Explanation): ReasonCode[] => reasons.map(({ code }) => code)
const rule = (path: string, ...capabilities: string[]): string =>
  `path "${path}" {\n  capabilities = [${capabilities.map((name) => `"${name}"`).join(', ')}]\n}\n`

type Row = {
  name: string
  policies: string[]
  request: [Method, string]
  asked?: Asked
  /** First what it is, then what else it says. */
  codes: ReasonCode[]
  words: RegExp
  remedy?: string | null
}

const rows: Row[] = [
  {
    name: 'nothing covers the path',
    policies: [rule('old/a', 'read')],
    request: ['GET', 'secret/data/shop/stripe'],
    codes: ['no-rule', 'no-mount'],
    words: /None of its policies \(p\d+\) has a rule for secret\/data\/shop\/stripe\. It needs read\./,
    remedy: rule('secret/data/shop/stripe', 'read'),
  },
  {
    name: 'the rule lacks a capability, and what it gives is kept',
    policies: [rule('secret/data/shop/*', 'read')],
    request: ['DELETE', 'secret/data/shop/stripe'],
    codes: ['missing-capability'],
    words:
      /The rule for secret\/data\/shop\/\* decides \(policy "p\d+", line 1\): it gives read, and delete is missing/,
    remedy: rule('secret/data/shop/stripe', 'read', 'delete'),
  },
  {
    name: 'writing needs create or update, and which of them is not told to who may do neither',
    policies: [rule('secret/data/shop/*', 'read')],
    request: ['POST', 'secret/data/shop/stripe'],
    codes: ['missing-capability'],
    words: /it gives read, and create or update is missing/,
    remedy: rule('secret/data/shop/stripe', 'create', 'read', 'update'),
  },
  {
    name: 'create alone does not change what is there',
    policies: [rule('secret/data/shop/*', 'create')],
    request: ['POST', 'secret/data/shop/stripe'],
    codes: ['missing-capability'],
    words: /it gives create, and update is missing/,
    remedy: rule('secret/data/shop/stripe', 'create', 'update'),
  },
  {
    name: 'a deny of one policy outweighs what another allows',
    policies: [rule('secret/data/shop/*', 'read'), `# closed\n${rule('secret/data/shop/*', 'deny')}`],
    request: ['GET', 'secret/data/shop/stripe'],
    codes: ['denied'],
    words: /policy "p\d+", line 2 denies secret\/data\/shop\/\*, and a deny outweighs/,
    remedy: rule('secret/data/shop/stripe', 'read'),
  },
  {
    name: 'a deny of the very path cannot be outweighed',
    policies: [rule('secret/data/shop/*', 'read'), rule('secret/data/shop/stripe', 'deny')],
    request: ['GET', 'secret/data/shop/stripe'],
    codes: ['denied', 'shadowed'],
    words: /denies secret\/data\/shop\/stripe/,
    remedy: null,
  },
  {
    name: 'a wider rule does not count beside a narrower one',
    policies: [rule('secret/data/*', 'read', 'update'), rule('secret/data/shop/+', 'read')],
    request: ['PATCH', 'secret/data/shop/stripe'],
    codes: ['missing-capability'],
    words: /patch is missing/,
    remedy: rule('secret/data/shop/stripe', 'read', 'patch'),
  },
  {
    name: 'the wider rule is named',
    policies: [rule('secret/data/*', 'delete'), rule('secret/data/shop/+', 'read')],
    request: ['DELETE', 'secret/data/shop/stripe'],
    codes: ['missing-capability', 'shadowed'],
    words: /policy "p\d+", line 1 \(secret\/data\/\*\) gives it, but only the most specific rule counts/,
  },
  {
    name: 'a protected path needs sudo',
    policies: [rule('sys/auth/*', 'update', 'create')],
    request: ['POST', 'sys/auth/people'],
    codes: ['sudo'],
    words: /sys\/auth\/people is protected: it needs sudo as well/,
    remedy: rule('sys/auth/people', 'create', 'update', 'sudo'),
  },
  {
    name: 'a path that is protected for one operation alone',
    policies: [rule('sys/leases/lookup', 'list', 'update')],
    request: ['LIST', 'sys/leases/lookup'],
    codes: ['sudo'],
    words: /sys\/leases\/lookup\/ is protected: it needs sudo as well/,
    remedy: rule('sys/leases/lookup/', 'update', 'list', 'sudo'),
  },
  {
    name: 'KV 2: the request lacks data/',
    policies: [rule('secret/data/shop/*', 'read')],
    request: ['GET', 'secret/shop/stripe'],
    codes: ['no-rule', 'kv2-request'],
    words: /secret\/ is KV version 2, and the request lacks data\/.* Ask GET secret\/data\/shop\/stripe/,
    remedy: null,
  },
  {
    name: 'KV 2: a list that lacks metadata/, with what the policy would need for it',
    policies: [rule('secret/data/shop/*', 'read')],
    request: ['LIST', 'secret/shop'],
    codes: ['no-rule', 'kv2-request'],
    words: /lacks metadata\/.* Ask LIST secret\/metadata\/shop\//,
    remedy: rule('secret/metadata/shop/', 'list'),
  },
  {
    name: 'KV 2: the policy lacks data/',
    policies: [rule('secret/shop/*', 'read', 'list')],
    request: ['GET', 'secret/data/shop/stripe'],
    codes: ['no-rule', 'kv2-policy'],
    words:
      /is written for secret\/shop\/\*, but secret\/ is KV version 2: the policy must say secret\/data\/shop\/\*/,
    remedy: rule('secret/data/shop/stripe', 'read'),
  },
  {
    name: 'KV 2: the policy lacks metadata/ for a list',
    policies: [rule('secret/shop/*', 'read', 'list')],
    request: ['LIST', 'secret/metadata/shop'],
    codes: ['no-rule', 'kv2-policy'],
    words: /the policy must say secret\/metadata\/shop\/\*/,
  },
  {
    name: 'KV 2: lists are not at data/',
    policies: [rule('secret/data/*', 'list', 'read')],
    request: ['LIST', 'secret/metadata/shop'],
    codes: ['no-rule', 'kv2-list'],
    words: /is for secret\/data\/\*; lists and versions are decided at secret\/metadata\//,
    remedy: rule('secret/metadata/shop/', 'list'),
  },
  {
    name: 'a folder that may be listed was asked to be read',
    policies: [rule('secret/metadata/shop/', 'list')],
    request: ['GET', 'secret/metadata/shop'],
    codes: ['no-rule', 'list'],
    words: /may list secret\/metadata\/shop\/, not read it: send LIST, or GET with \?list=true/,
  },
  {
    name: 'a slip of the pen in the path',
    policies: [rule('secret/data/shop/stripe', 'read')],
    request: ['GET', 'secret/data/shop/strpie'],
    codes: ['no-rule', 'near-miss'],
    words: /is for secret\/data\/shop\/stripe\. Is one of the two a slip of the pen/,
  },
  {
    name: 'a required parameter is not sent',
    policies: ['path "old/a" {\n  capabilities = ["create", "update"]\n  required_parameters = ["owner"]\n}'],
    request: ['POST', 'old/a'],
    asked: { parameters: { key: '1' } },
    codes: ['parameters-missing'],
    words: /requires the parameter "owner" in the request/,
    remedy: null,
  },
  {
    name: 'a denied parameter is sent',
    policies: [
      'path "old/a" {\n  capabilities = ["create", "update"]\n  denied_parameters = { "admin" = [] }\n}',
    ],
    request: ['POST', 'old/a'],
    asked: { parameters: { admin: 'true', key: '1' } },
    codes: ['parameters-denied'],
    words: /denies the parameter "admin" as it was sent/,
    remedy: null,
  },
  {
    name: 'a parameter that is not in the list of the allowed',
    policies: [
      'path "old/*" {\n  capabilities = ["create", "update"]\n  allowed_parameters = { "key" = ["a"] }\n}',
    ],
    request: ['POST', 'old/a'],
    asked: { parameters: { key: 'b' } },
    codes: ['parameters-not-allowed'],
    words: /the parameter "key" as it was sent is not in it/,
    remedy:
      'path "old/*" {\n  capabilities = ["create", "update"]\n  allowed_parameters = {\n    "key" = []\n  }\n}\n',
  },
  {
    name: 'an answer that must be wrapped',
    policies: [
      'path "old/a" {\n  capabilities = ["read"]\n  min_wrapping_ttl = "1m"\n  max_wrapping_ttl = "1h"\n}',
    ],
    request: ['GET', 'old/a'],
    asked: { wrapTtl: '10s' },
    codes: ['wrapping-ttl'],
    words: /wants the answer wrapped for 60 s to 3600 s: send X-Vault-Wrap-TTL/,
    remedy: null,
  },
  {
    name: 'no mount that the token can see',
    policies: [rule('secret/data/*', 'read')],
    request: ['GET', 'scret/data/shop'],
    codes: ['no-rule', 'no-mount', 'near-miss'],
    words: /No mount that this token can see serves scret\/data\/shop\. It can see: .*secret\//,
  },
  {
    name: 'the method is not answered there',
    policies: [rule('transit/keys', 'read')],
    request: ['GET', 'transit/keys'],
    codes: ['granted', 'unsupported'],
    words: /does not answer GET: when policy allows it, the answer is 405\. It answers LIST\./,
  },
  {
    name: 'the mount has no such address',
    policies: [rule('transit/nothing/here', 'read')],
    request: ['GET', 'transit/nothing/here'],
    codes: ['granted', 'no-route'],
    words: /transit\/ \(transit\) has no such address/,
  },
  {
    name: 'a login needs no token',
    policies: [],
    request: ['POST', 'auth/approle/login'],
    codes: ['no-token-needed'],
    words: /answers without a token/,
  },
  {
    name: 'what every token may ask',
    policies: [rule('old/a', 'read')],
    request: ['GET', 'sys/internal/ui/feature-flags'],
    codes: ['any-token'],
    words: /Every valid token may ask/,
  },
  {
    name: 'a template that is not known of the token',
    policies: [rule('secret/data/{{identity.entity.name}}/*', 'read')],
    request: ['GET', 'secret/data/grace/key'],
    codes: ['no-rule', 'no-mount', 'template'],
    words: /is for secret\/data\/\{\{identity\.entity\.name\}\}\/\*: that is not known of this token/,
    remedy: rule('secret/data/grace/key', 'read'),
  },
  {
    name: 'a policy that is gone',
    policies: [],
    request: ['GET', 'secret/data/shop/stripe'],
    codes: ['no-rule', 'no-mount', 'policy-missing'],
    words: /The policy "none" does not exist, so it allows nothing/,
  },
]

test('VAULT-2: a refusal is explained', async (t) => {
  const { tokenWith } = await openExplained(t)
  for (const { name, policies, request, asked = {}, codes, words, remedy } of rows)
    await t.test(name, async () => {
      const [method, path] = request
      const { explain, call } = await tokenWith(policies)
      const explanation = await explain(method, path, asked)
      const told = explanation.reasons.map(({ text }) => text).join('\n')
      const said = codesOf(explanation).filter((code) => code !== 'token-ends')
      assert.deepEqual(said, codes, told)
      assert.match(told, words)
      if (remedy !== undefined) assert.equal(explanation.remedy, remedy)
      // The vault itself answers 403 exactly when the explanation says so.
      const circumstances = asked.wrapTtl === undefined ? {} : { wrapTtl: asked.wrapTtl }
      const { status } = await call(method, path, asked.parameters, circumstances)
      if (explanation.reasons[0]?.code !== 'no-token-needed')
        assert.equal(status === 403, !explanation.allowed, `${method} ${path} is ${status}`)
    })
})

test('VAULT-2: what the explanation would add to a policy allows the request, and takes nothing away', async (t) => {
  const { tokenWith, root, vault } = await openExplained(t)
  let tried = 0
  for (const { name, policies, request, asked = {} } of rows) {
    const [method, path] = request
    const { explain, names, accessor } = await tokenWith(policies)
    const { remedy, allowed } = await explain(method, path, asked)
    if (remedy === null || allowed) continue
    tried++
    await root('PUT', 'sys/policies/acl/remedy', { policy: remedy })
    const body = { policies: [...names, 'remedy'], no_default_policy: true }
    const helped = authOf(await root('POST', 'auth/token/create', body))
    const meant = /path "([^"*]+)"/.exec(remedy)?.[1] ?? path
    const capabilitiesOf = async (of: unknown): Promise<string[]> => {
      const reply = await root('POST', 'sys/capabilities-accessor', { accessor: of, paths: [meant] })
      return (reply.body['capabilities'] as string[]).filter((capability) => capability !== 'deny')
    }
    const after = await capabilitiesOf(helped['accessor'])
    for (const kept of await capabilitiesOf(accessor)) assert.ok(after.includes(kept), `${name}: ${kept}`)
    const real = meant.startsWith('old/') ? path : meant
    const call = callerOf(vault, String(helped['client_token']))
    assert.notEqual((await call(method, real, asked.parameters)).status, 403, `${name}: ${remedy}`)
  }
  assert.ok(tried > 10, String(tried))
})

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
