import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { mayBeMissing } from '../../test/support/needed.ts'
import { createAuthority } from './x509.ts'

const now = () => new Date()

test('LEND-2: a leaf verifies against its authority, for its host and no other', () => {
  const authority = createAuthority({ now, name: 'Keyward test' })
  const root = new X509Certificate(authority.certificatePem)
  const leaf = new X509Certificate(authority.leafFor('api.example.test').certificatePem)
  assert.ok(root.ca)
  assert.ok(!leaf.ca)
  assert.ok(root.verify(root.publicKey))
  assert.ok(leaf.verify(root.publicKey))
  assert.ok(leaf.checkIssued(root))
  assert.equal(leaf.checkHost('api.example.test'), 'api.example.test')
  assert.equal(leaf.checkHost('other.example.test'), undefined)
})

test('a leaf for an IP address names the address', () => {
  const authority = createAuthority({ now, name: 'Keyward test' })
  for (const address of ['192.0.2.7', '2001:db8::7', '::1', '1:2:3:4:5:6:7:8', 'fe80::', '::']) {
    const leaf = new X509Certificate(authority.leafFor(address).certificatePem)
    assert.equal(leaf.checkIP(address), address)
    assert.equal(leaf.checkIP('198.51.100.1'), undefined)
  }
})

test('an authority taken up again signs leaves that the first certificate verifies', () => {
  const first = createAuthority({ now, name: 'Keyward test' })
  const second = createAuthority({ now, name: 'Keyward test', existing: first })
  assert.equal(second.certificatePem, first.certificatePem)
  const leaf = new X509Certificate(second.leafFor('api.example.test').certificatePem)
  assert.ok(leaf.verify(new X509Certificate(first.certificatePem).publicKey))
})

test('openssl accepts the chain in strict mode', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-x509-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const authority = createAuthority({ now, name: 'Keyward test' })
  writeFileSync(join(folder, 'ca.pem'), authority.certificatePem)
  writeFileSync(join(folder, 'leaf.pem'), authority.leafFor('api.example.test').certificatePem)
  const rules = ['-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'api.example.test']
  let said: string
  try {
    said = execFileSync('openssl', ['verify', ...rules, '-CAfile', 'ca.pem', 'leaf.pem'], {
      cwd: folder,
      encoding: 'utf8',
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    t.skip(mayBeMissing('openssl is not installed'))
    return
  }
  assert.match(said, /leaf\.pem: OK/)
})
