// Certificates and one-time codes as the `bao` command and other programs use them.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { baoOrSkip } from './support/bao.ts'
import { type Run, runner, succeeds } from './support/bao-runner.ts'
import { hvacOrSkip, runHvac } from './support/hvac.ts'
import { openUnsealedVault, serveVault } from './support/vault-server.ts'
import { createTestClock } from './support/world.ts'

const execute = promisify(execFile)

type Served = { url: string; rootToken: string; folder: string }

async function serve(t: TestContext): Promise<Served> {
  const { vault, rootToken } = await openUnsealedVault(t, { clock: createTestClock(new Date()) })
  const { url } = await serveVault(t, vault)
  const folder = mkdtempSync(join(tmpdir(), 'keyward-certificates-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return { url, rootToken, folder }
}

/** The data of an answer. */
const data = async (bao: Run, ...args: string[]): Promise<Record<string, string>> => {
  const out = await succeeds(bao(...args))
  return (out.trim() === '' ? {} : (JSON.parse(out).data ?? {})) as Record<string, string>
}

test('VAULT-2: bao runs an authority: root, intermediate, roles, certificates, revocation', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { url, rootToken, folder } = await serve(t)
  const bao = runner(t, path, url, rootToken, 'json')
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  await succeeds(bao('secrets', 'enable', 'pki'))
  await succeeds(bao('secrets', 'tune', '-max-lease-ttl=87600h', 'pki'))
  const urls = [`issuing_certificates=${url}/v1/pki/ca`, `crl_distribution_points=${url}/v1/pki/crl`]
  await data(bao, 'write', 'pki/config/urls', ...urls, `ocsp_servers=${url}/v1/pki/ocsp`)
  const root = await data(
    bao,
    'write',
    'pki/root/generate/internal',
    'common_name=Root',
    'ttl=8760h',
    'key_type=ec',
  )
  const rootFile = file('root.pem', root['certificate'] ?? '')
  await data(
    bao,
    'write',
    'pki/roles/web',
    'allowed_domains=example.com',
    'allow_subdomains=true',
    'key_type=ec',
    'max_ttl=72h',
  )
  const leaf = await data(bao, 'write', 'pki/issue/web', 'common_name=a.example.com', 'ttl=24h')
  const leafFile = file('leaf.pem', leaf['certificate'] ?? '')
  assert.match((await execute('openssl', ['verify', '-CAfile', rootFile, leafFile])).stdout, /OK/)
  assert.match(
    (await bao('write', 'pki/issue/web', 'common_name=example.org')).err,
    /not allowed by this role/,
  )

  await t.test('what is read without a token', async () => {
    const get = async (what: string): Promise<[string | null, Buffer]> => {
      const reply = await fetch(`${url}/v1/pki/${what}`)
      return [reply.headers.get('content-type'), Buffer.from(await reply.arrayBuffer())]
    }
    const [type, der] = await get('ca')
    assert.deepEqual([type, new X509Certificate(der).subject], ['application/pkix-cert', 'CN=Root'])
    assert.equal((await get('crl'))[0], 'application/pkix-crl')
    assert.equal((await get('ca/pem'))[1].toString(), root['certificate'])
    assert.equal((await fetch(`${url}/v1/pki/ca`, { method: 'HEAD' })).status, 405)
  })

  await t.test('openssl asks the responder over HTTP', async () => {
    const ask = async (): Promise<string> => {
      const about = ['-issuer', rootFile, '-cert', leafFile, '-CAfile', rootFile]
      return (await execute('openssl', ['ocsp', ...about, '-url', `${url}/v1/pki/ocsp`])).stdout
    }
    assert.match(await ask(), /: good/)
    await data(bao, 'write', 'pki/revoke', `serial_number=${leaf['serial_number']}`)
    assert.match(await ask(), /: revoked/)
  })

  await t.test('intermediates: by hand and by bao pki', async () => {
    await succeeds(bao('secrets', 'enable', '-path=below', 'pki'))
    const asked = await data(
      bao,
      'write',
      'below/intermediate/generate/internal',
      'common_name=Below',
      'key_type=ec',
    )
    const csr = file('below.csr', asked['csr'] ?? '')
    const signed = await data(
      bao,
      'write',
      'pki/root/sign-intermediate',
      `csr=@${csr}`,
      'format=pem_bundle',
      'ttl=700h',
    )
    const signedFile = file('below.pem', signed['certificate'] ?? '')
    await data(bao, 'write', 'below/intermediate/set-signed', `certificate=@${signedFile}`)
    await succeeds(bao('secrets', 'enable', '-path=third', 'pki'))
    await succeeds(
      bao(
        'pki',
        'issue',
        '-issuer_name=third',
        '/pki/issuer/default',
        '/third',
        'common_name=Third',
        'key_type=ec',
        'key_bits=256',
        'ttl=500h',
      ),
    )
    assert.equal((await data(bao, 'read', 'third/issuer/third'))['issuer_name'], 'third')
    const verified = await succeeds(bao('pki', 'verify-sign', 'pki/issuer/default', 'third/issuer/third'))
    assert.match(verified, /"signature_match": "?true/)
    const again = ['/pki/issuer/default', '/third/issuer/third', '/third', 'ttl=400h']
    await succeeds(bao('pki', 'reissue', '-issuer_name=again', ...again))
    assert.match(await succeeds(bao('pki', 'list-intermediates', '/pki/issuer/default')), /third\/issuer/)
  })

  await t.test('bao pki health-check finds its way', async () => {
    const table = runner(t, path, url, rootToken)
    const { code, out, err } = await table('pki', 'health-check', 'pki')
    // 5: there are no delta lists. 1 and 6 would mean that it did not understand what it read, or may not read it.
    assert.equal(code, 5, `${out} ${err}`)
    assert.match(out, /CRL's validity \(.*\) is OK/)
    assert.match(out, /ok +\/pki\/certs/)
  })

  await t.test('lists and tidy', async () => {
    const certificates = JSON.parse(await succeeds(bao('list', 'pki/certs'))) as string[]
    assert.ok(certificates.includes(leaf['serial_number'] ?? ''))
    assert.deepEqual(JSON.parse(await succeeds(bao('list', 'pki/roles'))), ['web'])
    await succeeds(bao('write', 'pki/tidy', 'tidy_cert_store=true', 'safety_buffer=1h'))
    assert.equal((await data(bao, 'read', 'pki/tidy-status'))['state'], 'Finished')
    await succeeds(bao('read', 'pki/crl/rotate'))
  })
})

test('VAULT-2: bao signs keys for SSH, and bao ssh understands the answer', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { url, rootToken, folder } = await serve(t)
  const bao = runner(t, path, url, rootToken, 'json')
  await succeeds(bao('secrets', 'enable', '-path=ssh-client-signer', 'ssh'))
  const { public_key } = await data(bao, 'write', 'ssh-client-signer/config/ca', 'key_type=ed25519')
  assert.equal(await (await fetch(`${url}/v1/ssh-client-signer/public_key`)).text(), public_key)
  writeFileSync(
    join(folder, 'role.json'),
    JSON.stringify({
      key_type: 'ca',
      algorithm_signer: 'rsa-sha2-256',
      allow_user_certificates: true,
      allowed_users: '*',
      allowed_extensions: '*',
      default_extensions: { 'permit-pty': '' },
      default_user: 'ubuntu',
      ttl: '30m0s',
    }),
  )
  await succeeds(bao('write', 'ssh-client-signer/roles/my-role', `@${join(folder, 'role.json')}`))
  const key = join(folder, 'id')
  await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const signed = await data(bao, 'write', 'ssh-client-signer/sign/my-role', `public_key=@${key}.pub`)
  writeFileSync(`${key}-cert.pub`, signed['signed_key'] ?? '')
  assert.match((await execute('ssh-keygen', ['-L', '-f', `${key}-cert.pub`])).stdout, /Principals:\s+ubuntu/)
  // -no-exec shows the command that it would run, after it has had the key signed.
  const shown = await bao(
    'ssh',
    '-mode=ca',
    '-role=my-role',
    '-mount-point=ssh-client-signer',
    `-public-key-path=${key}.pub`,
    `-private-key-path=${key}`,
    '-no-exec',
    'ubuntu@127.0.0.1',
  )
  assert.equal(shown.code, 0, shown.err)
  assert.match(shown.out, /ssh-ed25519-cert-v01@openssh.com/)
})

test('VAULT-2: bao makes and checks one-time codes', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { url, rootToken } = await serve(t)
  const bao = runner(t, path, url, rootToken, 'json')
  await succeeds(bao('secrets', 'enable', 'totp'))
  const made = await data(
    bao,
    'write',
    'totp/keys/ada',
    'generate=true',
    'issuer=Keyward',
    'account_name=ada@example.com',
  )
  assert.match(made['url'] ?? '', /^otpauth:\/\/totp\/Keyward:ada%40example\.com\?/)
  const { code } = await data(bao, 'read', 'totp/code/ada')
  assert.equal(String((await data(bao, 'write', 'totp/code/ada', `code=${code}`))['valid']), 'true')
  assert.match((await bao('write', 'totp/code/ada', `code=${code}`)).err, /code already used/)
})

test('VAULT-2: hvac runs an authority', async (t) => {
  const packages = await hvacOrSkip(t)
  if (packages === undefined) return
  const { url, rootToken } = await serve(t)
  const printed = await runHvac(packages, 'hvac_certificates.py', url, rootToken)
  assert.deepEqual(printed.trim().split('\n'), [
    'root',
    'roles',
    'certificates',
    'intermediate',
    'revocation',
    'ssh',
    'end',
  ])
})
