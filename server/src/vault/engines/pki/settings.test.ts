import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import {
  type Fields,
  makeRoot,
  mountCaller,
  openMount,
  openssl,
  rawOf,
  text,
} from '../../../../test/support/pki.ts'
import { callerOf } from '../../../../test/support/vault-server.ts'
import { createTestClock } from '../../../../test/support/world.ts'

test('VAULT-2: roles are written, patched, read, listed and removed', async (t) => {
  const { ok, read, call, refused } = await openMount(t, 'pki')
  const made = await call('POST', 'pki/roles/web', {
    allowed_domains: 'a.test,b.test',
    ttl: '1h',
    key_type: 'ec',
  })
  assert.match(JSON.stringify(made.body['warnings']), /no default issuing certificate/)
  const role = await read('roles/web')
  assert.deepEqual(
    [role['allowed_domains'], role['ttl'], role['key_bits'], role['key_usage'], role['not_before_duration']],
    [['a.test', 'b.test'], 3600, 256, ['DigitalSignature', 'KeyAgreement', 'KeyEncipherment'], 30],
  )
  const patched = await call('PATCH', 'pki/roles/web', { max_ttl: '2h' })
  assert.equal(patched.status, 200)
  const after = await read('roles/web')
  assert.deepEqual(
    [after['ttl'], after['max_ttl'], after['allowed_domains']],
    [3600, 7200, ['a.test', 'b.test']],
  )
  assert.deepEqual((await call('LIST', 'pki/roles')).body['data'], { keys: ['web'] })
  const bad = (body: Fields, error: string | RegExp) => refused('roles/bad', body, error)
  await bad({ ttl: '2h', max_ttl: '1h' }, '"ttl" value must be less than "max_ttl" value')
  await bad({ key_type: 'dsa' }, 'unknown key type dsa')
  await bad({ key_bits: 1024 }, /RSA keys < 2048 bits are unsafe/)
  await bad({ key_bits: 2049 }, 'unsupported bit length for RSA key: 2049')
  await bad({ key_type: 'ec', key_bits: 111 }, 'unsupported bit length for EC key: 111')
  await bad({ signature_bits: 160 }, 'unsupported hash signature algorithm: 160')
  await bad({ allowed_domains_template: true }, /allowed_domains_template is not supported by this server/)
  await bad({ allowed_other_sans: 'x' }, /error parsing allowed_other_sans/)
  await bad({ allowed_ip_sans_cidr: '10.0.0.0/99' }, /error parsing allowed_ip_sans_cidr/)
  await bad({ ext_key_usage_oids: 'x' }, /could not be parsed as a valid oid/)
  await bad({ ext_key_usage: 'x' }, /no extended key usage/)
  await bad({ key_usage: 'x' }, /no key usage/)
  await bad({ policy_identifiers: 'x' }, /valid policy identifier/)
  await bad({ policy_identifiers: '[{' }, /neither a list of object identifiers nor JSON/)
  await bad({ cn_validations: 'x' }, /cn_validations value incorrect/)
  await bad({ cn_validations: 'disabled,email' }, /cn_validations value incorrect/)
  await bad({ not_before_bound: 'x' }, /not_before_bound/)
  await bad({ not_after_bound: 'x' }, /not_after_bound/)
  await refused('roles/a%20b', {}, /cannot be the name of a role/)
  assert.equal((await call('PATCH', 'pki/roles/none', {})).status, 400)
  assert.equal((await call('DELETE', 'pki/roles/web')).status, 204)
  assert.equal((await call('GET', 'pki/roles/web')).status, 404)
  await refused('issue/web', { common_name: 'a.test' }, 'unknown role: web')
  await refused('sign-verbatim/none', { csr: 'x' }, 'unknown role: none')
  await ok('roles/web', {})
  await refused(
    'issue/web',
    { common_name: 'localhost' },
    /could not fetch the CA certificate \(was one set\?\)/,
  )
})

test('VAULT-2: no certificate outlives what the role, the mount and the issuer allow', async (t) => {
  const clock = createTestClock(new Date())
  const { ok, refused, call } = await openMount(t, 'pki', { clock })
  const start = Math.floor(clock.now().getTime() / 1000)
  const root = await makeRoot({ ok } as never, { ttl: '10h' })
  const base = { allow_any_name: true, key_type: 'ec' }
  const lifetime = async (more: Fields): Promise<number> =>
    Number((await ok('issue/r', { common_name: 'a.test', ...more }))['expiration']) - start
  await ok('roles/r', { ...base, ttl: '1h', max_ttl: '2h' })
  assert.equal(await lifetime({}), 3600)
  assert.equal(await lifetime({ ttl: '90m' }), 5400)
  const capped = await call('POST', 'pki/issue/r', { common_name: 'a.test', ttl: '5h' })
  assert.match(JSON.stringify(capped.body['warnings']), /longer than permitted maxTTL/)
  assert.equal(Number((capped.body['data'] as Fields)['expiration']) - start, 7200)
  await ok('roles/r', base)
  await refused('issue/r', { common_name: 'a.test' }, /beyond the expiration of the CA certificate/)
  await call('PATCH', 'pki/issuer/default', { leaf_not_after_behavior: 'truncate' })
  assert.equal(await lifetime({}), Number(root['expiration']) - start)
  await call('PATCH', 'pki/issuer/default', { leaf_not_after_behavior: 'permit' })
  assert.equal(await lifetime({}), 768 * 3600)
  await call('POST', 'sys/mounts/pki/tune', { max_lease_ttl: '30m' })
  assert.equal(await lifetime({}), 1800)
  const at = (hours: number): string =>
    new Date((start + hours * 3600) * 1000).toISOString().replace('.000', '')
  assert.equal(await lifetime({ not_after: at(9) }), 9 * 3600)
  await refused('issue/r', { common_name: 'a.test', not_after: at(1), ttl: '1h' }, /^Either ttl or not_after/)
  await refused('issue/r', { common_name: 'a.test', not_after: 'soon' }, /no time in RFC 3339/)
  await refused(
    'issue/r',
    { common_name: 'a.test', not_before: at(3) },
    /later than the certificate's Not After/,
  )
  await refused(
    'root/generate/internal',
    { common_name: 'x', not_after: '9999-12-31T23:59:59-05:00' },
    /after the year 9999/,
  )
  await ok('roles/r', { ...base, ttl: '1h', not_after_bound: 'forbid', not_before_bound: 'forbid' })
  await refused('issue/r', { common_name: 'a.test', not_after: at(1) }, /not_after cannot be provided/)
  await refused('issue/r', { common_name: 'a.test', not_before: at(0) }, /not_before cannot be provided/)
  await ok('roles/r', { ...base, ttl: '20m', not_after_bound: 'ttl-limited', not_before_bound: 'duration' })
  await refused('issue/r', { common_name: 'a.test', not_after: at(1) }, /beyond the TTL/)
  await refused('issue/r', { common_name: 'a.test', not_before: at(-1) }, /older than the allowed/)
  await ok('roles/r', { ...base, ttl: '20m', not_after_bound: at(1) })
  await refused('issue/r', { common_name: 'a.test', not_after: at(2) }, /beyond the maximum timestamp/)
  clock.advance(11 * 3_600_000)
  await call('PATCH', 'pki/issuer/default', { leaf_not_after_behavior: 'truncate' })
  await refused('issue/r', { common_name: 'a.test' }, /beyond the maximum timestamp|is in the past/)
})

test('VAULT-2: requests for keys that a role does not take, and requests that are none', async (t) => {
  const { ok, refused, files } = await openMount(t, 'pki')
  await makeRoot({ ok } as never)
  await ok('roles/r', { allow_any_name: true, key_type: 'rsa', key_bits: 3072, ttl: '1h' })
  const csrOf = (...kind: string[]): string => {
    const out = files.path('r.csr')
    openssl(
      'req',
      '-new',
      ...kind,
      '-nodes',
      '-subj',
      '/CN=a.test',
      '-keyout',
      files.path('r.key'),
      '-out',
      out,
    )
    return openssl('req', '-in', out)
  }
  const rsa = csrOf('-newkey', 'rsa:2048')
  const ec = csrOf('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
  await refused(
    'sign/r',
    { csr: rsa },
    /role requires a minimum of a 3072-bit key, but CSR's key is 2048 bits/,
  )
  await refused('sign/r', { csr: ec }, 'role requires keys of type rsa')
  await refused('sign/r', {}, '"csr" is empty')
  await refused('sign/r', { csr: 'x' }, 'csr contains no data')
  await refused(
    'sign/r',
    { csr: csrOf('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1') },
    /not supported/,
  )
  const [begin = '', ...lines] = ec.trim().split('\n')
  const bytes = Buffer.from(lines.slice(0, -1).join(''), 'base64')
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  const tampered = [begin, bytes.toString('base64'), lines.at(-1)].join('\n')
  await refused('sign/r', { csr: tampered }, /signature does not verify|malformed/)
  await ok('roles/any', { allow_any_name: true, key_type: 'any', ttl: '1h' })
  for (const csr of [rsa, ec, csrOf('-newkey', 'ed25519')]) await ok('sign/any', { csr })
  await refused('issue/any', { common_name: 'a.test' }, /^role key type "any" not allowed for issuing/)
  await ok('issue/any', { common_name: 'a.test', key_type: 'ed25519' })
  await refused(
    'issue/any',
    { common_name: 'a.test', key_type: 'ec', format: 'xml' },
    /the "format" path parameter/,
  )
  // A request cannot make itself an authority, neither by a role nor verbatim.
  const csr = csrOf('-newkey', 'ed25519', '-addext', 'basicConstraints=critical,CA:TRUE')
  for (const path of ['sign/any', 'sign-verbatim'])
    assert.equal(new X509Certificate(text(await ok(path, { csr, ttl: '1h' }), 'certificate')).ca, false)
})

test('VAULT-2: what a certificate says about where more is found', async (t) => {
  const world = await openMount(t, 'pki')
  const { ok, read, refused, files, call } = world
  await ok('config/cluster', { path: 'https://vault.example.com/v1/pki', aia_path: 'http://pki.example.com' })
  await refused('config/cluster', { path: 'nonsense' }, /invalid, non-URL path/)
  await ok('config/urls', {
    issuing_certificates: '{{cluster_aia_path}}/issuer/{{issuer_id}}/der',
    crl_distribution_points: '{{cluster_aia_path}}/issuer/{{issuer_id}}/crl/der',
    ocsp_servers: '{{cluster_path}}/ocsp',
    enable_templating: true,
  })
  const root = await makeRoot(world)
  await ok('roles/r', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  const leaf = await ok('issue/r', { common_name: 'a.test' })
  const printed = openssl('x509', '-noout', '-text', '-in', files.write('c.pem', text(leaf, 'certificate')))
  const id = text(root, 'issuer_id')
  assert.ok(printed.includes(`CA Issuers - URI:http://pki.example.com/issuer/${id}/der`), printed)
  assert.ok(printed.includes(`URI:http://pki.example.com/issuer/${id}/crl/der`))
  assert.ok(printed.includes('OCSP - URI:https://vault.example.com/v1/pki/ocsp'))
  await refused('config/urls', { enable_templating: false, ocsp_servers: 'nonsense' }, /invalid URL found/)
  await refused('config/urls', { delta_crl_distribution_points: 'http://a/b' }, /delta CRLs are not made/)
  await call('PATCH', 'pki/issuer/default', { crl_distribution_points: 'http://own.example.com/list' })
  const next = await ok('issue/r', { common_name: 'a.test' })
  assert.match(
    openssl('x509', '-noout', '-text', '-in', files.write('c.pem', text(next, 'certificate'))),
    /URI:http:\/\/own\.example\.com\/list/,
  )
  const crl = (body: Fields, error: RegExp) => refused('config/crl', body, error)
  await crl({ expiry: 'x' }, /could not be decoded/)
  await crl({ expiry: '5s' }, /a minute at least/)
  await crl({ ocsp_expiry: '99999h' }, /ten years at most/)
  await crl({ enable_delta: true }, /delta CRLs are not made/)
  await crl({ auto_rebuild: true, auto_rebuild_grace_period: '80h' }, /must be strictly shorter/)
  assert.equal((await read('config/crl'))['expiry'], '72h')
  assert.equal((await read('config/acme'))['enabled'], false)
  await refused('config/acme', { enabled: true }, /ACME is not spoken/)
})

test('VAULT-2: usages and policies of a role stand in its certificates', async (t) => {
  const world = await openMount(t, 'pki')
  await makeRoot(world)
  await world.ok('roles/r', {
    allow_any_name: true,
    key_type: 'ec',
    ttl: '1h',
    server_flag: false,
    client_flag: true,
    code_signing_flag: true,
    key_usage: 'DigitalSignature,DecipherOnly',
    ext_key_usage: 'OCSPSigning',
    ext_key_usage_oids: '1.3.6.1.4.1.311.20.2.2',
    policy_identifiers: [
      { oid: '1.3.6.1.4.1.7.8', cps: 'https://example.com/cps', notice: 'a notice' },
      '2.5.29.32.0',
    ],
    basic_constraints_valid_for_non_ca: true,
    ou: 'Agents',
    organization: 'Example Ltd,Other Ltd',
    country: 'DE',
    locality: 'Köln',
    province: 'NRW',
    street_address: 'Street 1',
    postal_code: '50667',
  })
  const leaf = await world.ok('issue/r', { common_name: 'a.test' })
  const printed = openssl(
    'x509',
    '-noout',
    '-text',
    '-nameopt',
    'utf8',
    '-in',
    world.files.write('c.pem', text(leaf, 'certificate')),
  )
  for (const part of [
    /X509v3 Key Usage: critical\s+Digital Signature, Decipher Only/,
    /TLS Web Client Authentication, Code Signing, OCSP Signing, Microsoft Smartcard ?Login/,
    /Policy: 1\.3\.6\.1\.4\.1\.7\.8\s+CPS: https:\/\/example\.com\/cps\s+User Notice:\s+Explicit Text: a notice/,
    /Policy: X509v3 Any Policy/,
    /X509v3 Basic Constraints: critical\s+CA:FALSE/,
    /C ?= ?DE.*OU ?= ?Agents.*L ?= ?Köln.*ST ?= ?NRW.*CN ?= ?a\.test/,
  ])
    assert.match(printed, part)
})

test('VAULT-2: what anybody may read, and what nobody may without a token', async (t) => {
  const world = await openMount(t, 'pki')
  const { anybody, audit } = world
  for (const path of ['pki/ca', 'pki/ca/pem', 'pki/ca_chain', 'pki/crl']) {
    const { status, bytes } = await rawOf(world, path)
    assert.deepEqual([status, bytes.length], [204, 0], path)
  }
  const root = await makeRoot(world)
  const types: Record<string, string> = {
    'pki/ca': 'application/pkix-cert',
    'pki/ca/pem': 'application/pem-certificate-chain',
    'pki/ca_chain': 'application/pkix-cert',
    'pki/crl': 'application/pkix-crl',
    'pki/crl/pem': 'application/x-pem-file',
    'pki/cert/ca/raw/pem': 'application/pem-certificate-chain',
    'pki/issuer/default/der': 'application/pkix-cert',
    'pki/issuer/default/crl/pem': 'application/x-pem-file',
    [`pki/cert/${text(root, 'serial_number')}/raw`]: 'application/pkix-cert',
  }
  for (const [path, type] of Object.entries(types))
    assert.equal((await rawOf(world, path)).contentType, type, path)
  assert.equal((await rawOf(world, 'pki/ca/pem')).bytes.toString(), root['certificate'])
  assert.equal(new X509Certificate((await rawOf(world, 'pki/ca')).bytes).subject, 'CN=Test Root')
  assert.equal((await anybody('LIST', 'pki/issuers')).status, 200)
  assert.equal(
    ((await anybody('GET', 'pki/cert/ca')).body['data'] as Fields)['certificate'],
    root['certificate'],
  )
  assert.equal(
    ((await anybody('GET', 'pki/cert/ca_chain')).body['data'] as Fields)['ca_chain'],
    root['certificate'],
  )
  assert.equal((await anybody('GET', 'pki/issuer/default/json')).status, 200)
  const list = (await anybody('GET', 'pki/issuer/default/crl')).body['data'] as Fields
  assert.equal(list['crl'], (await rawOf(world, 'pki/crl/pem')).bytes.toString())
  assert.equal((await anybody('GET', 'pki/cert/00:01')).status, 404)
  for (const path of ['roles/web', 'issuer/default', 'key/default', 'config/urls', 'tidy-status'])
    assert.equal((await anybody('GET', `pki/${path}`)).status, 403, path)
  for (const path of ['certs', 'keys', 'roles'])
    assert.equal((await anybody('LIST', `pki/${path}`)).status, 403, path)
  for (const path of ['issue/web', 'sign/web', 'revoke', 'tidy', 'root/generate/internal', 'crl'])
    assert.equal((await anybody('POST', `pki/${path}`, {})).status, 403, path)
  const { items } = await audit.page({ limit: 500, order: 'desc' })
  assert.ok(items.some(({ actor, target }) => actor === 'anonymous:' && target === 'path:pki/crl'))
})

test('VAULT-2: to remove the root, sudo is wanted', async (t) => {
  const world = await openMount(t, 'pki')
  await makeRoot(world)
  const policy = 'path "pki/*" { capabilities = ["create", "read", "update", "delete", "list"] }'
  await world.call('PUT', 'sys/policies/acl/p', { policy })
  const made = await world.call('POST', 'auth/token/create', { policies: ['p'] })
  const agent = callerOf(world.vault, String((made.body['auth'] as Fields)['client_token']))
  assert.equal((await agent('DELETE', 'pki/root')).status, 403)
  assert.equal((await agent('GET', 'pki/issuer/default')).status, 200)
})

test('VAULT-2: no private key stands in the audit log, nor is one kept that was given out', async (t) => {
  const world = await openMount(t, 'pki')
  const { ok, audit, call } = world
  const root = await ok('root/generate/exported', { common_name: 'Test Root', key_type: 'ec', ttl: '700h' })
  await ok('roles/r', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  const leaf = await ok('issue/r', { common_name: 'a.test' })
  const { items } = await audit.page({ limit: 100, order: 'desc' })
  const log = JSON.stringify(items.map(({ detail }) => detail))
  assert.ok(log.includes(text(leaf, 'serial_number')))
  for (const made of [root, leaf]) assert.ok(!log.includes(text(made, 'private_key').split('\n')[1] ?? '?'))
  const { keys } = (await call('LIST', 'pki/keys')).body['data'] as { keys: string[] }
  assert.deepEqual(keys, [root['key_id']])
  await call('POST', 'sys/mounts/other', { type: 'pki' })
  assert.equal((await mountCaller(call, 'other').call('LIST', 'other/issuers')).status, 404)
  await call('DELETE', 'sys/mounts/pki')
  await call('POST', 'sys/mounts/pki', { type: 'pki' })
  for (const path of ['issuers', 'keys', 'roles', 'certs'])
    assert.equal((await call('LIST', `pki/${path}`)).status, 404, path)
})
