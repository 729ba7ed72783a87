import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import {
  type Fields,
  type MountWorld,
  makeRoot,
  mountCaller,
  openMount,
  openssl,
  rawOf,
  text,
} from '../../../../test/support/pki.ts'

/** A root at `pki` and an intermediate of it at `below`. */
async function openTwo(t: Parameters<typeof openMount>[0], more: Fields = {}) {
  const world = await openMount(t, 'pki')
  const root = await makeRoot(world)
  assert.equal((await world.call('POST', 'sys/mounts/below', { type: 'pki' })).status, 204)
  const below = mountCaller(world.call, 'below')
  const asked = await below.ok('intermediate/generate/internal', { common_name: 'Below', key_type: 'ec' })
  const signed = await world.ok('root/sign-intermediate', { csr: asked['csr'], ttl: '600h', ...more })
  return { world, root, below, asked, signed }
}

async function brought(t: Parameters<typeof openMount>[0], more: Fields = {}) {
  const two = await openTwo(t, more)
  const imported = await two.below.ok('intermediate/set-signed', {
    certificate: [two.signed['certificate'], two.root['certificate']].join('\n'),
  })
  return { ...two, imported }
}

test('VAULT-2: an intermediate, asked for here, signed there, brought back', async (t) => {
  const { world, root, below, asked, signed, imported } = await brought(t)
  const { files } = world
  const csr = files.write('request.pem', text(asked, 'csr'))
  assert.match(openssl('req', '-in', csr, '-noout', '-verify', '-subject'), /subject=CN = Below/)
  assert.equal((imported['imported_issuers'] as string[]).length, 2)
  const mapping = imported['mapping'] as Record<string, string>
  assert.deepEqual(
    Object.values(mapping).filter((key) => key !== ''),
    [asked['key_id']],
  )
  await below.ok('roles/web', { allow_any_name: true, key_type: 'ed25519', ttl: '1h' })
  const leaf = await below.ok('issue/web', { common_name: 'a.test' })
  assert.deepEqual(leaf['ca_chain'], [signed['certificate'], root['certificate']])
  assert.deepEqual(
    (await below.ok('issue/web', { common_name: 'a.test', remove_roots_from_chain: true }))['ca_chain'],
    [signed['certificate']],
  )
  const [rootFile, belowFile, leafFile] = [
    files.write('root.pem', text(root, 'certificate')),
    files.write('below.pem', text(signed, 'certificate')),
    files.write('leaf.pem', text(leaf, 'certificate')),
  ]
  const verify = ['verify', '-x509_strict', '-CAfile', rootFile, '-untrusted', belowFile, leafFile]
  assert.match(openssl(...verify), /OK/)
  assert.match(openssl('x509', '-in', belowFile, '-noout', '-text'), /CA:TRUE/)
  const chain = await rawOf(world, 'below/ca_chain')
  assert.equal(chain.bytes.toString(), [signed['certificate'], root['certificate']].join('\n'))
})

test('VAULT-2: how far down authorities may go', async (t) => {
  const { world, signed } = await openTwo(t, { max_path_length: 0 })
  const certificate = files(world, text(signed, 'certificate'))
  assert.match(openssl('x509', '-in', certificate, '-noout', '-text'), /CA:TRUE, pathlen:0/)
  const { below } = await brought(t, { max_path_length: 0 })
  const third = await world.ok('intermediate/generate/internal', { common_name: 'Third', key_type: 'ec' })
  await below.refused('root/sign-intermediate', { csr: third['csr'] }, /max path length of zero/)
  await world.ok('roles/web', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  const short = await makeRoot(world, { common_name: 'Short', max_path_length: 2, issuer_name: 'short' })
  assert.ok(short['issuer_id'])
  const lower = await world.ok('issuer/short/sign-intermediate', {
    csr: third['csr'],
    ttl: '1h',
    max_path_length: 9,
  })
  assert.match(
    openssl('x509', '-in', files(world, text(lower, 'certificate')), '-noout', '-text'),
    /pathlen:1/,
  )
})

const files = (world: MountWorld, pem: string): string => world.files.write('certificate.pem', pem)

test('VAULT-2: names that an authority below may not go beyond', async (t) => {
  const { world, root, below, signed } = await brought(t, { permitted_dns_domains: 'example.com' })
  await below.ok('roles/any', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  const rootFile = world.files.write('root.pem', text(root, 'certificate'))
  const belowFile = world.files.write('below.pem', text(signed, 'certificate'))
  const check = (pem: unknown): string =>
    openssl(
      'verify',
      '-CAfile',
      rootFile,
      '-untrusted',
      belowFile,
      world.files.write('leaf.pem', String(pem)),
    )
  const good = await below.ok('issue/any', { common_name: 'a.example.com' })
  assert.match(check(good['certificate']), /OK/)
  const bad = await below.ok('issue/any', { common_name: 'a.example.org' })
  assert.throws(() => check(bad['certificate']), /permitted subtree violation/)
})

test('VAULT-2: an authority that came from elsewhere with its key', async (t) => {
  const { ok, files, read, call } = await openMount(t, 'pki')
  const [key, certificate] = [files.path('key.pem'), files.path('ca.pem')]
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '30',
    '-subj',
    '/CN=Elsewhere',
    '-keyout',
    key,
    '-out',
    certificate,
  )
  const bundle = openssl('x509', '-in', certificate) + openssl('pkey', '-in', key)
  const imported = await ok('config/ca', { pem_bundle: bundle })
  const [issuer] = imported['imported_issuers'] as string[]
  assert.equal((await read('issuer/default'))['issuer_id'], issuer)
  assert.deepEqual(await read('config/issuers'), { default: issuer, default_follows_latest_issuer: false })
  const again = await ok('issuers/import/bundle', { pem_bundle: bundle })
  assert.deepEqual([again['imported_issuers'], again['existing_issuers']], [null, [issuer]])
  await ok('roles/web', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  const leaf = await ok('issue/web', { common_name: 'a.test' })
  assert.match(
    openssl('verify', '-CAfile', certificate, files.write('leaf.pem', text(leaf, 'certificate'))),
    /OK/,
  )
  // Its requests, too, come from other tools.
  openssl(
    'req',
    '-new',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=b.test',
    '-addext',
    'subjectAltName=DNS:c.test,IP:10.1.2.3',
    '-keyout',
    files.path('b.key'),
    '-out',
    files.path('b.csr'),
  )
  const csr = openssl('req', '-in', files.path('b.csr'))
  await ok('roles/rsa', { allow_any_name: true, key_type: 'rsa', ttl: '1h' })
  const signed = await ok('sign/rsa', { csr })
  assert.equal(
    new X509Certificate(text(signed, 'certificate')).subjectAltName,
    'DNS:c.test, DNS:b.test, IP Address:10.1.2.3',
  )
  assert.equal(signed['private_key'], undefined)
  const verbatim = await ok('sign-verbatim', { csr, ttl: '1h' })
  assert.equal(
    new X509Certificate(text(verbatim, 'certificate')).subjectAltName,
    'DNS:c.test, IP Address:10.1.2.3',
  )
  assert.equal((await call('DELETE', `pki/issuer/${issuer}`)).status, 200)
  assert.equal((await call('DELETE', `pki/issuer/${issuer}`)).status, 204)
  assert.equal((await call('GET', 'pki/issuer/default')).status, 400)
})

test('VAULT-2: a root is renewed with its key, and what it had signed stays good', async (t) => {
  const world = await openMount(t, 'pki')
  const { ok, files, call } = world
  const first = await makeRoot(world, { issuer_name: 'first' })
  await ok('roles/web', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  const leaf = await ok('issue/web', { common_name: 'a.test' })
  const second = await ok('root/rotate/existing', {
    common_name: 'Test Root',
    ttl: '720h',
    key_ref: first['key_id'],
  })
  assert.equal(second['issuer_name'], 'next')
  assert.equal(second['key_id'], first['key_id'])
  const file = files.write('second.pem', text(second, 'certificate'))
  assert.match(openssl('verify', '-CAfile', file, files.write('leaf.pem', text(leaf, 'certificate'))), /OK/)
  await ok('root/replace', {})
  const { keys, key_info } = (await call('LIST', 'pki/issuers')).body['data'] as {
    keys: string[]
    key_info: Record<string, Fields>
  }
  assert.equal(keys.length, 2)
  assert.equal(key_info[text(second, 'issuer_id')]?.['is_default'], true)
  assert.equal((await call('DELETE', 'pki/root')).status, 200)
  assert.equal((await call('LIST', 'pki/issuers')).status, 404)
  assert.equal((await call('LIST', 'pki/keys')).status, 404)
})

test('VAULT-2: the root of another, signed too', async (t) => {
  const world = await openMount(t, 'pki')
  const root = await makeRoot(world)
  const other = await openMount(t, 'pki')
  const theirs = await makeRoot(other, { common_name: 'Theirs' })
  await other.ok('roles/any', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  const leaf = await other.ok('issue/any', { common_name: 'a.test' })
  const crossed = await world.ok('root/sign-self-issued', { certificate: theirs['certificate'] })
  const [rootFile, crossedFile, leafFile] = [
    world.files.write('root.pem', text(root, 'certificate')),
    world.files.write('crossed.pem', text(crossed, 'certificate')),
    world.files.write('leaf.pem', text(leaf, 'certificate')),
  ]
  assert.match(openssl('verify', '-CAfile', rootFile, '-untrusted', crossedFile, leafFile), /OK/)
  const refused = (certificate: unknown, error: RegExp) =>
    world.refused('root/sign-self-issued', { certificate }, error)
  await refused('x', /could not be PEM-decoded/)
  await refused(leaf['certificate'], /is not a CA certificate/)
  await refused(crossed['certificate'], /is not self-issued/)
})
