import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { describe, test } from 'node:test'
import { AppError, Secret } from '../../../core/index.ts'
import { answerSshAgent, type SshAgentKey } from './agent.ts'
import { publicBlob } from './public-key.ts'
import { readerOf, string, uint32 } from './wire.ts'

const pairOf = (): { key: KeyObject; blob: Buffer; text: string } => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const blob = publicBlob(privateKey)
  return { key: privateKey, blob, text: `ssh-ed25519 ${blob.toString('base64')}` }
}
const host = pairOf()
const own = pairOf()
const sessionId = randomBytes(32)
const flag = (on: boolean): Buffer => Buffer.from([on ? 1 : 0])

const lent: SshAgentKey = {
  id: 'lea_1',
  privateKey: new Secret(own.key.export({ type: 'pkcs8', format: 'pem' }).toString()),
  users: ['git'],
  hostKeys: [host.text],
}

type Bind = { by?: typeof host; session?: Buffer; forwarded?: boolean; signed?: Buffer }
function bindTo({
  by = host,
  session = sessionId,
  forwarded = false,
  signed = sessionId,
}: Bind = {}): Buffer {
  const signature = Buffer.concat([string('ssh-ed25519'), string(sign(null, signed, by.key))])
  const parts = [string('session-bind@openssh.com'), string(by.blob), string(session), string(signature)]
  return Buffer.concat([Buffer.from([27]), ...parts, flag(forwarded)])
}

type Login = {
  session?: Buffer
  user?: string
  service?: string
  method?: string
  key?: Buffer
  algorithm?: string
  more?: Buffer[]
}
const loginOf = ({
  session = sessionId,
  user = 'git',
  service = 'ssh-connection',
  method = 'publickey',
  key = own.blob,
  algorithm = 'ssh-ed25519',
  more = [],
}: Login = {}): Buffer =>
  Buffer.concat([
    string(session),
    Buffer.from([50]),
    ...[user, service, method].map(string),
    flag(true),
    string(algorithm),
    string(key),
    ...more,
  ])

const signRequest = (data: Buffer, key = own.blob): Buffer =>
  Buffer.concat([Buffer.from([13]), string(key), string(data), uint32(0)])

const uses: string[] = []
const ask = (message: Buffer, binds: readonly Buffer[] = [], keys = [lent]) =>
  answerSshAgent(
    { message, binds },
    { keys: async () => keys, use: async ({ id }, user) => void uses.push(`${id} ${user}`) },
  )

const refusedWith = async (words: RegExp, ...given: Parameters<typeof ask>): Promise<void> => {
  const { reply, refusal } = await ask(...given)
  assert.deepEqual([...reply], [5])
  assert.match(refusal ?? '', words)
}

describe('an SSH agent that signs logins alone', () => {
  test('LEND-2: it lists the public keys of leases', async () => {
    const { reply } = await ask(Buffer.from([11]))
    const reader = readerOf(reply.subarray(1))
    assert.deepEqual([reply[0], reader.uint32()], [12, 1])
    assert.ok(reader.string().equals(own.blob))
    assert.equal(reader.string().toString(), 'keyward lea_1')
  })

  test('LEND-2: it signs a login at the host that the connection is bound to, in both forms', async () => {
    const hostbound = loginOf({ method: 'publickey-hostbound-v00@openssh.com', more: [string(host.blob)] })
    for (const data of [loginOf(), hostbound]) {
      const { reply, refusal } = await ask(signRequest(data), [bindTo()])
      assert.equal(refusal, undefined)
      assert.equal(reply[0], 14)
    }
    assert.deepEqual(uses.splice(0), ['lea_1 git', 'lea_1 git'])
  })

  test('LEND-2: a bind holds when the host has signed it, once, and not for forwarding', async () => {
    assert.deepEqual([...(await ask(bindTo())).reply], [6])
    await refusedWith(/has not signed/, bindTo({ signed: randomBytes(32) }))
    await refusedWith(/forwarded/, bindTo({ forwarded: true }))
    await refusedWith(/bound already/, bindTo(), [bindTo()])
    await refusedWith(/not known/, Buffer.concat([Buffer.from([27]), string('query')]))
  })

  test('LEND-2: without a bind, with two, with a forged one or for another host, nothing is signed', async () => {
    const login = signRequest(loginOf())
    await refusedWith(/bound to one host/, login)
    await refusedWith(/bound to one host/, login, [bindTo(), bindTo()])
    await refusedWith(/has not signed/, login, [bindTo({ signed: randomBytes(32) })])
    await refusedWith(/forwarded/, login, [bindTo({ forwarded: true })])
    await refusedWith(/not lent for the host/, login, [bindTo({ by: pairOf() })])
    assert.deepEqual(uses, [])
  })

  test('LEND-2: another session, user, key, service, or something that is no login is not signed', async () => {
    const bound = [bindTo()]
    const tried = (login: Login) => [signRequest(loginOf(login)), bound] as const
    await refusedWith(/another session/, ...tried({ session: randomBytes(32) }))
    await refusedWith(/signs in as git, not as root/, ...tried({ user: 'root' }))
    await refusedWith(/another key/, ...tried({ key: pairOf().blob }))
    await refusedWith(/Only logins/, ...tried({ service: 'ssh-userauth' }))
    await refusedWith(/Only logins/, ...tried({ method: 'hostbased' }))
    await refusedWith(/Only logins/, ...tried({ more: [string('more')] }))
    await refusedWith(/of a kind/, ...tried({ algorithm: 'ssh-rsa' }))
    const other = { method: 'publickey-hostbound-v00@openssh.com', more: [string(pairOf().blob)] }
    await refusedWith(/another host/, ...tried(other))
    await refusedWith(/Only logins/, signRequest(Buffer.from('SSHSIG and what follows')), bound)
    await refusedWith(/No lease holds/, signRequest(loginOf(), pairOf().blob), bound)
    assert.deepEqual(uses, [])
  })

  test('LEND-2: keys are not added, removed or locked, and what cannot be read is refused', async () => {
    for (const type of [1, 9, 17, 18, 19, 20, 21, 22, 23, 25, 26, 200])
      await refusedWith(/cannot be added, removed or locked/, Buffer.from([type]))
    await refusedWith(/./, Buffer.from([13, 0, 0, 0, 9, 1]))
    await refusedWith(/./, Buffer.alloc(0))
  })

  test('LEND-2: a lease that may not be used any more signs nothing', async () => {
    const over = async () => {
      throw new AppError('lease.ended', 'The lease is revoked.')
    }
    const request = { message: signRequest(loginOf()), binds: [bindTo()] }
    const { reply, refusal } = await answerSshAgent(request, { keys: async () => [lent], use: over })
    assert.deepEqual([[...reply], refusal], [[5], 'The lease is revoked.'])
  })
})
