import { type ChannelKind, type ChannelRoute, channelSettings, type Json } from '@keyward/contract'
import type { z } from 'zod'
import { AppError } from '../core/index.ts'
import type { ChannelRow } from './channels-store.ts'

export type Settings = { readonly [K in ChannelKind]: z.output<(typeof channelSettings)[K]> }

/** A channel as it is stored, parsed. */
export type OpenChannel = {
  readonly [K in ChannelKind]: {
    readonly id: string
    readonly name: string
    readonly kind: K
    readonly settings: Settings[K]
    readonly secretPath: string | null
    readonly allowPrivate: boolean
    readonly paused: boolean
    readonly routes: readonly ChannelRoute[]
    /** Milliseconds since 1970. */
    readonly createdAt: number
  }
}[ChannelKind]

/** Throws `request.invalid` with what is wrong with them. */
export function settingsOf<K extends ChannelKind>(kind: K, given: unknown): Settings[K] {
  const parsed = channelSettings[kind].safeParse(given)
  if (parsed.success) return parsed.data as Settings[K]
  const [issue] = parsed.error.issues
  const field = issue?.path.join('.') || 'settings'
  throw new AppError('request.invalid', `settings of ${kind}: ${field}: ${issue?.message ?? 'not valid'}`)
}

export function openChannelOf(row: ChannelRow): OpenChannel {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    settings: settingsOf(row.kind, JSON.parse(row.settings)),
    secretPath: row.secret_path,
    allowPrivate: row.allow_private === 1,
    paused: row.paused === 1,
    routes: JSON.parse(row.routes) as ChannelRoute[],
    createdAt: row.created_at,
  } as OpenChannel
}

/** Where plain HTTP would be needed, or a secret would stand in a URL, it is said when the channel is made, not when it is used. */
export function assertAddresses(settings: Json, allowPrivate: boolean): void {
  const texts = textsOf(settings).filter((text) => /^https?:/i.test(text))
  for (const text of texts) {
    const url = new URL(text)
    if (url.username !== '' || url.password !== '')
      throw new AppError('request.invalid', 'an address holds a name or a password: put it into the vault')
    if (url.protocol !== 'https:' && !allowPrivate)
      throw new AppError(
        'request.invalid',
        `${url.host} is addressed by plain HTTP. Write https, or allow private addresses for the channel`,
      )
  }
}

const textsOf = (value: Json): string[] => {
  if (typeof value === 'string') return [value]
  if (value === null || typeof value !== 'object') return []
  return Object.values(value).flatMap((part) => textsOf(part))
}
