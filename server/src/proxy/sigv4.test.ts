import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { Agent, request as httpRequest } from 'node:http'
import { type TestContext, test } from 'node:test'
import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms'
import { apiHost, ask, bodyOf, openProxy, openTls, openUpstream } from '../../test/support/egress.ts'
import { startKms } from '../../test/support/kms-server.ts'
import { payloadOf, readSignature, type Signing, sign } from './sigv4.ts'

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
/** Shaped as the placeholder of an access key id. */
const newKeyId = (): string =>
  `AKIAKEYW${Array.from(randomBytes(12), (byte) => base32[byte % base32.length]).join('')}`
const newSecretKey = (): string => randomBytes(30).toString('base64')

function keyFor(secretKey: string, ...scope: string[]): string {
  const from: Buffer = Buffer.from(`AWS4${secretKey}`)
  return [...scope, 'aws4_request']
    .reduce((parent, part) => createHmac('sha256', parent).update(part).digest(), from)
    .toString('hex')
}

const scope = { date: '20150830', region: 'us-east-1', service: 'iam' }
const authorization = (names: string, { date, region, service } = scope): string =>
  `AWS4-HMAC-SHA256 Credential=${newKeyId()}/${date}/${region}/${service}/aws4_request, SignedHeaders=${names}, Signature=${'0'.repeat(64)}`
const signatureIn = (headers: readonly string[] | undefined): string | undefined =>
  /Signature=([0-9a-f]{64})/.exec(headers?.at(-1) ?? '')?.[1]

test("LEND-2: the example of Amazon's documentation is signed as it says", () => {
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, key derived beforehand.
  const signing: Signing = {
    scope,
    accessKeyId: 'AKIDEXAMPLE',
    key: 'c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9',
    sessionToken: null,
  }
  const type = 'application/x-www-form-urlencoded; charset=utf-8'
  const headers = ['Host', 'iam.amazonaws.com', 'Content-Type', type, 'X-Amz-Date', '20150830T123600Z']
  const signed = sign(
    {
      method: 'GET',
      target: '/?Action=ListUsers&Version=2010-05-08',
      headers: [...headers, 'Authorization', authorization('content-type;host;x-amz-date')],
      body: undefined,
    },
    signing,
  )
  assert.equal(signatureIn(signed), '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7')
  assert.match(
    signed?.at(-1) ?? '',
    /Credential=AKIDEXAMPLE\/20150830\/us-east-1\/iam\/aws4_request, SignedHeaders=content-type;host;x-amz-date,/,
  )
})

test("LEND-2: signatures are those of Amazon's own signer, whatever the path, query, headers and session", async (t) => {
  const credentials = {
    accessKeyId: `AKIATEST${randomBytes(6).toString('hex').toUpperCase()}`,
    secretAccessKey: newSecretKey(),
    sessionToken: randomBytes(40).toString('base64'),
  }
  const client = new KMSClient({ region: scope.region, credentials })
  t.after(() => client.destroy())
  const signer = await client.config.signer()
  const at = new Date('2026-01-02T03:04:05Z')
  const date = '20260102'
  const queries: Record<string, string | string[]>[] = [
    {},
    { Action: 'ListUsers', Version: '2010-05-08' },
    { b: '2', a: ['z', 'y', ''], 'c d': 'é+/=&', '~': "-._~!'()*" },
  ]
  for (const path of ['/', '/a/b', '/a%20b/c%2Fd', '/~-._/x'])
    for (const query of queries)
      for (const [service, body] of [
        ['kms', '{"a":1}'],
        ['execute-api', ''],
        ['dynamodb', 'é'],
      ] as const) {
        const headers = { host: 'api.example.test', 'content-type': ' a   b ', 'x-amz-target': 'T.Do' }
        const options = { signingDate: at, signingRegion: scope.region, signingService: service }
        const asked = {
          method: 'POST',
          protocol: 'https:',
          hostname: 'api.example.test',
          path,
          query,
          headers,
          body,
        }
        const theirs = (await signer.sign(asked, options)).headers
        const names = /SignedHeaders=([^,]+)/.exec(theirs['authorization'] ?? '')?.[1] ?? ''
        const placeholder = authorization(names, { date, region: scope.region, service })
        const raw = Object.entries({
          ...theirs,
          authorization: placeholder,
          'x-amz-security-token': 'of the sandbox',
        })
        const pairs = Object.entries(query).flatMap(([name, values]) =>
          [values].flat().map((value) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`),
        )
        const target = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
        const key = keyFor(credentials.secretAccessKey, date, scope.region, service)
        const ours = sign(
          { method: 'POST', target, headers: raw.flat(), body: Buffer.from(body) },
          { ...credentials, key, scope: { date, region: scope.region, service } },
        )
        assert.equal(ours?.at(-1), theirs['authorization'], `${service} ${target}`)
      }
})

test('LEND-2: what is no signature of version 4, or not of its day, is not signed', () => {
  const right = authorization('host;x-amz-date')
  assert.ok(readSignature(right))
  for (const wrong of [
    '',
    right.replace('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256'),
    right.replace('aws4_request', 'aws5_request'),
    right.replace('us-east-1', 'us-east-1/x'),
    right.replace('us-east-1', 'US\r\nX: 1'),
    `${right}, more`,
  ])
    assert.equal(readSignature(wrong), undefined, wrong)
  const signing = { scope, accessKeyId: newKeyId(), key: '00', sessionToken: null }
  for (const time of ['20150831T000000Z', '20150830', 'Sun, 30 Aug 2015'])
    assert.equal(
      sign(
        {
          method: 'GET',
          target: '/',
          headers: ['Host', 'x', 'X-Amz-Date', time, 'Authorization', right],
          body: undefined,
        },
        signing,
      ),
      undefined,
      time,
    )
})

test('LEND-2: which bodies can be signed again is told from the head', () => {
  const kind = (digest: string) => payloadOf(['X-Amz-Content-Sha256', digest]).kind
  assert.equal(payloadOf([]).kind, 'unknown')
  assert.equal(kind('0'.repeat(64)), 'declared')
  assert.equal(kind('UNSIGNED-PAYLOAD'), 'declared')
  assert.equal(kind('STREAMING-UNSIGNED-PAYLOAD-TRAILER'), 'declared')
  assert.equal(kind('STREAMING-AWS4-HMAC-SHA256-PAYLOAD'), 'chunks')
  assert.equal(kind('STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'), 'chunks')
})

/** A KMS behind TLS, and a sandbox that was lent its key. */
async function openKms(t: TestContext) {
  const kms = await startKms(t)
  const seen: { authorization: string; token: string | undefined }[] = []
  const upstream = await openUpstream(t, async (request, response) => {
    const { authorization = '', 'x-amz-security-token': token } = request.headers
    seen.push({ authorization, token: token === undefined ? undefined : String(token) })
    if (request.method === 'GET') return response.end(`you sent ${token} and ${authorization}`)
    const asked = httpRequest(kms.url, {
      method: request.method ?? '',
      headers: request.headers,
      path: request.url ?? '',
    })
    asked.end(await bodyOf(request))
    asked.once('response', async (answer) =>
      response.writeHead(answer.statusCode ?? 0).end(await bodyOf(answer)),
    )
  })
  const world = await openProxy(t, { signedBodyBytes: 2000 })
  const way = await world.channel({ host: apiHost, port: 443, ...upstream })
  const placeholder = newKeyId()
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: value } = kms.credentials
  world.gate.leases.set(placeholder, { value, host: apiHost, aws: { accessKeyId } })
  return { kms, seen, ...world, way, placeholder, accessKeyId, secretKey: value }
}

test("LEND-2: Amazon's own client works with a placeholder: KMS accepts what the proxy signs", async (t) => {
  const { kms, seen, way, placeholder, accessKeyId, recorded, gate } = await openKms(t)
  const agent = new Agent()
  agent.createConnection = (_options, done) => {
    openTls(way).then(
      (tls) => done?.(null, tls),
      (error: Error) => done?.(error, undefined as never),
    )
    return undefined
  }
  const client = new KMSClient({
    region: 'eu-central-1',
    endpoint: `http://${apiHost}`,
    credentials: { accessKeyId: placeholder, secretAccessKey: 'stays-outside' },
    requestHandler: { httpAgent: agent },
    maxAttempts: 1,
  })
  t.after(() => client.destroy())
  const Plaintext = randomBytes(16)
  const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: kms.keyId, Plaintext }))
  const opened = await client.send(new DecryptCommand({ KeyId: kms.keyId, CiphertextBlob }))
  assert.deepEqual(Buffer.from(opened.Plaintext ?? []), Plaintext)
  assert.deepEqual(kms.asked, ['Encrypt', 'Decrypt'])
  assert.ok(seen.every(({ authorization }) => authorization.includes(`Credential=${accessKeyId}/`)))
  assert.deepEqual(gate.claims[0]?.places, ['aws'])
  assert.deepEqual(
    [gate.claims[0]?.signing?.region, gate.claims[0]?.signing?.service],
    ['eu-central-1', 'kms'],
  )
  assert.ok((await recorded(2)).every(({ outcome }) => outcome === 'allowed'))
})

type World = Awaited<ReturnType<typeof openKms>>
const today = (): string => new Date().toISOString().slice(0, 10).replaceAll('-', '')

function headersOf({ placeholder }: World, more: Record<string, string> = {}): Record<string, string> {
  const day = today()
  const at = { date: day, region: 'us-east-1', service: 's3' }
  const written = authorization('host;x-amz-date', at).replace(/AKIAKEYW\w+/, placeholder)
  return { 'X-Amz-Date': `${day}T000000Z`, Authorization: written, ...more }
}

test('LEND-2: a session token of the credentials takes the place of that of the sandbox, and its echo is taken out', async (t) => {
  const world = await openKms(t)
  const sessionToken = `test-${randomBytes(20).toString('hex')}`
  const { placeholder, accessKeyId, secretKey, way, seen } = world
  world.gate.leases.set(placeholder, { value: secretKey, host: apiHost, aws: { accessKeyId, sessionToken } })
  const answer = await ask(way, { headers: headersOf(world, { 'X-Amz-Security-Token': 'of the sandbox' }) })
  assert.equal(seen[0]?.token, sessionToken)
  assert.match(answer.body, /^you sent \[redacted by Keyward\] and AWS4-HMAC-SHA256 /)
  world.gate.leases.set(placeholder, { value: secretKey, host: apiHost, aws: { accessKeyId } })
  await ask(way, { headers: headersOf(world, { 'X-Amz-Security-Token': 'of the sandbox' }) })
  assert.equal(seen[1]?.token, undefined)
})

const refusals: { name: string; status: number; headers: Record<string, string>; body?: string }[] = [
  {
    name: 'chunks that are signed one by one',
    status: 501,
    headers: { 'X-Amz-Content-Sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' },
    body: 'x',
  },
  { name: 'a body that is too long to be hashed', status: 501, headers: {}, body: 'x'.repeat(2001) },
  { name: 'a body of unknown length', status: 501, headers: { 'Transfer-Encoding': 'chunked' }, body: 'x' },
  { name: 'another day', status: 400, headers: { 'X-Amz-Date': '20150830T000000Z' } },
]
for (const { name, status, headers, body } of refusals) {
  test(`LEND-2: a request that cannot be signed anew is refused, nothing is sent: ${name}`, async (t) => {
    const world = await openKms(t)
    const binary = { 'Content-Type': 'application/octet-stream' }
    const method = body === undefined ? 'GET' : 'PUT'
    const asked = { method, headers: headersOf(world, { ...binary, ...headers }) }
    const answer = await ask(world.way, body === undefined ? asked : { ...asked, body })
    assert.equal(answer.status, status, answer.body)
    assert.equal(world.seen.length, 0)
    assert.ok(!answer.body.includes(world.secretKey))
  })
}

test('LEND-2: a placeholder in a body that is only hashed stops the request as misuse', async (t) => {
  const world = await openKms(t)
  const headers = headersOf(world, { 'Content-Type': 'application/octet-stream' })
  const answer = await ask(world.way, { method: 'PUT', headers, body: `..${world.placeholder}..` })
  assert.equal(answer.status, 400)
  assert.equal((await world.recorded(1))[0]?.outcome, 'misused')
  assert.deepEqual([world.seen.length, world.gate.claims.length], [0, 0])
})
