import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Fields, type Files, type MountWorld, openMount, text } from '../../../../test/support/pki.ts'

const keygen = (...args: string[]): string =>
  execFileSync('ssh-keygen', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/** A key pair of OpenSSH's own making; the public line of it. */
function newUserKey(files: Files, name: string, type: string, bits?: number): string {
  keygen(
    '-q',
    '-t',
    type,
    ...(bits ? ['-b', String(bits)] : []),
    '-N',
    '',
    '-C',
    'ada',
    '-f',
    files.path(name),
  )
  return readFileSync(files.path(`${name}.pub`), 'utf8')
}

const anyUser: Fields = {
  key_type: 'ca',
  allow_user_certificates: true,
  allowed_users: 'ada,root',
  default_user: 'ada',
  default_extensions: { 'permit-pty': '' },
  allowed_extensions: 'permit-pty,permit-port-forwarding',
  ttl: '30m',
  max_ttl: '2h',
}
const authority = ({ ok }: MountWorld, more: Fields = {}): Promise<Fields> =>
  ok('config/ca', { generate_signing_key: true, key_type: 'ed25519', ...more })

test('VAULT-2: every kind of authority signs every kind of key, as ssh-keygen sees it', async (t) => {
  const world = await openMount(t, 'ssh')
  const { ok, call, files } = world
  await ok('roles/any', anyUser)
  const users = [
    ['ed25519', undefined, 'ssh-ed25519'],
    ['rsa', 2048, 'ssh-rsa'],
    ['ecdsa', 256, 'ecdsa-sha2-nistp256'],
    ['ecdsa', 521, 'ecdsa-sha2-nistp521'],
  ] as const
  const keys = users.map(([type, bits], index) => newUserKey(files, `user-${index}`, type, bits))
  for (const [key_type, key_bits] of [
    ['ssh-rsa', 2048],
    ['ec', 256],
    ['ecdsa-sha2-nistp384', 0],
    ['ec', 521],
    ['ssh-ed25519', 0],
  ]) {
    const { public_key } = await authority(world, { key_type, key_bits })
    const fingerprint = keygen('-l', '-f', files.write('ca.pub', String(public_key))).split(' ')[1] ?? '?'
    for (const [index, public_key] of keys.entries()) {
      const signed = await ok('sign/any', { public_key, extensions: { 'permit-port-forwarding': '' } })
      const shown = keygen('-L', '-f', files.write('signed-cert.pub', text(signed, 'signed_key')))
      assert.match(shown, new RegExp(`Type: ${users[index]?.[2]}-cert-v01@openssh.com user certificate`))
      assert.ok(shown.includes(`Signing CA: `) && shown.includes(fingerprint), shown)
      assert.match(shown, /Principals:\s+ada\n/)
      assert.match(shown, /Extensions:\s+permit-port-forwarding\n/)
      assert.match(shown, /Key ID: "vault-root-[0-9a-f]{64}"/)
      assert.match(shown, new RegExp(`Serial: ${BigInt(`0x${text(signed, 'serial_number')}`)}\n`))
    }
    assert.equal((await call('DELETE', 'ssh/config/ca')).status, 204)
  }
})

test('VAULT-2: what an authority signed, ssh-keygen verifies, and nothing else', async (t) => {
  // `ssh-keygen -Y` checks a signature made with a certificate against the authority that is trusted.
  const world = await openMount(t, 'ssh')
  const { ok, files } = world
  for (const [index, key_type] of ['ed25519', 'ec', 'rsa'].entries()) {
    const { public_key } = await authority(world, { key_type, key_bits: key_type === 'rsa' ? 2048 : 0 })
    const name = `u${index}`
    await ok('roles/any', anyUser)
    const signed = await ok('sign/any', { public_key: newUserKey(files, name, 'ed25519') })
    files.write(`${name}-cert.pub`, text(signed, 'signed_key'))
    const message = files.write(`message-${index}`, 'hello')
    keygen('-q', '-Y', 'sign', '-n', 'test', '-f', files.path(`${name}-cert.pub`), message)
    const signers = files.write('signers', `ada cert-authority ${String(public_key)}`)
    const verify = (allowed: string): string =>
      execFileSync(
        'ssh-keygen',
        ['-Y', 'verify', '-f', allowed, '-I', 'ada', '-n', 'test', '-s', `${message}.sig`],
        { input: 'hello', encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] },
      )
    assert.match(verify(signers), /Good "test" signature for ada/)
    const other = newUserKey(files, `other-${index}`, 'ed25519')
    assert.throws(() => verify(files.write('others', `ada cert-authority ${other}`)))
    await world.call('DELETE', 'ssh/config/ca')
  }
})

test('VAULT-2: issue makes keys that ssh reads, with their certificates', async (t) => {
  const world = await openMount(t, 'ssh')
  const { ok, files } = world
  await authority(world)
  await ok('roles/any', anyUser)
  for (const [key_type, key_bits] of [
    ['ed25519', 0],
    ['ec', 384],
    ['rsa', 2048],
  ]) {
    const made = await ok('issue/any', { key_type, key_bits })
    const open = keygen('-y', '-f', files.write(`issued-${key_type}`, text(made, 'private_key')))
    files.write(`issued-${key_type}-cert.pub`, text(made, 'signed_key'))
    const fingerprint = keygen('-l', '-f', files.write('open.pub', open)).split(' ')[1]
    assert.ok(keygen('-L', '-f', files.path(`issued-${key_type}-cert.pub`)).includes(String(fingerprint)))
    assert.equal(made['private_key_type'], key_type)
  }
})

test('VAULT-2: an authority that comes from elsewhere, in the forms of OpenSSH and of PEM', async (t) => {
  const { ok, call, files, read } = await openMount(t, 'ssh')
  for (const [name, type, bits] of [
    ['a', 'ed25519', undefined],
    ['b', 'rsa', 2048],
    ['c', 'ecdsa', 384],
  ] as const) {
    const open = newUserKey(files, name, type, bits)
    const body = { private_key: readFileSync(files.path(name), 'utf8'), public_key: open }
    assert.equal((await call('POST', 'ssh/config/ca', body)).status, 204)
    assert.equal(text(await read('config/ca'), 'public_key').trim(), open.split(' ').slice(0, 2).join(' '))
    await ok('roles/any', anyUser)
    const signed = await ok('sign/any', { public_key: open })
    keygen('-L', '-f', files.write('x-cert.pub', text(signed, 'signed_key')))
    await call('DELETE', 'ssh/config/ca')
  }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  assert.equal((await call('POST', 'ssh/config/ca', { private_key: pem })).status, 204)
})

test('VAULT-2: anybody reads the public key, as text', async (t) => {
  const world = await openMount(t, 'ssh')
  const { public_key } = await authority(world)
  const request = {
    method: 'GET',
    path: 'ssh/public_key',
    query: {},
    token: undefined,
    body: undefined,
  } as const
  const { status, raw } = await world.vault.handle(request)
  assert.deepEqual([status, raw?.contentType], [200, 'text/plain'])
  assert.equal(Buffer.from(raw?.bytes ?? []).toString(), public_key)
})

test('VAULT-2: certificates for hosts', async (t) => {
  const world = await openMount(t, 'ssh')
  const { ok, refused, files } = world
  await authority(world)
  await ok('roles/host', {
    key_type: 'ca',
    allow_host_certificates: true,
    allowed_domains: 'example.com',
    allow_subdomains: true,
    key_id_format: '{{role_name}}/{{token_display_name}}',
  })
  const public_key = newUserKey(files, 'h', 'ed25519')
  const host = (valid_principals: string): Fields => ({ cert_type: 'host', public_key, valid_principals })
  const signed = await ok('sign/host', host('a.example.com'))
  const shown = keygen('-L', '-f', files.write('h-cert.pub', text(signed, 'signed_key')))
  assert.match(shown, /host certificate/)
  assert.match(shown, /Key ID: "host\/root"/)
  for (const name of ['example.com', 'badexample.com', 'a.example.org'])
    await refused('sign/host', host(name), `${name} is not a valid value for valid_principals`)
  await refused('sign/host', { public_key }, "cert_type 'user' is not allowed by role")
  await refused('sign/host', { ...host(''), valid_principals: '' }, /refusing to issue unsafe/)
})

test('VAULT-2: every refusal of the authority and of roles', async (t) => {
  const world = await openMount(t, 'ssh')
  const { refused, files } = world
  const configure = (body: Fields, error: string | RegExp) => refused('config/ca', body, error)
  await refused('config/ca', undefined, "keys haven't been configured yet")
  await refused('public_key', undefined, "keys haven't been configured yet")
  await configure({ generate_signing_key: false }, 'missing private_key')
  await configure(
    { generate_signing_key: true, private_key: 'x' },
    /must not be set when generate_signing_key/,
  )
  await configure({ key_type: 'dsa' }, 'unknown ssh key pair algorithm: dsa')
  await configure({ key_bits: 1024 }, /refusing to generate weak ssh-rsa key/)
  await configure({ key_type: 'ec', key_bits: 123 }, /unknown ECDSA key pair/)
  await configure({ private_key: 'not a key' }, /Unable to parse "private_key"/)
  const mine = newUserKey(files, 'mine', 'ed25519')
  const other = newUserKey(files, 'other', 'ed25519')
  const private_key = readFileSync(files.path('mine'), 'utf8')
  await configure({ private_key, public_key: other }, 'the public_key does not belong to the private_key')
  keygen('-q', '-t', 'ed25519', '-N', 'a passphrase', '-f', files.path('closed'))
  await configure(
    { private_key: readFileSync(files.path('closed'), 'utf8') },
    /Unable to parse "private_key"/,
  )
  await configure(
    { private_key: private_key.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA') },
    /Unable to parse/,
  )
  await authority(world)
  await configure({}, 'keys are already configured; delete them before reconfiguring')

  const role = (body: Fields, error: string | RegExp) => refused('roles/r', body, error)
  await role({}, 'missing key type')
  await role({ key_type: 'otp', default_user: 'ada' }, /key_type "otp" is not supported/)
  await role({ key_type: 'dynamic' }, 'dynamic key type roles are no longer supported')
  await role({ key_type: 'x' }, 'invalid key type')
  await role({ key_type: 'ca' }, /must be set to 'true'/)
  await role({ ...anyUser, ttl: '3h' }, /must be less than "max_ttl"/)
  await role({ ...anyUser, algorithm_signer: 'ssh-rsa' }, /SHA-1/)
  await role({ ...anyUser, algorithm_signer: 'x' }, 'unknown algorithm signer "x"')
  await role({ ...anyUser, allowed_users_template: true }, /allowed_users_template is not supported/)
  await role({ ...anyUser, allowed_user_key_lengths: 'rsa' }, /must be an object/)
  await role({ ...anyUser, allowed_user_key_lengths: { rsa: 'big' } }, /whole numbers/)
  await refused('sign/none', { public_key: mine }, 'Unknown role: none')
})

test('VAULT-2: every refusal of a signature', async (t) => {
  const world = await openMount(t, 'ssh')
  const { ok, refused, files } = world
  const public_key = newUserKey(files, 'k', 'ed25519')
  await ok('roles/r', anyUser)
  await refused('sign/r', { public_key }, "keys haven't been configured yet")
  await authority(world)
  const sign = (body: Fields, error: string | RegExp) => refused('sign/r', { public_key, ...body }, error)
  await sign({ public_key: '' }, 'missing public_key')
  for (const bad of ['ssh-ed25519 !!!', 'ssh-rsa AAAA', 'AAAA', public_key.replace('ssh-ed25519', 'ssh-rsa')])
    await sign({ public_key: bad }, /failed to parse public_key|ends too early/)
  await sign({ cert_type: 'x' }, "cert_type must be either 'user' or 'host'")
  await sign({ cert_type: 'host' }, "cert_type 'host' is not allowed by role")
  await sign({ valid_principals: 'eve' }, 'eve is not a valid value for valid_principals')
  await sign({ valid_principals: 'ada,eve' }, 'eve is not a valid value for valid_principals')
  await sign({ valid_principals: ' ' }, /refusing to issue unsafe, globally-valid certificate/)
  await sign({ ttl: '3h' }, 'ttl is larger than maximum allowed 7200')
  await sign({ key_id: 'me' }, 'setting key_id is not allowed by role')
  await sign(
    { extensions: { 'permit-X11-forwarding': '' } },
    'extensions [permit-X11-forwarding] are not on allowed list',
  )
  await ok('roles/r', { ...anyUser, allowed_critical_options: 'source-address' })
  await sign(
    { critical_options: { 'force-command': 'x' } },
    'critical options not on allowed list: [force-command]',
  )
  await ok('sign/r', { public_key, critical_options: { 'source-address': '10.0.0.0/8' } })
  await ok('roles/r', { ...anyUser, allowed_users: '' })
  await sign({}, 'role is not configured to allow any principals')
  await ok('roles/r', { ...anyUser, allowed_user_key_lengths: { rsa: [3072, 4096], ec: 384 } })
  await sign({}, 'public_key failed to meet the key requirements: key of type ed25519 is not allowed')
  const rsa = newUserKey(files, 'rsa', 'rsa', 2048)
  await sign(
    { public_key: rsa },
    'public_key failed to meet the key requirements: key is of an invalid size: 2048',
  )
  await ok('sign/r', { public_key: newUserKey(files, 'ec', 'ecdsa', 384) })
  await refused('issue/r', { key_type: 'ed25519' }, /key of type ed25519 is not allowed/)
  await refused('issue/r', { key_type: 'dsa' }, 'unknown ssh key pair algorithm: dsa')
})

test('VAULT-2: no private key stands in the audit log, and one mount knows nothing of another', async (t) => {
  const world = await openMount(t, 'ssh')
  const { ok, audit, call } = world
  await authority(world)
  await ok('roles/any', anyUser)
  const made = await ok('issue/any', { key_type: 'ed25519' })
  const [, line = ''] = text(made, 'private_key').split('\n')
  const { items } = await audit.page({ limit: 100, order: 'desc' })
  const log = JSON.stringify(items.map(({ detail }) => detail))
  assert.ok(log.includes(text(made, 'serial_number')) && !log.includes(line))
  await call('POST', 'sys/mounts/other', { type: 'ssh' })
  assert.equal((await call('GET', 'other/roles/any')).status, 404)
  await call('DELETE', 'sys/mounts/ssh')
  await call('POST', 'sys/mounts/ssh', { type: 'ssh' })
  assert.equal((await call('LIST', 'ssh/roles')).status, 404)
})
