/** What the name of a key says about its value. */
export type KeyKind = 'password' | 'token' | 'none'

const passwordWords = new Set(
  'password passwd passphrase passcode passwort contrasena motdepasse senha'.split(' '),
)
const shortPasswordWords = new Set('pwd pass pw'.split(' '))
const tokenWords = new Set(
  'secret secrets token tokens credential credentials apikey apikeys accesskey secretkey privatekey authkey masterkey authtoken accesstoken bearer apitoken clientsecret'.split(
    ' ',
  ),
)
/** Words before `key` that make it a secret. */
const keyedWords = new Set(
  (
    'api access secret private auth authentication authorization encryption encrypt decryption signing sign signature master account ' +
    'shared deploy session app application consumer client subscription storage admin jwt hmac aes crypto cipher license root ' +
    'write ingest integration server webhook rest service ssh fernet cookie symmetric root developer dev functions function host connection'
  ).split(' '),
)
/** Words that make even a token harmless: it pages, it parses, it is public. */
const harmlessWords = new Set(
  (
    'public publishable next previous prev page pagination continuation continue cursor sync csrf xsrf cancel cancellation eos bos pad unk mask ' +
    'sep cls max min num number count limit total input output prompt completion special stop start end example sample fake dummy placeholder ' +
    'type kind name label field header param parameter hash hashed digest checksum fingerprint length size expiry expires ttl url uri endpoint path file filename dir ' +
    'pattern regex regexp title message error hint help description tooltip foreign primary sort partition cache idempotency'
  ).split(' '),
)
/** Words after the noun that do not change what it is. */
const trailingWords = new Set(
  (
    'prod production dev development test testing staging stage live sandbox local value string str text default base base64 b64 hex raw plain old new ' +
    'current primary secondary main backup v1 v2 v3 1 2 3 4 5 01 02 a b env var'
  ).split(' '),
)

/** `dbPassword`, `DB_PASSWORD`, `db-password`, `db.password` → db, password. */
function wordsOf(key: string): string[] {
  return key
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]{2})([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
}

/** The words up to the noun that says what the key holds. */
function nounOf(key: string): { noun: string; before: string; words: readonly string[] } {
  const words = wordsOf(key)
  while (words.length > 1 && trailingWords.has(words.at(-1) ?? '')) words.pop()
  return { noun: words.at(-1) ?? '', before: words.at(-2) ?? '', words }
}

export function kindOfKey(key: string): KeyKind {
  const { noun, words } = nounOf(key)
  if (words.some((word) => harmlessWords.has(word))) return 'none'
  if (
    passwordWords.has(noun) ||
    shortPasswordWords.has(noun) ||
    /[a-z](?:password|passwd|passphrase)$/.test(noun)
  ) {
    return 'password'
  }
  const isToken =
    tokenWords.has(noun) ||
    /[a-z](?:secret|token|apikey|secretkey|accesskey)$/.test(noun) ||
    (noun === 'key' && words.length > 1) ||
    key === '_auth'
  return isToken ? 'token' : 'none'
}

/** Whether a key is named so loosely (`region_key`) that the value has to be convincing by itself. */
export function isLoose(key: string): boolean {
  const { noun, before } = nounOf(key)
  return noun === 'key' && !keyedWords.has(before)
}
