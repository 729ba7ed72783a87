import { type KeyObject, sign, verify } from 'node:crypto'
import type { Secret } from '../../../core/index.ts'
import { parsePrivateKey } from './private-key.ts'
import { curves, parsePublicKey, publicBlob, publicKeyObject } from './public-key.ts'
import { mpint, type Reader, readerOf, string, uint32, withoutLeadingZeros } from './wire.ts'

// An SSH agent (draft-miller-ssh-agent) that signs logins alone, and only on connections that are bound to a host
// (session-bind@openssh.com, in PROTOCOL.agent of OpenSSH).

export type SshAgentKey = {
  readonly id: string
  readonly privateKey: Secret
  /** Whom it signs in as, and where: public keys of hosts as a known_hosts file has them. */
  readonly users: readonly string[]
  readonly hostKeys: readonly string[]
}

export type SshAgentRequest = {
  /** As it came, without its length. */
  readonly message: Uint8Array
  /** The binds that came before it on the same connection. */
  readonly binds: readonly Uint8Array[]
}

export type SshAgentAnswer = {
  readonly reply: Buffer
  /** Why it is a failure. */
  readonly refusal: string | undefined
  readonly keyId: string | undefined
}

type Needs = {
  keys(): Promise<readonly SshAgentKey[]>
  /** Called before each signature, which is made when it resolves. */
  use(key: SshAgentKey, user: string): Promise<void>
}

const asked = { identities: 11, sign: 13, extension: 27 } as const
const answers = { failure: 5, success: 6, identities: 12, signature: 14 } as const
const sessionBind = 'session-bind@openssh.com'
const userauthRequest = 50

const failure = (refusal: string): SshAgentAnswer => ({
  reply: Buffer.from([answers.failure]),
  refusal,
  keyId: undefined,
})
const answer = (type: number, ...parts: readonly Buffer[]): SshAgentAnswer => ({
  reply: Buffer.concat([Buffer.from([type]), ...parts]),
  refusal: undefined,
  keyId: undefined,
})

export async function answerSshAgent(request: SshAgentRequest, needs: Needs): Promise<SshAgentAnswer> {
  const message = Buffer.from(request.message)
  const rest = readerOf(message.subarray(1))
  try {
    switch (message[0]) {
      case asked.identities:
        return identities(await needs.keys())
      case asked.extension:
        return bind(message, request.binds)
      case asked.sign:
        return await signature(rest, request.binds, needs)
      default:
        return failure(
          `Keys cannot be added, removed or locked here (message ${message[0] ?? 'without a type'}).`,
        )
    }
  } catch (error) {
    // Whatever cannot be read is refused; a refusal of the lease is told in its own words.
    if (error instanceof Error && 'detail' in error && typeof error.detail === 'string')
      return failure(error.detail)
    return failure('The message cannot be read.')
  }
}

const blobOf = ({ privateKey }: SshAgentKey): Buffer => publicBlob(parsePrivateKey(privateKey.reveal()))

function identities(keys: readonly SshAgentKey[]): SshAgentAnswer {
  const shown = keys.flatMap((key) => [string(blobOf(key)), string(`keyward ${key.id}`)])
  return answer(answers.identities, uint32(keys.length), ...shown)
}

type Bound = { readonly hostKey: string; readonly hostBlob: Buffer; readonly sessionId: Buffer }

/** What a bind says, once the host has signed it; a string says why it does not hold. */
function boundTo(message: Buffer): Bound | string {
  const reader = readerOf(message.subarray(1))
  if (reader.string().toString('latin1') !== sessionBind) return 'This extension is not known.'
  const [hostBlob, sessionId, signed] = [reader.string(), reader.string(), reader.string()]
  if (!hostBlob || !sessionId || !signed) return 'The bind is malformed.'
  if (reader.bytes(1)[0] !== 0) return 'An agent that is forwarded to another host signs nothing.'
  if (!reader.isAtEnd() || sessionId.length === 0 || !isSigned(hostBlob, sessionId, signed))
    return 'The host has not signed this session.'
  return { hostKey: `${typeIn(hostBlob)} ${hostBlob.toString('base64')}`, hostBlob, sessionId }
}

const typeIn = (blob: Buffer): string => readerOf(blob).string().toString('latin1')

function bind(message: Buffer, earlier: readonly Uint8Array[]): SshAgentAnswer {
  if (earlier.length > 0) return failure('This connection is bound already.')
  const bound = boundTo(message)
  return typeof bound === 'string' ? failure(bound) : answer(answers.success)
}

async function signature(
  reader: Reader,
  binds: readonly Uint8Array[],
  { keys, use }: Needs,
): Promise<SshAgentAnswer> {
  const [blob, data, flags] = [reader.string(), reader.string(), reader.uint32()]
  const [first, ...others] = binds
  if (!first || others.length > 0)
    return failure(
      'Nothing is signed before the connection is bound to one host, as OpenSSH 8.9 and later do.',
    )
  const bound = boundTo(Buffer.from(first))
  if (typeof bound === 'string') return failure(bound)
  const own = (await keys()).filter((key) => blobOf(key).equals(blob))
  if (own.length === 0) return failure('No lease holds this key.')
  const key = own.find(({ hostKeys }) => hostKeys.includes(bound.hostKey))
  if (!key) return failure('The key is not lent for the host that this connection is bound to.')
  const login = loginIn(data)
  const wrong = loginRefusal(login, bound, blob, key)
  if (wrong !== undefined) return { ...failure(wrong), keyId: key.id }
  const algorithm = algorithmFor(typeIn(blob), flags)
  if (algorithm === undefined || algorithm !== login?.algorithm)
    return {
      ...failure('The signature is not of a kind that is made: RSA signs with SHA-2 only.'),
      keyId: key.id,
    }
  await use(key, login.user)
  const made = signWith(parsePrivateKey(key.privateKey.reveal()), algorithm, data)
  return { ...answer(answers.signature, string(made)), keyId: key.id }
}

type Login = {
  readonly sessionId: Buffer
  readonly user: string
  readonly algorithm: string
  readonly blob: Buffer
  readonly hostBlob: Buffer | undefined
}

/** The data of a login by public key (RFC 4252, 7), or of its form that names the host; undefined for anything else. */
function loginIn(data: Buffer): Login | undefined {
  try {
    const reader = readerOf(data)
    const sessionId = reader.string()
    const isRequest = reader.bytes(1)[0] === userauthRequest
    const user = reader.string().toString('utf8')
    const service = reader.string().toString('latin1')
    const method = reader.string().toString('latin1')
    const isSigned = reader.bytes(1)[0] === 1
    const algorithm = reader.string().toString('latin1')
    const blob = reader.string()
    const hostBlob = method === 'publickey-hostbound-v00@openssh.com' ? reader.string() : undefined
    const isLogin = isRequest && isSigned && service === 'ssh-connection' && reader.isAtEnd()
    if (!isLogin || (method !== 'publickey' && !hostBlob)) return undefined
    return { sessionId, user, algorithm, blob, hostBlob }
  } catch {
    // It ends too early to be one.
    return undefined
  }
}

function loginRefusal(
  login: Login | undefined,
  bound: Bound,
  blob: Buffer,
  key: SshAgentKey,
): string | undefined {
  if (!login) return 'Only logins are signed, no files, commits or certificates.'
  if (!login.sessionId.equals(bound.sessionId)) return 'The login is for another session than the bound one.'
  if (login.hostBlob && !login.hostBlob.equals(bound.hostBlob)) return 'The login names another host.'
  if (!login.blob.equals(blob)) return 'The login names another key.'
  return key.users.includes(login.user)
    ? undefined
    : `The key signs in as ${key.users.join(', ')}, not as ${login.user.slice(0, 64)}.`
}

const sha2Flags = { sha256: 2, sha512: 4 } as const

function algorithmFor(type: string, flags: number): string | undefined {
  if (type !== 'ssh-rsa') return type
  if ((flags & sha2Flags.sha512) !== 0) return 'rsa-sha2-512'
  return (flags & sha2Flags.sha256) !== 0 ? 'rsa-sha2-256' : undefined
}

/** What `sign` and `verify` call it; null where the key itself says. */
const digests: Readonly<Record<string, string | null>> = {
  'ssh-ed25519': null,
  'rsa-sha2-256': 'sha256',
  'rsa-sha2-512': 'sha512',
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
}

function signWith(key: KeyObject, algorithm: string, data: Buffer): Buffer {
  const made = sign(digests[algorithm] ?? null, data, { key, dsaEncoding: 'ieee-p1363' })
  const half = made.length / 2
  const isCurve = algorithm.startsWith('ecdsa-')
  const bytes = isCurve ? Buffer.concat([mpint(made.subarray(0, half)), mpint(made.subarray(half))]) : made
  return Buffer.concat([string(algorithm), string(bytes)])
}

function isSigned(blob: Buffer, data: Buffer, signed: Buffer): boolean {
  const reader = readerOf(signed)
  const algorithm = reader.string().toString('latin1')
  const bytes = reader.string()
  const digest = digests[algorithm]
  const type = typeIn(blob)
  const fits = algorithm === type || (type === 'ssh-rsa' && algorithm.startsWith('rsa-sha2-'))
  if (digest === undefined || !fits) return false
  const key = publicKeyObject(parsePublicKey(`${type} ${blob.toString('base64')}`))
  const raw = algorithm.startsWith('ecdsa-') ? rawPoint(algorithm, bytes) : bytes
  return verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, raw)
}

/** Both numbers of a signature at the width of the curve. */
function rawPoint(algorithm: string, bytes: Buffer): Buffer {
  const curve = curves.find(({ name }) => algorithm === `ecdsa-sha2-${name}`)
  const size = Math.ceil((curve?.bits ?? 0) / 8)
  const reader = readerOf(bytes)
  return Buffer.concat(
    [reader.string(), reader.string()]
      .map(withoutLeadingZeros)
      .map((digits) => Buffer.concat([Buffer.alloc(Math.max(0, size - digits.length)), digits])),
  )
}
