// Certificates of agents and `keyward connect`, with the real command and server.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { api } from '@keyward/contract'
import { codeOf, scratchFolder, startServer } from './support/server.ts'

const run = promisify(execFile)

/** Asks its proxy for two places, and prints the first line of each answer and what is in its environment. */
const asks = `
  const { request } = await import('node:http')
  const { hostname, port, username, password } = new URL(process.env.HTTPS_PROXY)
  const auth = 'Basic ' + btoa(username + ':' + password)
  const ask = (path) => new Promise((done) => {
    const asked = request({ hostname, port, method: 'CONNECT', path, headers: { 'Proxy-Authorization': auth } })
    asked.on('connect', async (answer, socket, head) => {
      let said = String(head)
      for await (const chunk of socket) said += chunk
      done(answer.statusCode + ' ' + said.trim())
    })
    asked.on('error', (error) => done(error.code))
    asked.end()
  })
  const { readFileSync } = await import('node:fs')
  console.log(JSON.stringify({
    listed: await ask('api.example.invalid:443'),
    unlisted: await ask('elsewhere.example.invalid:443'),
    token: process.env.KEYWARD_TOKEN ?? null,
    trusts: readFileSync(process.env.SSL_CERT_FILE, 'utf8').startsWith(readFileSync(process.env.NODE_EXTRA_CA_CERTS, 'utf8')),
  }))`

/** The same request with the last bit of its signature turned over. */
function forged(pem: string): string {
  const [begin = '', body = '', end = ''] = pem.trim().split(/(?<=REQUEST-----)\n|\n(?=-----END)/)
  const der = Buffer.from(body, 'base64')
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1
  return `${begin}\n${der.toString('base64')}\n${end}\n`
}

test('LEND-2, CLI-1: an agent has a certificate issued, and works from another machine through it', async (t) => {
  const server = await startServer(t, { env: { KEYWARD_EGRESS_LISTEN: '127.0.0.1:0' } })
  const { agent, apiKey } = await server.call(api.agents.register, { name: 'shop-bot' })
  const folder = join(scratchFolder(t, 'machine'), 'shop-bot')
  const asAgent = { env: { KEYWARD_TOKEN: apiKey } }
  const issued = await server.keyward(
    ['agents', 'certificate', agent.id, '--out', folder, '--ttl', '3600', '--json'],
    asAgent,
  )
  assert.equal(issued.code, 0, issued.stderr)
  assert.match(JSON.parse(issued.stdout).address, /^127\.0\.0\.1:\d+$/)
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
  await server.ask('PUT', '/v1/secret/data/shop/stripe', { body: { data: { value: 'made-up' } } })
  await server.call(api.grants.create, {
    agentId: agent.id,
    secretPath: 'secret/shop/stripe',
    destinations: [{ host: 'api.example.invalid' }],
    reason: 'a test',
  })
  const connect = (...more: string[]) =>
    server.keyward(
      ['connect', '--identity', folder, ...more, '--', 'node', '--input-type=module', '-e', asks],
      asAgent,
    )
  const first = await connect()
  assert.equal(first.code, 0, first.stderr)
  const said = JSON.parse(first.stdout)
  assert.match(said.listed, /^502 egress\.unreachable/, 'listed, and only the name leads nowhere')
  assert.match(said.unlisted, /^403 egress\.denied/)
  assert.deepEqual([said.token, said.trusts], [null, true])

  const metrics = String((await server.ask('GET', '/metrics')).body)
  assert.match(metrics, /^keyward_front_entered_total 2$/m)
  assert.match(metrics, /^keyward_front_refused_total\{why="rate"\} 0$/m)

  const table = await server.keyward(['agents', 'certificates', 'shop-bot'])
  assert.match(table.stdout, /crt_\w+ +valid/)
  const [certificate] = (await server.call(api.certificates.list, { agentId: agent.id })).items
  assert.ok(certificate?.lastSeenAt)
  const id = certificate?.id ?? ''
  const other = await server.call(api.agents.register, { name: 'other-bot' })
  const foreign = await server.ask('POST', `/api/v1/certificates/${id}/revoke`, {
    token: other.apiKey,
    body: { reason: 'not mine' },
  })
  assert.equal(codeOf(foreign), 'policy.denied')
  const listed = await server.ask('GET', `/api/v1/agents/${agent.id}/certificates`, { token: other.apiKey })
  assert.equal(codeOf(listed), 'policy.denied')
  const forAnother = await server.keyward(['agents', 'certificate', other.agent.id, '--out', folder], asAgent)
  assert.match(forAnother.stderr, /policy does not allow/)

  const revoked = await server.keyward([
    'agents',
    'revoke-certificate',
    id,
    '--reason',
    'The machine was lost',
  ])
  assert.match(revoked.stderr, /is revoked/)
  assert.match(JSON.parse((await connect()).stdout).listed, /^403 .*was revoked/)
})

test('LEND-2, CLI-1: a request of another key is signed, and what is no request is refused', async (t) => {
  const server = await startServer(t)
  const { agent } = await server.call(api.agents.register, { name: 'shop-bot' })
  const folder = scratchFolder(t, 'machine')
  const at = (name: string): string => join(folder, name)
  const keyed = (kind: string[]) =>
    run('openssl', [
      'req',
      '-new',
      '-nodes',
      '-newkey',
      ...kind,
      '-keyout',
      at('key'),
      '-out',
      at('csr'),
      '-subj',
      '/CN=somebody else',
    ])
  await keyed(['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'])
  const { stdout } = await server.keyward(['agents', 'certificate', 'shop-bot', '--csr', at('csr')])
  assert.match(stdout, /^-----BEGIN CERTIFICATE-----/)
  const [certificate] = (await server.call(api.certificates.list, { agentId: agent.id })).items
  assert.equal(certificate?.state, 'valid')
  const issue = (signingRequest: string) =>
    server.ask('POST', `/api/v1/agents/${agent.id}/certificates`, { body: { signingRequest } })
  const good = readFileSync(at('csr'), 'utf8')
  const { certificatePem, authorityPem, address } = (await issue(good)).body as Record<string, string>
  assert.equal(address, null, 'nothing listens unless it is told to')
  assert.doesNotMatch(certificatePem ?? '', /somebody else/)
  const { X509Certificate } = await import('node:crypto')
  const parsed = new X509Certificate(certificatePem ?? '')
  assert.deepEqual(
    [parsed.subject, parsed.subjectAltName],
    [`CN=${agent.id}`, `URI:keyward:agent:${agent.id}`],
  )
  assert.ok(parsed.verify(new X509Certificate(authorityPem ?? '').publicKey) && !parsed.ca)

  await keyed(['rsa:1024'])
  assert.equal(codeOf(await issue(readFileSync(at('csr'), 'utf8'))), 'request.invalid')
  const changed = forged(good)
  for (const text of [changed, 'nothing of the kind', certificatePem ?? '', good.slice(0, 200)])
    assert.equal(codeOf(await issue(text)), 'request.invalid', text.slice(0, 60))
  for (const wrong of [[], ['--out', folder, '--csr', at('csr')]]) {
    const { code, stderr } = await server.keyward(['agents', 'certificate', 'shop-bot', ...wrong])
    assert.deepEqual([code, /give --out for a new key, or --csr/.test(stderr)], [2, true], stderr)
  }
  const none = await server.keyward(['connect', '--identity', folder, '--', 'true'])
  assert.match(none.stderr, /holds no key\.pem/)
})
