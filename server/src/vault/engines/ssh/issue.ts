import { createHash, type KeyObject, randomBytes } from 'node:crypto'
import type { Body } from '../../engine.ts'
import { durationField, textField, textMapField } from '../../fields.ts'
import { invalid } from '../record-fields.ts'
import { signCertificate } from './certificate.ts'
import type { PublicKey } from './public-key.ts'
import { listOf, type Role } from './role.ts'

export type Application = {
  readonly role: Role
  readonly roleName: string
  readonly body: Body
  readonly displayName: string
  readonly limits: { readonly defaultSeconds: number; readonly maxSeconds: number }
  readonly now: Date
}

/** Checks all that was asked against the role, and signs it. */
export async function signKey(
  application: Application,
  key: PublicKey,
  authority: KeyObject,
): Promise<{ data: Record<string, unknown>; note: Record<string, string | string[]> }> {
  const { role, now } = application
  const kind = kindOf(application)
  const principals = principalsOf(application, kind)
  const serial = randomBytes(8).readBigUInt64BE()
  const validBefore = new Date(now.getTime() + ttlOf(application) * 1000)
  const keyId = keyIdOf(application, key)
  const signedKey = await signCertificate(
    {
      key,
      serial,
      kind,
      keyId,
      principals,
      validAfter: new Date(now.getTime() - role.not_before_duration * 1000),
      validBefore,
      criticalOptions: criticalOptionsOf(application),
      extensions: extensionsOf(application),
    },
    authority,
    role.algorithm_signer === 'rsa-sha2-512' ? 'rsa-sha2-512' : 'rsa-sha2-256',
  )
  const printed = serial.toString(16)
  return {
    data: { serial_number: printed, signed_key: signedKey },
    note: { serial: printed, keyId, principals, validBefore: validBefore.toISOString() },
  }
}

function kindOf({ role, body }: Application): 'user' | 'host' {
  const kind = textField(body, 'cert_type') || 'user'
  if (kind !== 'user' && kind !== 'host') throw invalid("cert_type must be either 'user' or 'host'")
  if (kind === 'user' ? !role.allow_user_certificates : !role.allow_host_certificates)
    throw invalid(`cert_type '${kind}' is not allowed by role`)
  return kind
}

function principalsOf({ role, body }: Application, kind: 'user' | 'host'): string[] {
  const written = textField(body, 'valid_principals')
  const wanted = listOf(written ?? (kind === 'user' ? role.default_user : ''))
  const allowedBy = kind === 'user' ? role.allowed_users : role.allowed_domains
  if (wanted.length === 0) {
    if (!role.allow_empty_principals && allowedBy !== '*')
      throw invalid(
        'refusing to issue unsafe, globally-valid certificate with no principals specified; set valid_principals or default_user',
      )
    return []
  }
  const allowed = listOf(allowedBy)
  if (allowed.length === 0) throw invalid('role is not configured to allow any principals')
  if (allowedBy === '*') return wanted
  const isAllowed = (name: string): boolean =>
    kind === 'user' ? allowed.includes(name) : allowed.some((domain) => isHostOf(role, domain, name))
  const bad = wanted.find((name) => !isAllowed(name))
  if (bad !== undefined) throw invalid(`${bad} is not a valid value for valid_principals`)
  return wanted
}

const isHostOf = (role: Role, domain: string, name: string): boolean =>
  (role.allow_bare_domains && name === domain) || (role.allow_subdomains && name.endsWith(`.${domain}`))

/** A hundred years: what is longer is no date any more. */
const longestSeconds = 100 * 365 * 86_400

function ttlOf({ role, body, limits }: Application): number {
  const asked = durationField(body, 'ttl') ?? 0
  const greatest = role.max_ttl || limits.maxSeconds
  if (asked > greatest) throw invalid(`ttl is larger than maximum allowed ${greatest}`)
  return Math.min(asked || Math.min(role.ttl || limits.defaultSeconds, greatest), longestSeconds)
}

function keyIdOf({ role, roleName, body, displayName }: Application, key: PublicKey): string {
  const asked = textField(body, 'key_id') ?? ''
  if (asked !== '') {
    if (!role.allow_user_key_ids) throw invalid('setting key_id is not allowed by role')
    return asked
  }
  const usual =
    displayName === '' ? 'vault-{{public_key_hash}}' : 'vault-{{token_display_name}}-{{public_key_hash}}'
  return (role.key_id_format || usual)
    .replaceAll('{{token_display_name}}', () => displayName)
    .replaceAll('{{role_name}}', () => roleName)
    .replaceAll('{{public_key_hash}}', createHash('sha256').update(key.blob).digest('hex'))
}

function criticalOptionsOf({ role, body }: Application): Readonly<Record<string, string>> {
  const asked = textMapField(body, 'critical_options') ?? {}
  const names = Object.keys(asked)
  if (names.length === 0) return role.default_critical_options
  const allowed = listOf(role.allowed_critical_options)
  const bad = allowed.length > 0 ? names.filter((name) => !allowed.includes(name)) : []
  if (bad.length > 0) throw invalid(`critical options not on allowed list: [${bad.join(' ')}]`)
  return asked
}

function extensionsOf({ role, body }: Application): Readonly<Record<string, string>> {
  const asked = textMapField(body, 'extensions') ?? {}
  const names = Object.keys(asked)
  if (names.length === 0) return role.default_extensions
  if (role.allowed_extensions === '*') return asked
  const allowed = listOf(role.allowed_extensions)
  const bad = names.filter((name) => !allowed.includes(name))
  if (bad.length > 0) throw invalid(`extensions [${bad.join(' ')}] are not on allowed list`)
  return asked
}

/** Which of the names that a role may use for it a key goes by. */
function namesOf({ family, bits }: Pick<PublicKey, 'family' | 'bits'>): string[] {
  if (family === 'rsa') return ['rsa', 'ssh-rsa']
  if (family === 'ed25519') return ['ed25519', 'ssh-ed25519']
  return ['ecdsa', 'ec', `ecdsa-sha2-nistp${bits}`]
}

/** Whether the role allows a key of this kind and size. */
export function assertKey({ allowed_user_key_lengths: allowed }: Role, key: PublicKey): void {
  const refused = (why: string) => invalid(`public_key failed to meet the key requirements: ${why}`)
  if (key.family === 'rsa' && key.bits < 1024) throw refused(`key is of an invalid size: ${key.bits}`)
  if (Object.keys(allowed).length === 0) return
  const names = namesOf(key).filter((name) => Object.hasOwn(allowed, name))
  if (names.length === 0) throw refused(`key of type ${key.family} is not allowed`)
  // Where the name says the size already, as for Ed25519, what stands beside it says nothing more.
  const fits = names.some(
    (name) => /^(?:ssh-)?ed25519$|^ecdsa-sha2-/.test(name) || allowed[name]?.includes(key.bits),
  )
  if (!fits) throw refused(`key is of an invalid size: ${key.bits}`)
}
