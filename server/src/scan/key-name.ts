/** What the name of a key says about its value. */
export type KeyKind = 'password' | 'token' | 'none'

const setOf = (words: string): ReadonlySet<string> => new Set(words.split(' '))

const passwordWords = setOf(
  'password passwords passwd passphrase passcode pwd pass pw passwort kennwort contrasena contrasenya contraseña motdepasse senha ' +
    'wachtwoord heslo haslo parola losenord adgangskode salasana psk',
)
const tokenWords = setOf(
  'secret secrets token tokens credential credentials cred creds apikey apikeys accesskey secretkey privatekey authkey masterkey authtoken ' +
    'accesstoken bearer apitoken clientsecret',
)
/** Words before `key` that make it a secret. */
const keyedWords = setOf(
  'api access secret private auth authentication authorization encryption encrypt decryption signing sign signature master account ' +
    'shared deploy session app application consumer client subscription storage admin jwt hmac aes crypto cipher license root ' +
    'write ingest integration server webhook rest service ssh fernet cookie symmetric developer dev functions function host connection ' +
    'secrets apim maps payment gateway bot routing',
)
/** Words before `salt` that make it a secret of an application; the salt of one hash is stored beside the hash. */
const saltedWords = setOf(
  'app auth secret nonce in secure logged cookie session encryption security site password',
)
/** Words that make even a token harmless: it pages, it parses, it is public. */
const harmlessWords = setOf(
  'public publishable next previous prev page pagination continuation continue cursor sync csrf xsrf cancel cancellation eos bos pad unk mask ' +
    'sep cls max min num number count limit total input output prompt completion special stop start end example sample fake dummy placeholder ' +
    'type kind name label field header param parameter hash hashed digest checksum fingerprint length size expiry expires ttl url uri endpoint path file filename dir ' +
    'pattern regex regexp title message error hint help description tooltip foreign primary sort partition cache idempotency ' +
    'site verifying verification verify thumbprint host_key column row index lookup translation i18n locale starting change copy upload lock scroll iteration recv websocket csrftoken xsrftoken',
)
/** Words before a password that make its value a rule, a text or a switch. */
const harmlessBefore = setOf(
  'min max fake dummy example sample placeholder hashed forgot forgotten reset change confirm confirmation repeat retype no show hide toggle ' +
    'invalid wrong missing require requires required is has use with without validate check label hint help error message verify enter ' +
    'encrypted input should can will not does expect to',
)
/** Words after the noun that do not change what it is. */
const trailingWords = setOf(
  'prod production dev development test testing staging stage live sandbox local value string str text default base base64 b64 hex raw plain old new ' +
    'current primary secondary main backup v1 v2 v3 1 2 3 4 5 01 02 a b env var plaintext',
)

/** `dbPassword`, `DB_PASSWORD`, `db-password`, `db.password` → db, password; `passPhrase` → passphrase. */
function wordsOf(key: string): string[] {
  return key
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]{2})([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .replace(/(?<![a-z])pass[^a-z0-9](?=(?:phrase|word|code|wd)(?![a-z]))/g, 'pass')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
}

/** The words up to the noun that says what the key holds. */
function nounOf(key: string): { noun: string; before: string; words: readonly string[] } {
  const words = wordsOf(key)
  while (words.length > 1 && trailingWords.has(words.at(-1) ?? '')) words.pop()
  return { noun: words.at(-1) ?? '', before: words.at(-2) ?? '', words }
}

const isPasswordNoun = (noun: string): boolean =>
  passwordWords.has(noun) ||
  /[a-z](?:password|passwd|passphrase|passwort|pwd)$/.test(noun) ||
  /^(?:user|db|root|my|s?ftp|e?mail|smtp|imap|admin|(?:my|pg|ms)?sql|pg|ldap|redis|mongo|auth|http|proxy|ssh|wifi|login|bind|key|store|(?:key|trust)store|app|web|sudo|become|su|rabbit|mq|mqtt|acc|account|server|client)(?:pass|pw)$/.test(
    noun,
  )

export function kindOfKey(key: string): KeyKind {
  const { noun, before, words } = nounOf(key)
  if (isPasswordNoun(noun) || /mot_de_passe$/i.test(key)) {
    // `passValue` is a verb and what it takes.
    if (/^pass(?:value|string|text|new|old|raw|default|through)/i.test(key)) return 'none'
    return words.some((word) => harmlessBefore.has(word)) || /^(?:public|hash)$/.test(before)
      ? 'none'
      : 'password'
  }
  if (words.some((word) => harmlessWords.has(word))) return 'none'
  const isToken =
    tokenWords.has(noun) ||
    /[a-z](?:secret|token|apikey|secretkey|accesskey)$/.test(noun) ||
    ((noun === 'key' || noun === 'keys' || noun === 'auth' || noun === 'pat' || noun === 'pepper') &&
      words.length > 1) ||
    (noun === 'salt' && saltedWords.has(before)) ||
    key === '_auth'
  return isToken ? 'token' : 'none'
}

const mostKinds = 4096

/** The same, which remembers: a tree has few names, and each many times. */
export function createKeyKinds(): (key: string) => KeyKind {
  const kinds = new Map<string, KeyKind>()
  return (key) => {
    const known = kinds.get(key)
    if (known !== undefined) return known
    if (kinds.size >= mostKinds) kinds.clear()
    const kind = kindOfKey(key)
    kinds.set(key, kind)
    return kind
  }
}

/** Whether a key is named so loosely (`region_key`) that the value has to be convincing by itself. */
export function isLoose(key: string): boolean {
  const { noun, before } = nounOf(key)
  return (
    ((noun === 'key' || noun === 'keys') && !keyedWords.has(before)) || (noun === 'auth' && key !== '_auth')
  )
}
