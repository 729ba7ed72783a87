import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { type Fields, makeRoot, mountCaller, openMount, openssl, text } from '../../../../test/support/pki.ts'
import { callerOf } from '../../../../test/support/vault-server.ts'
import { fitsGlob } from '../../glob.ts'

type Names = { readonly good?: readonly string[]; readonly bad?: readonly string[] }

/** What common names a role allows, by what it says beside `ttl` and the kind of key. */
const cases: [string, Fields, Names][] = [
  ['nothing', {}, { good: ['localhost'], bad: ['example.com', 'a.example.com'] }],
  ['no localhost', { allow_localhost: false }, { bad: ['localhost'] }],
  [
    'a bare domain',
    { allowed_domains: 'example.com', allow_bare_domains: true },
    { good: ['example.com', 'EXAMPLE.com', 'ada@example.com'], bad: ['a.example.com', '*.example.com'] },
  ],
  [
    'subdomains',
    { allowed_domains: ['example.com', 'example.org'], allow_subdomains: true },
    {
      good: [
        'a.example.com',
        'a.b.example.org',
        '*.example.com',
        '*.a.example.com',
        'x*.example.com',
        'a.localhost',
      ],
      bad: [
        'example.com',
        'badexample.com',
        'example.com.evil.test',
        '*',
        'a.*.example.com',
        '**.example.com',
      ],
    },
  ],
  [
    'subdomains, no wildcards',
    { allowed_domains: 'example.com', allow_subdomains: true, allow_wildcard_certificates: false },
    { good: ['a.example.com'], bad: ['*.example.com'] },
  ],
  [
    'globs',
    { allowed_domains: 'web-*.example.com', allow_glob_domains: true },
    { good: ['web-1.example.com'], bad: ['db-1.example.com', 'web-1.example.org'] },
  ],
  [
    'any name',
    { allow_any_name: true },
    {
      good: ['a.test', '*.test', 'ada@a.test', 'münchen.test'],
      bad: ['a b', 'a_b.test', '-a.test', 'ada@b@c.test', 'x@*.test'],
    },
  ],
  [
    'any name, not only of hosts',
    { allow_any_name: true, enforce_hostnames: false },
    { good: ['Ada Lovelace'] },
  ],
  [
    'only hosts',
    { allow_any_name: true, cn_validations: 'hostname' },
    { good: ['a.test'], bad: ['ada@a.test'] },
  ],
  ['no look at names', { cn_validations: 'disabled', allow_localhost: false }, { good: ['Ada Lovelace'] }],
]

test('VAULT-2: which names a role allows', async (t) => {
  const world = await openMount(t, 'pki')
  await makeRoot(world)
  for (const [title, fields, { good = [], bad = [] }] of cases)
    await t.test(title, async () => {
      await world.ok('roles/r', { ttl: '1h', key_type: 'ec', ...fields })
      for (const common_name of good) {
        const { certificate } = await world.ok('issue/r', { common_name })
        assert.equal(new X509Certificate(String(certificate)).subject, `CN=${common_name}`)
      }
      for (const common_name of bad)
        await world.refused('issue/r', { common_name }, /not allowed by this role/)
      for (const alt_names of bad.filter((name) => /^[a-z.]+$/.test(name)))
        await world.refused(
          'issue/r',
          { common_name: good[0] ?? 'localhost', alt_names },
          /not allowed by this role/,
        )
    })
})

test('VAULT-2: the name of its own token', async (t) => {
  const world = await openMount(t, 'pki')
  await makeRoot(world)
  await world.ok('roles/r', {
    ttl: '1h',
    key_type: 'ec',
    allow_token_displayname: true,
    allow_subdomains: true,
  })
  await world.call('PUT', 'sys/policies/acl/p', {
    policy: 'path "pki/issue/r" { capabilities = ["update"] }',
  })
  const made = await world.call('POST', 'auth/token/create', { policies: ['p'], display_name: 'agent' })
  const token = String((made.body['auth'] as Fields)['client_token'])
  const agent = mountCaller(callerOf(world.vault, token), 'pki')
  await agent.ok('issue/r', { common_name: 'token-agent' })
  await agent.ok('issue/r', { common_name: 'a.token-agent' })
  await agent.refused('issue/r', { common_name: 'token-other' }, /not allowed by this role/)
  assert.equal((await agent.call('POST', 'pki/sign-verbatim', {})).status, 403)
})

test('VAULT-2: names that are no host names', async (t) => {
  const world = await openMount(t, 'pki')
  const { ok, refused } = world
  await makeRoot(world)
  const base = { ttl: '1h', key_type: 'ec', allow_any_name: true }
  const issue = (more: Fields): Promise<Fields> => ok('issue/r', { common_name: 'a.test', ...more })
  const no = (more: Fields, error: string | RegExp) =>
    refused('issue/r', { common_name: 'a.test', ...more }, error)
  const namesOf = (made: Fields) => new X509Certificate(text(made, 'certificate')).subjectAltName

  await ok('roles/r', { ...base, allow_ip_sans: false })
  await no({ ip_sans: '10.0.0.1' }, /^IP Subject Alternative Names are not allowed in this role/)
  await no({ uri_sans: 'spiffe://a/b' }, /^URI Subject Alternative Names are not allowed/)
  await no({ other_sans: '1.2.3;UTF8:x' }, 'other SAN OID 1.2.3 not allowed by this role')
  await no({ serial_number: '7' }, 'serial_number 7 not allowed by this role')
  await no({ user_ids: 'ada' }, 'user_id ada is not allowed by this role')

  await ok('roles/r', {
    ...base,
    allowed_ip_sans_cidr: '10.0.0.0/8',
    allowed_uri_sans: 'spiffe://example/*',
    allowed_other_sans: '1.3.6.1.4.1.311.20.2.3;UTF8:*@example.com',
    allowed_serial_numbers: 'n-*',
    allowed_user_ids: 'ada,b*',
  })
  await no({ ip_sans: '192.168.0.1' }, 'the IP address "192.168.0.1" is not allowed in this role')
  await no({ ip_sans: '10.0.0.300' }, 'the value "10.0.0.300" is not a valid IP address')
  await no({ uri_sans: 'spiffe://other/x' }, /which are not valid for this role/)
  await no({ other_sans: '1.3.6.1.4.1.311.20.2.3;UTF8:eve@evil.test' }, /not allowed for OID/)
  await no({ other_sans: 'nonsense' }, /could not parse requested other SAN/)
  const made = await issue({
    ip_sans: '10.1.2.3',
    uri_sans: 'spiffe://example/agent',
    other_sans: '1.3.6.1.4.1.311.20.2.3;UTF8:ada@example.com',
    serial_number: 'n-7',
    user_ids: 'ada,bob',
  })
  assert.match(namesOf(made) ?? '', /IP Address:10\.1\.2\.3, URI:spiffe:\/\/example\/agent/)
  assert.match(
    openssl('x509', '-noout', '-text', '-in', world.files.write('c.pem', text(made, 'certificate'))),
    /othername: UPN::?ada@example\.com/,
  )
  assert.match(new X509Certificate(text(made, 'certificate')).subject, /serialNumber=n-7.*UID=bob/s)
  assert.equal(namesOf(await issue({ exclude_cn_from_sans: true })), undefined)
  await no({ common_name: '' }, /^the common_name field is required/)
  await ok('roles/r', { ...base, require_cn: false })
  const nameless = await ok('issue/r', { alt_names: 'b.test' })
  assert.equal(new X509Certificate(text(nameless, 'certificate')).subject, undefined)
  assert.match(
    openssl('x509', '-noout', '-text', '-in', world.files.write('c.pem', text(nameless, 'certificate'))),
    /Subject Alternative Name: critical/,
  )
})

test('VAULT-2: a star stands for anything', () => {
  for (const [pattern, value, fits] of [
    ['a', 'a', true],
    ['a', 'ab', false],
    ['*', '', true],
    ['a*', 'abc', true],
    ['*c', 'abc', true],
    ['a*c', 'ac', true],
    ['a*a', 'a', false],
    ['a*b*c', 'axxbyyc', true],
    ['a*b*c', 'axxcyyb', false],
    ['*b*', 'abc', true],
    ['a.c', 'abc', false],
  ] as const)
    assert.equal(fitsGlob(pattern, value), fits, `${pattern} ${value}`)
})
