import { classesIn, entropyOf, isSpoken, mixOf, shareUnspoken } from '../checks.ts'

const setOf = (words: string): ReadonlySet<string> => new Set(words.split(' '))

/** Words of which people put together values that stand for no secret: `mysecretpassword`, `test-api-key-1`. */
const empty = setOf(
  'my your our the an some super top very ultra really secret secrets password passwords passwd pass pwd phrase passphrase token tokens key keys api auth ' +
    'access client server app application service user username admin root test testing tests tester demo dev local example sample dummy fake mock foo bar baz qux ' +
    'value values string here default change changed me this please temp tmp placeholder random long strong secure insecure real insert enter put add set fill new old ' +
    'current confirm db database guest login word hello world goes in prod production not for used only valid invalid wrong correct bad good ' +
    'private public shared session jwt oauth bearer basic cookie signing encryption with to be replace replaced required optional field input name ' +
    'text type id data code of is and or no none some any abc xyz abcd efgh xxx yyy todo tbd fixme credential credentials master account registry refresh webhook bot',
)
const longest = 12

/** Whether a value is made of such words and small numbers only. */
export function saysNothing(value: string): boolean {
  if (value.length > 60) return false
  const parts = value
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((part) => part !== '')
  const digits = value.replace(/\D/g, '')
  if (parts.length === 0 || digits.length > 4 || /[^\w\-. :!?]/.test(value)) return false
  return (
    (digits.length < 3 || /^(?:0123|123|1234|321|000|111|2\d{3}|999)$/.test(digits)) &&
    parts.every(isPutTogether)
  )
}

/** Whether letters can be cut into such words without a rest; the work is bounded by length × longest word. */
function isPutTogether(letters: string): boolean {
  const reachable = new Set([0])
  for (let from = 0; from < letters.length; from++) {
    if (!reachable.has(from)) continue
    for (let to = from + 2; to <= Math.min(letters.length, from + longest); to++) {
      if (empty.has(letters.slice(from, to))) reachable.add(to)
    }
  }
  return reachable.has(letters.length)
}

export const isUuid = (value: string): boolean =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(value) && !/^(.)\1{7}-/.test(value)

/** `password: passwordField`, `token = TOKEN_NAME`: the value repeats the key, or is a name of such a thing. */
export function namesItself(key: string, value: string): boolean {
  const bare = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '')
  return (
    bare(key) === bare(value).replace(/\d+$/, '') ||
    (/^[A-Za-z_.:/@-]+\d{0,2}$/.test(value) &&
      /pass(?:word|wd|phrase|code)|secret|token|(?:^|[^a-z])key(?:$|[^a-z])|api_?key|credential|cookie|oauth/i.test(
        value,
      ))
  )
}

const fileEnding =
  /\.(?:pem|key|crt|cer|der|jks|p12|pfx|keystore|json|ya?ml|txt|env|conf|cfg|ini|xml|properties|toml|[cm]?[jt]sx?|py|go|rb|php|java|cs|sh|html?|css|md|png|svg|sql|db|log|gpg|asc)$/i

/** An address without a password in it, or the name of a file. */
export function isPathOrAddress(value: string): boolean {
  if (/^[a-z][a-z0-9+.-]{0,20}:\/\//i.test(value)) return !/:\/\/[^/@\s]{0,80}:[^/@\s]{1,200}@/.test(value)
  if (/^(?:\.{1,2}[\\/]|~[\\/]|[A-Za-z]:[\\/]|%[A-Za-z]+%[\\/]|\\\\\w)/.test(value)) return true
  if (/^\/[\w.@-]{1,64}(?:\/[\w.@{}:*-]{0,64}){0,16}$/.test(value) && value.split('/').some(isWordLike))
    return true
  return fileEnding.test(value) && /^[\w./\\@ -]+$/.test(value)
}

/** A piece of a program: a call, an access, an expression. */
export const isCode = (value: string): boolean =>
  /[A-Za-z_]\w*\(|^\(|\)$|=>|->|\]\.|\)\.|^[A-Za-z_]\w*\[|^[a-z_]\w*(?:\.[A-Za-z_]\w*)+\(|^&?[a-z]\w*(?:::\w+)+|^@[\w.]+\(|\[\^?(?:a-z|A-Z|0-9)/.test(
    value,
  )

/** Words joined by dots, dashes, underscores, slashes or capitals: a variable, a path, a class, a setting. */
export function looksLikeName(value: string): boolean {
  if (/^[A-Za-z]{1,20}(?:[._:/-][A-Za-z0-9]{1,20}){1,8}$/.test(value))
    return value.split(/[._:/-]/).every(isWordLike)
  const camel = /^[?!$]?(?:[a-z]{1,15}|[A-Z][a-z]{1,15})(?:[A-Z][a-z]{1,15}){1,6}\d{0,3}$/
  if (camel.test(value)) return (value.match(/[A-Z]?[a-z]+/g) ?? []).every(isSpoken)
  return /^[A-Z]+(?:_[A-Z0-9]{1,20}){1,8}$/.test(value)
}

/**
 * Long, and of letters in a disorder that no name has, such as a generator of passwords draws. One of some hundred
 * such holds enough letters in a row as words do to mislead the model, so this is not left to it.
 */
export function looksDrawn(value: string): boolean {
  if (!/^[A-Za-z0-9]{16,}$/.test(value) || entropyOf(value) < 3.4) return false
  return (mixOf(value) >= 0.3 || shareUnspoken(value) >= 0.3) && !looksLikeName(value)
}

/**
 * Drawn from all keys of a keyboard, as frameworks make the secret that they sign with: so many different signs, and so
 * little order, that its brackets, blanks and dollars mean nothing.
 */
export function isKeyboardNoise(value: string): boolean {
  if (value.length < 24 || value.length > 128 || !/^[\x20-\x7e]+$/.test(value)) return false
  const symbols = value.match(/[^A-Za-z0-9 ]/g) ?? []
  const words = (value.match(/[A-Z]?[a-z]{3,}/g) ?? []).filter(isSpoken)
  return (
    words.join('').length < 0.4 * value.length &&
    new Set(symbols).size >= 5 &&
    symbols.length >= 0.12 * value.length &&
    mixOf(value) >= 0.35 &&
    entropyOf(value) >= 4 &&
    !/A-Z|a-z|0-9|\\[dwsnux]|\(\?[=!:<]|\.\*|\$\{[A-Za-z_]\w{2}|\{\{.{1,60}\}\}|<%.{1,60}%>|<\/\w{1,20}>/.test(
      value.replace(/^[a-z]+-[a-z]+-/, ''),
    )
  )
}

/**
 * The same for what a manager of passwords draws: too short for its statistics, so nothing in it may look like a call, a
 * place for a value, or a word.
 */
export function isScrambled(value: string): boolean {
  if (value.length < 10 || value.length >= 24 || !/^[\x21-\x7e]+$/.test(value)) return false
  const symbols = value.match(/[^A-Za-z0-9]/g) ?? []
  const words = (value.match(/[A-Z]?[a-z]{3,}|[A-Z]{4,}/g) ?? []).filter(isSpoken)
  return (
    words.every((word) => word.length < 4) &&
    new Set(symbols).size >= 3 &&
    symbols.length >= 0.15 * value.length &&
    classesIn(value) >= 3 &&
    mixOf(value) >= 0.45 &&
    entropyOf(value) >= 0.85 * Math.log2(value.length) &&
    !/[([{<%]\w{2,}[)\]}>%]|\w{3,}\(|[a-z]-[a-z]\]|0-9|%[a-zA-Z][-:/ ]|\\[dwsn]|^[$%#@]\{|[)\]](?:\[|->|\.)|<%|%>|\{\{/.test(
      value,
    )
  )
}

/** One case throughout, or a capital first, and vowels where a word has them; or a version. */
function isWordLike(part: string): boolean {
  if (/^v?\d{1,3}$/.test(part)) return true
  const letters = part.replace(/\d{1,3}$/, '')
  return /^(?:[a-z]+|[A-Z][a-z]*|[A-Z]+)$/.test(letters) && (letters.length < 5 || /[aeiouy]/i.test(letters))
}
