// Why a request is refused: each reason on the case it is for, and the answer compared with what the vault itself does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Asked, codesOf, type Method, openExplained, rule } from '../../../test/support/explained.ts'
import { authOf } from '../../../test/support/vault-auth.ts'
import { callerOf } from '../../../test/support/vault-server.ts'
import type { ReasonCode } from './explanation.ts'

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
