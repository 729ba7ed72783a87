import { AppError } from '../core/index.ts'
import { parseDuration } from './duration.ts'
import type { Body } from './engine.ts'
import { booleanField, countField, isObject, listField, textField } from './fields.ts'

/** Where auth methods are mounted. */
export const authPrefix = 'auth/'

export const mountTokenTypes = ['default-service', 'default-batch', 'service', 'batch'] as const
export type MountTokenType = (typeof mountTokenTypes)[number]

export type Lockout = {
  /** Wrong passwords in a row. */
  readonly threshold: number
  readonly durationSeconds: number
  /** After so long without a wrong password, counting starts again. */
  readonly resetSeconds: number
  readonly disabled: boolean
}

/** What a mount can be tuned to; what is absent is the system's default. */
export type MountConfig = {
  readonly defaultTtlSeconds?: number
  readonly maxTtlSeconds?: number
  readonly listingVisibility?: 'unauth' | 'hidden'
  readonly tokenType?: MountTokenType
  readonly lockout?: Lockout
  /** Written and shown, for clients that compare what they wrote: no header is passed on, and the log holds no value unhashed. */
  readonly lists?: Readonly<Partial<Record<ListName, readonly string[]>>>
}

const listNames = [
  'allowed_response_headers',
  'audit_non_hmac_request_keys',
  'audit_non_hmac_response_keys',
  'passthrough_request_headers',
] as const
type ListName = (typeof listNames)[number]

export const defaultLockout: Lockout = {
  threshold: 5,
  durationSeconds: 900,
  resetSeconds: 900,
  disabled: false,
}

/** The fields of `sys/mounts/<path>/tune` and of `config` when a mount is made; undefined when none is there. */
export function mountConfigFrom(body: Body, current: MountConfig = {}): MountConfig | undefined {
  const lockout = body['user_lockout_config']
  const tokenType = textField(body, 'token_type')
  const visibility = textField(body, 'listing_visibility')
  const config: MountConfig = {
    ...ttl(body, 'default_lease_ttl', 'defaultTtlSeconds'),
    ...ttl(body, 'max_lease_ttl', 'maxTtlSeconds'),
    ...(tokenType ? { tokenType: tokenTypeFrom(tokenType) } : {}),
    ...(visibility === undefined ? {} : { listingVisibility: visibilityFrom(visibility) }),
    ...listsFrom(body, current),
    ...(isObject(lockout) ? { lockout: lockoutFrom(lockout, current.lockout ?? defaultLockout) } : {}),
  }
  const { defaultTtlSeconds = 0, maxTtlSeconds = 0 } = { ...current, ...config }
  if (maxTtlSeconds > 0 && defaultTtlSeconds > maxTtlSeconds)
    throw new AppError(
      'request.invalid',
      `backend max lease TTL of ${maxTtlSeconds} would be less than backend default lease TTL of ${defaultTtlSeconds}`,
    )
  return Object.keys(config).length > 0 ? config : undefined
}

/** As the tune path shows it. */
export function mountConfigView(config: MountConfig = {}, isAuth = false): Record<string, unknown> {
  return {
    default_lease_ttl: config.defaultTtlSeconds ?? 0,
    max_lease_ttl: config.maxTtlSeconds ?? 0,
    force_no_cache: false,
    ...(isAuth ? { token_type: config.tokenType ?? 'default-service' } : {}),
    ...(config.listingVisibility ? { listing_visibility: config.listingVisibility } : {}),
    ...config.lists,
    ...(config.lockout ? lockoutView(config.lockout) : {}),
  }
}

const lockoutView = (lockout: Lockout): Record<string, unknown> => ({
  user_lockout_threshold: lockout.threshold,
  user_lockout_duration: lockout.durationSeconds,
  user_lockout_counter_reset_duration: lockout.resetSeconds,
  user_lockout_disable: lockout.disabled,
})

/** The settings within what a mount is told about in a list of mounts. */
export function mountSettingsView(config: MountConfig = {}, isAuth = false): Record<string, unknown> {
  const { lockout, ...rest } = config
  return {
    ...mountConfigView(rest, isAuth),
    ...(lockout ? { user_lockout_config: lockoutView(lockout) } : {}),
  }
}

function listsFrom(body: Body, { lists }: MountConfig): MountConfig {
  const given = listNames.flatMap((name) => {
    const list = listField(body, name)
    return list ? [[name, list] as const] : []
  })
  return given.length > 0 ? { lists: { ...lists, ...Object.fromEntries(given) } } : {}
}

/** `-1` and `system` go back to the default of the system, which is stored as 0. */
function ttl(body: Body, field: string, name: 'defaultTtlSeconds' | 'maxTtlSeconds'): MountConfig {
  const written = textField(body, field)
  if (written === undefined || written === '') return {}
  const seconds = written === '-1' || written === 'system' ? 0 : (parseDuration(written, field) ?? 0)
  return { [name]: seconds }
}

function tokenTypeFrom(written: string): MountTokenType {
  const found = mountTokenTypes.find((type) => type === written)
  if (!found) throw new AppError('request.invalid', `invalid value for 'token_type': "${written}"`)
  return found
}

function visibilityFrom(written: string): 'unauth' | 'hidden' {
  if (written === 'unauth') return 'unauth'
  if (written === '' || written === 'hidden') return 'hidden'
  throw new AppError('request.invalid', `invalid listing_visibility ${written}; use "unauth" or "hidden"`)
}

function lockoutFrom(fields: Body, current: Lockout): Lockout {
  return {
    threshold: countField(fields, 'lockout_threshold') ?? current.threshold,
    durationSeconds: parseDuration(fields['lockout_duration'], 'lockout_duration') ?? current.durationSeconds,
    resetSeconds:
      parseDuration(
        fields['lockout_counter_reset'] ?? fields['lockout_counter_reset_duration'],
        'lockout_counter_reset',
      ) ?? current.resetSeconds,
    disabled: booleanField(fields, 'lockout_disable') ?? current.disabled,
  }
}
