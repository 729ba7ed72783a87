import type { ChannelView, Json } from '@keyward/contract'

type Kind = ChannelView['kind']

/** A setting of a channel, as a form asks for it. A name with a dot is a part of another setting. */
export type ChannelField = {
  readonly name: string
  readonly label: string
  readonly required?: boolean
  readonly placeholder?: string
  readonly reads?: 'number' | 'list'
}

export const kindNames: Record<Kind, string> = {
  slack: 'Slack',
  teams: 'Microsoft Teams',
  email: 'E-mail',
  webhook: 'Webhook',
  pagerduty: 'PagerDuty',
}

type Asks = {
  readonly fields: readonly ChannelField[]
  /** What its secret holds, in words; it is needed unless it says so. */
  readonly secret: string
  readonly secretRequired: boolean
}

export const asks: Record<Kind, Asks> = {
  slack: {
    fields: [
      { name: 'conversation', label: 'Id of the channel', required: true, placeholder: 'C0123456789' },
    ],
    secret: 'bot-token; signing-secret, so that people can answer',
    secretRequired: true,
  },
  teams: {
    fields: [
      { name: 'bot.appId', label: 'App id of the bot', placeholder: 'without one, nobody answers there' },
      { name: 'bot.conversationId', label: 'Conversation of the bot', placeholder: '19:…@thread.tacv2' },
    ],
    secret: 'webhook-url of a workflow, or app-password of the bot',
    secretRequired: true,
  },
  email: {
    fields: [
      { name: 'host', label: 'Mail server', required: true, placeholder: 'mail.example.com' },
      { name: 'port', label: 'Port', placeholder: '587', reads: 'number' },
      { name: 'user', label: 'Signs in as' },
      { name: 'from', label: 'From', required: true, placeholder: 'keyward@example.com' },
      { name: 'to', label: 'To, several with commas', required: true, reads: 'list' },
    ],
    secret: 'password, when it signs in',
    secretRequired: false,
  },
  webhook: {
    fields: [{ name: 'url', label: 'Address', required: true, placeholder: 'https://' }],
    secret: 'key that signs (whsec_…)',
    secretRequired: true,
  },
  pagerduty: { fields: [], secret: 'routing-key', secretRequired: true },
}

/** What was written, without what was left empty. */
export function settingsOf(kind: Kind, written: Readonly<Record<string, string>>): Record<string, Json> {
  const settings: Record<string, Json> = {}
  for (const { name, reads } of asks[kind].fields) {
    const text = written[name]?.trim() ?? ''
    if (text === '') continue
    const [outer = '', inner] = name.split('.')
    const value =
      reads === 'number' ? Number(text) : reads === 'list' ? text.split(/[\s,]+/).filter(Boolean) : text
    settings[outer] = inner === undefined ? value : { ...Object(settings[outer]), [inner]: value }
  }
  return settings
}
