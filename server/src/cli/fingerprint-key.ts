import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { AppError, reasonOf } from '../core/index.ts'
import { configFolder, type Environment } from './places.ts'
import { readPrivateFile, writePrivateFile } from './private-file.ts'

const keyBytes = 32

/**
 * The key of fingerprints: KEYWARD_FINGERPRINT_KEY (64 hex digits; the same on every machine that shares a baseline), or
 * the user's own, made at the first scan. A fingerprint without a key would let anybody test a guess against a report.
 */
export async function fingerprintKey(env: Environment, warn: (text: string) => void): Promise<Buffer> {
  const given = env['KEYWARD_FINGERPRINT_KEY']
  if (given) return fromHex(given, 'KEYWARD_FINGERPRINT_KEY')
  const file = join(configFolder(env), 'fingerprint.key')
  const kept = await readPrivateFile(file)
  if (kept !== undefined) return fromHex(kept.trim(), file)
  const made = randomBytes(keyBytes)
  try {
    await writePrivateFile(file, `${made.toString('hex')}\n`)
  } catch (error) {
    warn(
      `The fingerprints of this scan are good for this scan only: ${file} cannot be written (${reasonOf(error)}).`,
    )
  }
  return made
}

function fromHex(text: string, from: string): Buffer {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  throw new AppError('request.invalid', `${from} is not a fingerprint key. It has 64 hex digits`)
}
