import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect, createServer } from 'node:tls'
import {
  type Fields,
  type MountWorld,
  makeRoot,
  openMount,
  openssl,
  rawOf,
  text,
} from '../../../../test/support/pki.ts'
import { createTestClock } from '../../../../test/support/world.ts'

async function openIssuing(t: TestContext, clock = createTestClock(new Date())) {
  const world = await openMount(t, 'pki', { clock })
  const root = await makeRoot(world)
  const rootFile = world.files.write('root.pem', text(root, 'certificate'))
  await world.ok('roles/web', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  const issue = (common_name: string, more: Fields = {}): Promise<Fields> =>
    world.ok('issue/web', { common_name, ...more })
  return { ...world, world, root, rootFile, issue, clock }
}

/** The revocation list, in words of openssl, which has checked its signature. */
async function listOf(world: MountWorld, rootFile: string): Promise<string> {
  const { bytes, status, contentType } = await rawOf(world, 'pki/crl')
  assert.deepEqual([status, contentType], [200, 'application/pkix-crl'])
  const file = world.files.write('list.crl', bytes)
  return execFileSync(
    'openssl',
    ['crl', '-inform', 'der', '-in', file, '-noout', '-text', '-CAfile', rootFile],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
}
const numberIn = (list: string): number => Number(/CRL Number:\s+(\d+)/.exec(list)?.[1])

test('VAULT-2: a revoked certificate is on the list, whose number rises', async (t) => {
  const { world, ok, read, call, rootFile, issue } = await openIssuing(t)
  const before = await listOf(world, rootFile)
  assert.match(before, /No Revoked Certificates/)
  const [first, second] = [await issue('a.test'), await issue('b.test')]
  const revoked = await ok('revoke', { serial_number: first['serial_number'] })
  assert.equal(revoked['state'], 'revoked')
  const after = await listOf(world, rootFile)
  const printed = (leaf: Fields): string => text(leaf, 'serial_number').replaceAll(':', '').toUpperCase()
  assert.ok(after.includes(`Serial Number: ${printed(first)}`) && !after.includes(printed(second)), after)
  assert.ok(numberIn(after) > numberIn(before))
  // Asked again, it is the same list; revoked again, the same revocation.
  assert.deepEqual(
    (await rawOf(world, 'pki/crl')).bytes,
    (await rawOf(world, 'pki/issuer/default/crl/der')).bytes,
  )
  assert.deepEqual(await ok('revoke', { serial_number: first['serial_number'] }), revoked)
  assert.equal(numberIn(await listOf(world, rootFile)), numberIn(after))
  await ok('revoke', { certificate: second['certificate'] })
  assert.ok((await listOf(world, rootFile)).includes(printed(second)))
  const shown = await read(`cert/${text(first, 'serial_number')}`)
  assert.equal(shown['revocation_time'], revoked['revocation_time'])
  assert.equal(shown['certificate'], first['certificate'])
  const { keys } = (await call('LIST', 'pki/certs/revoked')).body['data'] as { keys: string[] }
  assert.deepEqual(keys.sort(), [first['serial_number'], second['serial_number']].sort())
  const pem = (await rawOf(world, 'pki/crl/pem')).bytes.toString()
  assert.match(pem, /^-----BEGIN X509 CRL-----/)
  assert.equal((await read('cert/crl'))['certificate'], pem)
})

test('VAULT-2: openssl refuses a certificate that is on the list', async (t) => {
  const { world, ok, rootFile, issue, files } = await openIssuing(t)
  const leaf = await issue('a.test')
  const leafFile = files.write('leaf.pem', text(leaf, 'certificate'))
  const check = async (): Promise<string> => {
    const list = files.write('list.pem', (await rawOf(world, 'pki/crl/pem')).bytes)
    return openssl('verify', '-crl_check', '-CAfile', rootFile, '-CRLfile', list, leafFile)
  }
  assert.match(await check(), /OK/)
  await ok('revoke', { serial_number: leaf['serial_number'] })
  await assert.rejects(check, /certificate revoked/)
})

test('VAULT-2: two programs talk by mutual TLS, and one whose certificate is revoked is turned away', async (t) => {
  const { world, ok, root, issue } = await openIssuing(t)
  const [server, good, bad] = [
    await issue('localhost', { ip_sans: '127.0.0.1' }),
    await issue('good-agent'),
    await issue('bad-agent'),
  ]
  await ok('revoke', { serial_number: bad['serial_number'] })
  const ca = text(root, 'certificate')
  const listening = createServer({
    ca,
    cert: text(server, 'certificate'),
    key: text(server, 'private_key'),
    crl: (await rawOf(world, 'pki/crl/pem')).bytes,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  })
  listening.on('secureConnection', (socket) => {
    socket.end(`hello ${String(socket.getPeerCertificate().subject.CN)}`)
  })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  t.after(() => listening.close())
  const { port } = listening.address() as AddressInfo
  const talk = (client: Fields): Promise<string> =>
    new Promise((resolve, reject) => {
      const own = { cert: text(client, 'certificate'), key: text(client, 'private_key') }
      const socket = connect({ host: '127.0.0.1', port, ca, ...own })
      let said = ''
      socket.on('data', (chunk) => {
        said += chunk.toString()
      })
      socket.on('end', () => resolve(said))
      socket.on('error', reject)
      socket.on('close', () => resolve(said))
    })
  assert.equal(await talk(good), 'hello good-agent')
  const refused = await talk(bad).catch((error: Error) => error.message)
  assert.doesNotMatch(refused, /hello/)
})

test('VAULT-2: openssl asks whether a certificate is revoked, by POST and by GET', async (t) => {
  const { world, ok, rootFile, issue, files } = await openIssuing(t)
  const leaf = await issue('a.test')
  const leafFile = files.write('leaf.pem', text(leaf, 'certificate'))
  const question = files.path('question.der')
  openssl('ocsp', '-issuer', rootFile, '-cert', leafFile, '-reqout', question, '-no_nonce')
  const ask = async (body: Buffer): Promise<string> => {
    const { status, contentType, bytes } = await rawOf(world, 'pki/ocsp', {
      ocsp_request: body.toString('base64'),
    })
    assert.deepEqual([status, contentType], [200, 'application/ocsp-response'])
    const answer = files.write('answer.der', bytes)
    return openssl(
      'ocsp',
      '-respin',
      answer,
      '-issuer',
      rootFile,
      '-cert',
      leafFile,
      '-CAfile',
      rootFile,
      '-no_nonce',
    )
  }
  assert.match(await ask(readFileSync(question)), /: good/)
  await ok('revoke', { serial_number: leaf['serial_number'] })
  assert.match(await ask(readFileSync(question)), /: revoked/)
  // With a nonce, which the answer repeats.
  openssl('ocsp', '-issuer', rootFile, '-cert', leafFile, '-reqout', question)
  const parsed = openssl('asn1parse', '-inform', 'der', '-in', question)
  const [, nonce = 'none'] = /OCSP Nonce\s.*?HEX DUMP\]:([0-9A-F]+)/s.exec(parsed) ?? []
  const { bytes } = await rawOf(world, `pki/ocsp/${readFileSync(question).toString('base64')}`)
  assert.ok(bytes.toString('hex').toUpperCase().includes(nonce))
})

test('VAULT-2: what is no question, or not for this mount, is answered so', async (t) => {
  const { world, ok, rootFile, issue, files } = await openIssuing(t)
  const leafFile = files.write('leaf.pem', text(await issue('a.test'), 'certificate'))
  const question = files.path('question.der')
  openssl('ocsp', '-issuer', rootFile, '-cert', leafFile, '-reqout', question, '-no_nonce')
  const good = readFileSync(question).toString('base64')
  for (const bad of ['', 'AAAA', good.slice(8), `${good.slice(0, -8)}`, 'x'.repeat(9000)]) {
    const { status, bytes } = await rawOf(world, 'pki/ocsp', { ocsp_request: bad })
    assert.deepEqual([status, bytes.toString('hex')], [400, '30030a0101'], bad.slice(0, 20))
  }
  await ok('config/crl', { ocsp_disable: true })
  const off = await rawOf(world, 'pki/ocsp', { ocsp_request: good })
  assert.deepEqual([off.status, off.bytes.toString('hex')], [401, '30030a0106'])
  await ok('config/crl', { ocsp_disable: false })
  const other = await openMount(t, 'pki')
  assert.equal((await rawOf(other, 'pki/ocsp', { ocsp_request: good })).status, 401)
  await makeRoot(other, { common_name: 'Other' })
  const unknown = files.write('answer.der', (await rawOf(other, 'pki/ocsp', { ocsp_request: good })).bytes)
  assert.match(openssl('ocsp', '-respin', unknown, '-resp_text', '-noverify'), /Cert Status: unknown/)
})

test('VAULT-2: only the owner revokes with the key', async (t) => {
  const { ok, refused, issue } = await openIssuing(t)
  const [mine, other] = [await issue('a.test'), await issue('b.test')]
  const serial_number = mine['serial_number']
  const withKey = (body: Fields, error: string | RegExp) => refused('revoke-with-key', body, error)
  await withKey({ serial_number }, 'Must have private key to revoke via the /revoke-with-key path.')
  await withKey({ serial_number, private_key: '/tmp/key.pem' }, /too short; perhaps a path/)
  await withKey({ serial_number, private_key: 'x'.repeat(80) }, /no data or failed to parse/)
  await withKey(
    { serial_number, private_key: other['private_key'] },
    /does not match certificate's public key/,
  )
  assert.equal(
    (await ok('revoke-with-key', { serial_number, private_key: mine['private_key'] }))['state'],
    'revoked',
  )
})

test('VAULT-2: every refusal of a revocation', async (t) => {
  const clock = createTestClock(new Date())
  const { ok, refused, call, root, issue } = await openIssuing(t, clock)
  const leaf = await issue('a.test', { ttl: '60s' })
  await refused('revoke', {}, 'The serial number or certificate to revoke must be provided.')
  await refused('revoke', { serial_number: '01', certificate: 'x' }, /not both/)
  await refused('revoke', { serial_number: '' }, 'The serial number must be provided')
  await refused('revoke', { serial_number: '../x' }, /is no serial number/)
  await refused('revoke', { serial_number: '01:02' }, 'certificate with serial 01:02 not found.')
  await refused('revoke', { certificate: '/tmp/x' }, /too short/)
  await refused('revoke', { certificate: 'x'.repeat(100) }, 'certificate contains no PEM data')
  await refused('revoke', { serial_number: root['serial_number'] }, /to its own CRL is not allowed/)
  const other = await openIssuing(t)
  const strange = await other.issue('b.test')
  await refused('revoke', { certificate: strange['certificate'] }, /unable to verify signature/)
  clock.advance(120_000)
  const late = await call('POST', 'pki/revoke', { serial_number: leaf['serial_number'] })
  assert.match(JSON.stringify(late.body['warnings']), /already expired; refusing to add to CRL/)
  await ok('config/crl', { allow_expired_cert_revocation: true })
  assert.equal((await ok('revoke', { serial_number: leaf['serial_number'] }))['state'], 'revoked')
})

test('VAULT-2: lists are renewed before they expire, without what has expired', async (t) => {
  const clock = createTestClock(new Date())
  const { world, ok, rootFile, issue, vault } = await openIssuing(t, clock)
  await ok('config/crl', { expiry: '24h' })
  const leaf = await issue('a.test', { ttl: '2h' })
  await ok('revoke', { serial_number: leaf['serial_number'] })
  const serial = text(leaf, 'serial_number').replaceAll(':', '').toUpperCase()
  const first = await listOf(world, rootFile)
  assert.ok(first.includes(serial))
  clock.advance(13 * 3_600_000)
  await vault.expireTokens()
  const second = await listOf(world, rootFile)
  assert.ok(numberIn(second) > numberIn(first))
  assert.ok(!second.includes(serial))
  assert.equal((await ok('crl/rotate'))['success'], true)
  assert.ok(numberIn(await listOf(world, rootFile)) > numberIn(second))
  await ok('config/crl', { disable: true })
  assert.match(await listOf(world, rootFile), /No Revoked/)
})

test('VAULT-2: tidy removes what has expired long enough ago', async (t) => {
  const clock = createTestClock(new Date())
  const { ok, read, call, issue, refused } = await openIssuing(t, clock)
  const old = await issue('old.test', { ttl: '1h' })
  await ok('revoke', { serial_number: old['serial_number'] })
  clock.advance(3 * 3_600_000)
  const fresh = await issue('fresh.test', { ttl: '1h' })
  assert.equal((await read('tidy-status'))['state'], 'Inactive')
  await refused('tidy', { safety_buffer: 0 }, 'safety_buffer must be greater than zero')
  const reply = await call('POST', 'pki/tidy', {
    tidy_cert_store: true,
    tidy_revoked_certs: true,
    safety_buffer: '1h',
  })
  assert.equal(reply.status, 202)
  const status = await read('tidy-status')
  assert.deepEqual(
    [status['state'], status['cert_store_deleted_count'], status['revoked_cert_deleted_count']],
    ['Finished', 1, 1],
  )
  const { keys } = (await call('LIST', 'pki/certs')).body['data'] as { keys: string[] }
  assert.ok(keys.includes(text(fresh, 'serial_number')) && !keys.includes(text(old, 'serial_number')))
  assert.equal((await call('LIST', 'pki/certs/revoked')).status, 404)
})

test('VAULT-2: a sealed vault shows nothing, and goes on where it was when it is opened', async (t) => {
  const { world, ok, rootFile, issue, vault } = await openIssuing(t)
  const leaf = await issue('a.test')
  await ok('revoke', { serial_number: leaf['serial_number'] })
  const before = await listOf(world, rootFile)
  await vault.seal({ kind: 'person', id: 'olga', name: 'olga', roles: ['owner'] })
  for (const path of ['pki/ca', 'pki/crl', 'pki/ocsp/AAAA'])
    assert.equal((await rawOf(world, path)).status, 503, path)
  await vault.unsealByItself()
  const serial = text(leaf, 'serial_number').replaceAll(':', '').toUpperCase()
  assert.ok((await listOf(world, rootFile)).includes(serial))
  await ok('revoke', { serial_number: (await issue('b.test'))['serial_number'] })
  assert.ok(numberIn(await listOf(world, rootFile)) > numberIn(before))
})

test('VAULT-2: tidy runs by itself when it was told to', async (t) => {
  const clock = createTestClock(new Date())
  const { ok, read, call, issue, refused, vault } = await openIssuing(t, clock)
  const old = await issue('old.test')
  await refused('config/auto-tidy', { enabled: true }, /no tidy operations were requested/)
  await ok('config/auto-tidy', {
    enabled: true,
    tidy_cert_store: true,
    safety_buffer: '1h',
    interval_duration: '2h',
  })
  assert.equal((await read('config/auto-tidy'))['interval_duration'], 7200)
  clock.advance(3 * 3_600_000)
  await vault.expireTokens()
  const { keys } = (await call('LIST', 'pki/certs')).body['data'] as { keys: string[] }
  assert.ok(!keys.includes(text(old, 'serial_number')) && keys.length === 1)
  assert.equal((await read('tidy-status'))['cert_store_deleted_count'], 1)
})

test('VAULT-3: a certificate with a lease is revoked when the lease ends', async (t) => {
  const { world, ok, call, read, rootFile } = await openIssuing(t)
  await ok('roles/leased', { allow_any_name: true, key_type: 'ec', ttl: '1h', generate_lease: true })
  const reply = await call('POST', 'pki/issue/leased', { common_name: 'a.test' })
  const data = reply.body['data'] as Fields
  const leaseId = String(reply.body['lease_id'])
  assert.match(leaseId, /^pki\/issue\/leased\//)
  assert.equal(reply.body['renewable'], false)
  assert.equal((await read(`cert/${text(data, 'serial_number')}`))['revocation_time'], 0)
  const revoked = await call('POST', 'sys/leases/revoke', { lease_id: leaseId, sync: true })
  assert.equal(revoked.status, 204, JSON.stringify(revoked.body))
  assert.notEqual((await read(`cert/${text(data, 'serial_number')}`))['revocation_time'], 0)
  assert.ok(
    (await listOf(world, rootFile)).includes(text(data, 'serial_number').replaceAll(':', '').toUpperCase()),
  )
  await ok('roles/kept-nowhere', {
    allow_any_name: true,
    key_type: 'ec',
    ttl: '1h',
    generate_lease: true,
    no_store: true,
  })
  const loose = await call('POST', 'pki/issue/kept-nowhere', { common_name: 'a.test' })
  assert.equal(loose.body['lease_id'], '')
  const serial = text(loose.body['data'] as Fields, 'serial_number')
  assert.equal((await call('GET', `pki/cert/${serial}`)).status, 404)
  // What was not stored is revoked by showing it.
  await ok('revoke', { certificate: (loose.body['data'] as Fields)['certificate'] })
})

test('VAULT-2: the list of many is made once, whoever asks', async (t) => {
  const { world, ok, issue } = await openIssuing(t)
  for (let index = 0; index < 20; index++)
    await ok('revoke', { serial_number: (await issue(`n${index}.test`))['serial_number'] })
  const lists = await Promise.all(Array.from({ length: 10 }, () => rawOf(world, 'pki/crl')))
  const digests = lists.map(({ bytes }) => createHash('sha256').update(bytes).digest('hex'))
  assert.equal(new Set(digests).size, 1)
})
