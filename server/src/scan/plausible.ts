import { isPlaceholder } from '../core/index.ts'
import { entropyOf } from './checks.ts'

/** A value that only points to where the secret is. */
const references = [
  /^keyward:\/\//i,
  /^(?:vault|op|secret|ssm|awssm|aws|gcpsm|gcp|doppler|bws|azkv|akv|sops|conjur|keyring|keychain|secretref|secret-ref|env|file|k8s|kube|ref\+[a-z]{1,20}):/i,
  /^@Microsoft\.KeyVault\(|^\$env:|^\$[A-Za-z_]\w{0,40}(?:->|::|\[|\.)/i,
  /^(?:arn:aws|projects\/[\w-]{1,60}\/secrets\/|resolve:)/i,
  /^[$%@#]\{|\$\{[^}]{1,200}\}|^\$\(|\$\([A-Za-z_]/,
  /\{\{[^}]{0,200}\}\}|<%|%\}|^\{[\w.-]{1,80}\}$|#\{[^}]{1,100}\}/,
  /^\$[A-Za-z_][A-Za-z0-9_]{0,80}$/,
  /^%[A-Za-z_][A-Za-z0-9_]{0,80}%$/,
  /^!(?:vault|Ref|Sub|GetAtt|ImportValue|reference|secret)\b/,
  /^ENC\[|^\$ANSIBLE_VAULT|^AQICAH|^-----BEGIN PGP MESSAGE/,
  /^(?:process\.env|os\.(?:environ|getenv)|env\.|ENV\[|secrets\.|var\.|local\.|data\.|config\.|settings\.|self\.|this\.|System\.)/,
  /^__[A-Za-z0-9_]{1,80}__$|^@@[\w-]{1,80}@@$|^@[A-Za-z_.-]{1,60}@$/,
]

/** A value that a person wrote to be replaced, or to show what one looks like. */
const placeholders = [
  /^<[^>]{0,200}>?$|^\[[^\]]{1,200}\]$/,
  /^(.)\1{3,}$/,
  /x{5,}|X{5,}|\*{3,}|\.{3,}|…|•{2,}|_{4,}|0{8,}/,
  /^(?:your|my|the|some|enter|put|add|insert|set|use|provide)[-_ .]|^an?[-_ .](?:[a-z]{2,20}[-_ .]){0,5}[a-z]{2,20}\d{0,3}$/i,
  /(?:^|[^a-z])(?:your|my)[-_]?(?:api|secret|access|auth|super|private|client|app|db|database|user|token|password|key|own|real)/i,
  /change[-_ ]?(?:me|this|it|now)|replace[-_ ]?(?:me|this|with)|to[-_ ]?be[-_ ]?(?:set|replaced|changed)|fill[-_ ]?(?:me|in|this)/i,
  /placeholder|redacted|removed|masked|dummy|sample|example|foobar|lorem|fixme|todo\b|not[-_ ]?(?:a[-_ ])?(?:real|secret|set|used)/i,
  /(?:^|[^a-z0-9])(?:fake|mock|stub|invalid|undefined|null|none|nil|unset|empty|default|disabled|test|testing|tbd|n\/a)(?:[^a-z0-9]|$)/i,
  /^(?:test|fake|mock)[-_]?(?:api|secret|token|key|pass|password|user|value|client|access|auth)/i,
  /^insecure|not-?so-?secret|^super[-_]?secret[-_]?(?:password|key|token)?\d{0,3}$|^s3cr3t$|^secret\d{0,4}$|^password\d{0,4}!?$|^passw0rd\d{0,4}!?$|^p@ssw0rd\d{0,4}!?$/i,
  /^(?:1234|abcd(?:$|ef|1234|-)|qwer|asdf|0123|9876|aaaa|bbbb|deadbeef|cafebabe)/i,
  /1234567890|0123456789|abcdefgh|qwertyui|deadbeef/i,
  /^(?:true|false|yes|no|on|off|admin|root|user|guest|letmein|welcome|postgres|mysql|redis|mongo|string|number|boolean|required|optional|hidden|text|password|passwd|secret|token|bearer|basic|oauth2?|jwt|apikey|credential|key)$/i,
]

/** What a hash, a public key, an id or a version looks like. */
const publicForms = [
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
  /^6L[A-Za-z0-9_-]{38}$/,
  /^urn:/i,
  /^(?:sha(?:1|224|256|384|512)|md5)[-:=]/i,
  /^\$(?:2[abxy]|argon2(?:id|i|d)|5|6|y|scrypt|pbkdf2[\w-]{0,10}|apr1|1)\$/,
  /^(?:\{(?:SSHA|SHA|MD5|SMD5|CRYPT|PBKDF2|ARGON2|bcrypt)[^}]{0,12}\}|pbkdf2[_:$]|(?:scrypt|bcrypt|argon2[id]{0,2}|hmac)[:$]|SCRAM-SHA-)/i,
  /^(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2|age1[a-z0-9]{20,}|pk_(?:live|test)_|-----BEGIN (?:PUBLIC|CERTIFICATE|RSA PUBLIC))/,
  /^v?\d{1,4}\.\d{1,4}(?:\.\d{1,6})?(?:[-+][\w.]{1,30})?$/,
  /^\d{4}-\d{2}-\d{2}(?:[T ][\d:.Z+-]{4,20})?$/,
  /^#[0-9a-f]{3,8}$/i,
]

const hasAny = (patterns: readonly RegExp[], value: string): boolean =>
  patterns.some((pattern) => pattern.test(value))

/** Whether a value has the form of a hash, a public key, an id, a version or a date. */
export const isPublicForm = (value: string): boolean => hasAny(publicForms, value)

/** Whether a value is clearly not a secret: a placeholder of ours, a reference, something to be filled in, an example, a hash, an id. */
export function isHarmless(value: string): boolean {
  return (
    isPlaceholder(value) ||
    hasAny(references, value) ||
    hasAny(placeholders, value) ||
    isPublicForm(value) ||
    isSequence(value)
  )
}

/** Whether a value in a provider's exact form is only shown as an example: long runs, or the word itself. */
export function isSample(value: string): boolean {
  // What is left after a prefix, where that is enough to tell.
  const body = value.length < 16 ? value : value.slice(8)
  if (
    /example|placeholder|redacted|changeme|your[-_]|x{6,}|\*{3,}|\.{3}|1234567890|0123456789|abcdefghij|deadbeef/i.test(
      value,
    )
  ) {
    return true
  }
  return entropyOf(body) < 1.8
}

/** Counting up or down for most of its length, such as `abcdef123456`. */
function isSequence(value: string): boolean {
  let steps = 0
  for (let i = 1; i < value.length; i++) {
    if (Math.abs(value.charCodeAt(i) - value.charCodeAt(i - 1)) <= 1) steps++
  }
  return value.length >= 6 && steps / (value.length - 1) > 0.7
}
