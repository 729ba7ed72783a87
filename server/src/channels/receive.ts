import { AppError, type Clock, type Log, type Secret } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import { createGuardedCall } from './guarded-call.ts'
import type { Inbound, InboundNeeds, Reply } from './inbound.ts'
import { readSecret } from './open-channel.ts'
import type { OpenChannel } from './settings.ts'
import type { BotTokens } from './teams/token.ts'

type Needs = {
  inbound: InboundNeeds
  channels: () => readonly OpenChannel[]
  vault: { kv: Pick<Vault['kv'], 'read'> }
  clock: Clock
  log: Log
}
type SlackOne = Extract<OpenChannel, { kind: 'slack' }>

/** What services send, each in its own language; a refusal of an unknown caller is on record, a few a minute. */
export function createReceive(needs: Needs) {
  const { inbound, channels, clock, log } = needs
  const now = (): Date => clock.now()
  let tokens: BotTokens | undefined
  const slackChannels = (): SlackOne[] =>
    channels().flatMap((one) => (one.kind === 'slack' && !one.paused ? [one] : []))

  /** A channel whose secret is not there answers nothing, and does not keep the others from it. */
  async function signingSecrets(): Promise<Secret[]> {
    const secrets: Secret[] = []
    for (const channel of slackChannels()) {
      try {
        secrets.push((await readSecret(needs, channel))('signing-secret'))
      } catch (error) {
        if (!(error instanceof AppError) || error.code === 'vault.sealed') throw error
      }
    }
    return secrets
  }

  async function fromSlack(request: Inbound): Promise<Reply> {
    const { receiveSlack } = await import('./slack/receive.ts')
    const whisper = async (to: { channel: string; user: string; text: string }): Promise<void> => {
      const channel =
        slackChannels().find(({ settings }) => settings.conversation === to.channel) ?? slackChannels()[0]
      if (!channel) return
      const { whisper: say } = await import('./slack/slack-channel.ts')
      const { allowPrivate, settings } = channel
      const guarded = createGuardedCall({ allowPrivate, caPem: settings.caPem })
      await say({ ...guarded, settings, secret: await readSecret(needs, channel), now }, to)
    }
    return receiveSlack(request, { inbound, log, now, secrets: signingSecrets, whisper })
  }

  async function fromTeams(request: Inbound): Promise<Reply> {
    const { receiveTeams } = await import('./teams/receive.ts')
    tokens ??= (await import('./teams/token.ts')).createBotTokens(clock)
    const { say } = await import('./teams/teams-channel.ts')
    const bots = channels().flatMap((channel) => {
      if (channel.kind !== 'teams' || channel.paused) return []
      const { settings, allowPrivate } = channel
      const { bot } = settings
      if (!bot) return []
      const guarded = createGuardedCall({ allowPrivate, caPem: settings.caPem })
      const tell = async (text: string): Promise<void> =>
        say({ ...guarded, settings, secret: await readSecret(needs, channel), now }, bot, text)
      return [{ bot, call: guarded.call, say: tell }]
    })
    return receiveTeams(request, { inbound, log, tokens, bots })
  }

  return async (from: 'slack' | 'teams', request: Inbound): Promise<Reply> => {
    try {
      if (from === 'slack') return await fromSlack(request)
      return await fromTeams(request)
    } catch (error) {
      if (
        error instanceof AppError &&
        (error.code === 'channel.unsigned' || error.code === 'channel.repeated')
      )
        await inbound.refuse(from, error.detail ?? error.message)
      throw error
    }
  }
}
