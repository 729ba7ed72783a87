import { AppError } from '../core/index.ts'

const mostKeys = 64
const longestKey = 128
const longestValue = 512

/** Holds what people write beside a secret or an alias to Vault's limits. Lengths are bytes. */
export function assertCustomMetadata(metadata: Readonly<Record<string, string>>): void {
  const entries = Object.entries(metadata)
  if (entries.length > mostKeys)
    throw invalid(`payload must contain at most ${mostKeys} keys, provided ${entries.length}`)
  for (const [key, value] of entries) {
    const name = JSON.stringify(key)
    const [keyLength, valueLength] = [Buffer.byteLength(key), Buffer.byteLength(value)]
    if (keyLength === 0 || keyLength > longestKey)
      throw invalid(`length of key ${name} is ${keyLength} but must be 0 < len(key) <= ${longestKey}`)
    if (valueLength === 0 || valueLength > longestValue)
      throw invalid(
        `length of value for key ${name} is ${valueLength} but must be 0 < len(value) <= ${longestValue}`,
      )
    if (isUnprintable(key)) throw invalid(`key ${name} contains unprintable characters`)
    if (isUnprintable(value)) throw invalid(`value for key ${name} contains unprintable characters`)
  }
}

const isUnprintable = (text: string): boolean => /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u.test(text)

const invalid = (what: string): AppError =>
  new AppError('request.invalid', `1 error occurred:\n\t* custom_metadata validation failed: ${what}\n\n`)
