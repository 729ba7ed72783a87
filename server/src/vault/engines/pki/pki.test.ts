import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { type Fields, makeRoot, openMount, openssl, text } from '../../../../test/support/pki.ts'

const web = { allowed_domains: 'example.com', allow_subdomains: true, key_type: 'ec', max_ttl: '72h' }

test('VAULT-2: a root and a certificate of it, as openssl sees them', async (t) => {
  const world = await openMount(t, 'pki')
  const { ok, files } = world
  const root = await makeRoot(world, { organization: 'Example Ltd', country: 'DE' })
  assert.equal(root['private_key'], undefined)
  const rootFile = files.write('root.pem', text(root, 'certificate'))
  await ok('roles/web', web)
  const leaf = await ok('issue/web', {
    common_name: 'a.example.com',
    alt_names: 'b.example.com,*.c.example.com,ops@mail.example.com',
    ip_sans: '10.0.0.1,2001:db8::1',
    ttl: '1h',
  })
  const leafFile = files.write('leaf.pem', text(leaf, 'certificate'))
  assert.match(openssl('verify', '-x509_strict', '-CAfile', rootFile, leafFile), /OK/)
  const printed = openssl('x509', '-in', leafFile, '-noout', '-text')
  assert.match(
    printed,
    /DNS:a\.example\.com, DNS:b\.example\.com, DNS:\*\.c\.example\.com, email:ops@mail\.example\.com, IP Address:10\.0\.0\.1, IP Address:2001:DB8:0:0:0:0:0:1/,
  )
  assert.match(printed, /Digital Signature, Key Encipherment, Key Agreement/)
  assert.match(printed, /TLS Web Server Authentication, TLS Web Client Authentication/)
  const certificate = new X509Certificate(text(leaf, 'certificate'))
  assert.ok(certificate.checkPrivateKey(createPrivateKey(text(leaf, 'private_key'))))
  assert.match(text(leaf, 'private_key'), /^-----BEGIN EC PRIVATE KEY-----/)
  assert.deepEqual(leaf['ca_chain'], [root['certificate']])
  assert.equal(leaf['issuing_ca'], root['certificate'])
  assert.equal(leaf['expiration'], Math.floor(certificate.validToDate.getTime() / 1000))
  assert.equal(text(leaf, 'serial_number').replaceAll(':', ''), certificate.serialNumber.toLowerCase())
})

test('VAULT-2: every kind of key signs and is signed, in every form that is asked for', async (t) => {
  const { ok, files } = await openMount(t, 'pki')
  const kinds: [string, number, Fields][] = [
    ['rsa', 2048, {}],
    ['rsa', 2048, { use_pss: true, signature_bits: 512 }],
    ['ec', 256, {}],
    ['ec', 384, {}],
    ['ec', 521, {}],
    ['ed25519', 0, {}],
  ]
  for (const [index, [key_type, key_bits, more]] of kinds.entries()) {
    const root = await ok('root/generate/exported', {
      common_name: `Root ${index}`,
      issuer_name: `root-${index}`,
      key_type,
      key_bits,
      ttl: '700h',
      ...more,
    })
    const rootFile = files.write(`root-${index}.pem`, text(root, 'certificate'))
    assert.match(openssl('verify', '-x509_strict', '-CAfile', rootFile, rootFile), /OK/)
    await ok('roles/any', {
      ttl: '1h',
      allow_any_name: true,
      key_type,
      key_bits,
      issuer_ref: `root-${index}`,
      ...more,
    })
    const leaf = await ok('issue/any', { common_name: 'x.test', private_key_format: 'pkcs8' })
    const leafFile = files.write('leaf.pem', text(leaf, 'certificate'))
    assert.match(openssl('verify', '-x509_strict', '-CAfile', rootFile, leafFile), /OK/, key_type)
    assert.match(text(leaf, 'private_key'), /^-----BEGIN PRIVATE KEY-----/)
    assert.equal(leaf['private_key_type'], key_type)
    const der = await ok('issue/any', { common_name: 'x.test', format: 'der' })
    assert.equal(new X509Certificate(Buffer.from(text(der, 'certificate'), 'base64')).subject, 'CN=x.test')
    const bundle = await ok('issue/any', { common_name: 'x.test', format: 'pem_bundle' })
    assert.match(text(bundle, 'certificate'), /PRIVATE KEY-----.*-----BEGIN CERTIFICATE-----/s)
  }
})
