import type { ChannelKind } from '@keyward/contract'
import type { Clock, Secret } from '../core/index.ts'
import { AppError } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import { type Call, type Channel, type ChannelParts, secretFields } from './channel.ts'
import { createGuardedCall } from './guarded-call.ts'
import type { OpenChannel, Settings } from './settings.ts'

type Needs = { vault: { kv: Pick<Vault['kv'], 'read'> }; clock: Pick<Clock, 'now'> }

/** The fields of a channel's secret. Who asks has recorded that they are read. Throws `vault.sealed`, `channel.refused`. */
export async function readSecret(
  { vault }: Pick<Needs, 'vault'>,
  { kind, secretPath, name }: Pick<OpenChannel, 'kind' | 'secretPath' | 'name'>,
): Promise<(field: string) => Secret> {
  const version = secretPath === null ? undefined : await vault.kv.read(secretPath)
  const data = version?.data ?? {}
  const wanted = secretFields[kind].filter((field) => !field.endsWith('?'))
  const missing = wanted.find((field) => !Object.hasOwn(data, field))
  const refuse = (field: string): AppError =>
    new AppError(
      'channel.refused',
      `${name}: ${secretPath ?? 'no secret path'} has no field ${field}. Write it there`,
    )
  if (missing !== undefined) throw refuse(missing)
  return (field) => {
    const value = Object.hasOwn(data, field) ? data[field] : undefined
    if (!value) throw refuse(field)
    return value
  }
}

/** Throws `vault.sealed`, `channel.refused`. */
export async function openChannel(channel: OpenChannel, needs: Needs): Promise<Channel> {
  const secret = await readSecret(needs, channel)
  return openWithSecret(channel, { secret, now: () => needs.clock.now() })
}

type Place = {
  readonly kind: ChannelKind
  readonly settings: OpenChannel['settings']
  readonly allowPrivate: boolean
  /** The header of that name, for requests that a task of a run makes. */
  readonly traceparent?: string | undefined
}

/** Each kind's code comes with its first use: a server without channels loads none of it. */
export async function openWithSecret(
  { kind, settings, allowPrivate, traceparent }: Place,
  own: Pick<ChannelParts<unknown>, 'secret' | 'now'>,
): Promise<Channel> {
  const guarded = createGuardedCall({ allowPrivate, caPem: settings.caPem })
  const traced = traceparent === undefined ? {} : { traceparent }
  const partsFor = <K extends ChannelKind>(_: K) => ({
    ...guarded,
    call: (wanted: Parameters<Call>[0]) =>
      guarded.call({ ...wanted, headers: { ...wanted.headers, ...traced } }),
    ...own,
    settings: settings as Settings[K],
  })
  switch (kind) {
    case 'slack':
      return (await import('./slack/slack-channel.ts')).slackChannel(partsFor(kind))
    case 'teams':
      return (await import('./teams/teams-channel.ts')).teamsChannel(partsFor(kind))
    case 'email':
      return (await import('./email/email-channel.ts')).emailChannel(partsFor(kind))
    case 'webhook':
      return (await import('./webhook/webhook-channel.ts')).webhookChannel(partsFor(kind))
    case 'pagerduty':
      return (await import('./pagerduty/pagerduty-channel.ts')).pagerdutyChannel(partsFor(kind))
  }
}
