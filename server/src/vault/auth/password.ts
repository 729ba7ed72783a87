import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../../core/index.ts'

/** A password as it is kept: argon2id with its own salt and cost. Bytes in base64. */
export type PasswordHash = {
  readonly salt: string
  readonly hash: string
  readonly memoryKiB: number
  readonly passes: number
  readonly parallelism: number
}

const cost = { memoryKiB: 19_456, passes: 2, parallelism: 1 }
const saltBytes = 16
const hashBytes = 32

export async function hashPassword(password: Secret): Promise<PasswordHash> {
  const salt = randomBytes(saltBytes)
  const hash = await derive(password, salt, cost)
  return { ...cost, salt: salt.toString('base64'), hash: hash.toString('base64') }
}

export async function isPassword(kept: PasswordHash, password: Secret): Promise<boolean> {
  const expected = Buffer.from(kept.hash, 'base64')
  const found = await derive(password, Buffer.from(kept.salt, 'base64'), kept)
  return found.length === expected.length && timingSafeEqual(found, expected)
}

/** Takes as long as a real one and fits no password: for users that do not exist. */
export const hashOfNobody = (): PasswordHash => ({
  ...cost,
  salt: randomBytes(saltBytes).toString('base64'),
  hash: randomBytes(hashBytes).toString('base64'),
})

function derive(
  password: Secret,
  nonce: Uint8Array,
  { memoryKiB, passes, parallelism }: typeof cost,
): Promise<Buffer> {
  const options = { nonce, memory: memoryKiB, passes, parallelism, tagLength: hashBytes }
  return new Promise((resolve, reject) => {
    // In a thread of its own, so that guessing does not stop the server.
    argon2('argon2id', { ...options, message: password.reveal() }, (error, hash) =>
      error ? reject(error) : resolve(hash),
    )
  })
}
