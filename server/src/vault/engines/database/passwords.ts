import { AppError, type Secret } from '../../../core/index.ts'
import type { Body } from '../../engine.ts'
import { isObject } from '../../fields.ts'
import { generatePassword, type PasswordPolicies } from '../../password-policies.ts'
import type { Database } from './database-port.ts'

/** 20 characters, of each kind at least one: Vault's default. */
const standard = {
  length: 20,
  rules: ['abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', '0123456789', '-'].map((set) => ({
    characters: [...set],
    least: 1,
  })),
}
const tries = 200

/** By the role's policy, or the connection's, or Vault's default. */
export async function newPassword(
  policies: Pick<PasswordPolicies, 'generate'>,
  database: Pick<Database, 'accepts'>,
  ...names: readonly (string | undefined)[]
): Promise<Secret> {
  const name = names.find((policy) => policy !== undefined && policy !== '')
  for (let attempt = 0; attempt < tries; attempt++) {
    const password = name === undefined ? generatePassword(standard) : await byPolicy(policies, name)
    if (database.accepts(password)) return password
  }
  throw new AppError(
    'request.invalid',
    `failed to generate password: those of the policy "${name}" hold quotes, backslashes or dollar signs, which no statement can`,
  )
}

async function byPolicy(policies: Pick<PasswordPolicies, 'generate'>, name: string): Promise<Secret> {
  const password = await policies.generate(name)
  if (!password)
    throw new AppError(
      'request.invalid',
      `failed to generate password: there is no password policy "${name}"`,
    )
  return password
}

/** `credential_type` and `credential_config`; only passwords are made. */
export function credentialConfigFrom(body: Body, current: Readonly<Record<string, string>>) {
  const type = body['credential_type'] ?? 'password'
  if (type !== 'password') {
    const known = ['rsa_private_key', 'client_certificate'].includes(String(type))
    throw new AppError(
      'request.invalid',
      known ? `unsupported credential_type: "${type}"` : `invalid credential_type "${type}"`,
    )
  }
  const config = keyValues(body['credential_config'])
  if (!config) return current
  const unknown = Object.keys(config).find((name) => name !== 'password_policy')
  if (unknown !== undefined)
    throw new AppError('request.invalid', `credential_config validation failed: "${unknown}" is not known`)
  return config
}

/** An object, its JSON, or `name=value` texts, as Vault's clients write such a field. */
function keyValues(value: unknown): Record<string, string> | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const found = typeof value === 'string' && value.trim().startsWith('{') ? parsed(value) : value
  if (isObject(found))
    return Object.fromEntries(Object.entries(found).map(([key, item]) => [key, String(item)]))
  const pairs: readonly unknown[] = Array.isArray(found) ? found : String(found).split(',')
  return Object.fromEntries(
    pairs.map((pair) => {
      const text = String(pair)
      const at = text.indexOf('=')
      if (at < 1) throw new AppError('request.invalid', 'credential_config is an object or name=value')
      return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
    }),
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new AppError('request.invalid', 'credential_config is no valid JSON')
  }
}
