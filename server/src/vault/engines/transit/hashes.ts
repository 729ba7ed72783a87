/** Names of the API, and Node's for the same functions. */
const hashes = {
  sha1: 'sha1',
  'sha2-224': 'sha224',
  'sha2-256': 'sha256',
  'sha2-384': 'sha384',
  'sha2-512': 'sha512',
  'sha3-224': 'sha3-224',
  'sha3-256': 'sha3-256',
  'sha3-384': 'sha3-384',
  'sha3-512': 'sha3-512',
} as const

export type HashName = (typeof hashes)[keyof typeof hashes]

/** What signatures may use; sha1 among them, which only old systems should ask for. */
export const signingHash = (name: string): HashName | undefined =>
  Object.hasOwn(hashes, name) ? hashes[name as keyof typeof hashes] : undefined

/** What hashes and HMACs may use. */
export const digestHash = (name: string): HashName | undefined =>
  name === 'sha1' ? undefined : signingHash(name)
