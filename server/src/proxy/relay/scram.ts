import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding, split in two: the child speaks with the
// server of the database, and whoever holds the password works out the proof.

const derive = promisify(pbkdf2)
const header = 'n,,'
/** RFC 7677 asks for 4096 at least; what is far above would only keep us busy. */
const iterations = { least: 4096, most: 1_000_000 }

export const clientFirst = (nonce: string): { message: string; bare: string } => {
  const bare = `n=,r=${nonce}`
  return { message: header + bare, bare }
}

const attributes = (text: string): Map<string, string> =>
  new Map(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** The client's last message, and what the server must answer to show that it knows the password too. */
export async function scramProof(
  password: string,
  clientFirstBare: string,
  serverFirst: string,
): Promise<{ text: string; verifier: string }> {
  const nonce = attributes(clientFirstBare).get('r') ?? ''
  const asked = attributes(serverFirst)
  const serverNonce = asked.get('r') ?? ''
  const rounds = Number(asked.get('i'))
  if (nonce === '' || !serverNonce.startsWith(nonce) || serverNonce === nonce || asked.has('m'))
    throw new Error('the server does not follow SCRAM')
  if (!Number.isInteger(rounds) || rounds < iterations.least || rounds > iterations.most)
    throw new Error('the number of iterations is not acceptable')
  const salt = Buffer.from(asked.get('s') ?? '', 'base64')
  const salted = await derive(password.normalize('NFKC'), salt, rounds, 32, 'sha256')
  const withoutProof = `c=${Buffer.from(header).toString('base64')},r=${serverNonce}`
  const signed = [clientFirstBare, serverFirst, withoutProof].join(',')
  const clientKey = hmac(salted, 'Client Key')
  const signature = hmac(createHash('sha256').update(clientKey).digest(), signed)
  const proof = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))
  const verifier = hmac(hmac(salted, 'Server Key'), signed).toString('base64')
  return { text: `${withoutProof},p=${Buffer.from(proof).toString('base64')}`, verifier }
}

export function isVerified(serverFinal: string, verifier: string): boolean {
  const given = Buffer.from(attributes(serverFinal).get('v') ?? '', 'base64')
  const wanted = Buffer.from(verifier, 'base64')
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

/** As PostgreSQL's older method wants it; the salt has four bytes. */
export function md5Answer(username: string, password: string, salt: Uint8Array): string {
  const digest = (...parts: readonly (string | Uint8Array)[]): string =>
    parts.reduce((hash, part) => hash.update(part), createHash('md5')).digest('hex')
  return `md5${digest(digest(password, username), salt)}`
}
