import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import type { Secret } from '../../../../core/index.ts'

const derive = promisify(pbkdf2)
/** PostgreSQL's own number. */
export const standardIterations = 4096

/** What PostgreSQL stores of a password with SCRAM (RFC 5803): sent in its place, it keeps the password out of the server's logs. */
export async function scramVerifier(password: Secret, iterations: number): Promise<string> {
  const salt = randomBytes(16)
  const salted = await derive(password.reveal().normalize('NFKC'), salt, iterations, 32, 'sha256')
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest()
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64')
  const serverKey = hmac('Server Key').toString('base64')
  salted.fill(0)
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}
