import type { Risk } from '@keyward/contract'
import { type Channel, type ChannelParts, type Notice, outcomeOf } from '../channel.ts'
import { bounded } from '../notices.ts'
import type { Settings } from '../settings.ts'

const severity: Readonly<Record<Risk, 'info' | 'warning' | 'error' | 'critical'>> = {
  low: 'info',
  medium: 'warning',
  high: 'error',
  critical: 'critical',
}
const actions = { open: 'trigger', note: 'trigger', taken: 'acknowledge', closed: 'resolve' } as const
const longestSummary = 1024

/** Events API v2: https://developer.pagerduty.com/docs/send-alert-event */
export function pagerdutyChannel({
  settings,
  secret,
  call,
  now,
}: ChannelParts<Settings['pagerduty']>): Channel {
  const enqueue = (event: object, signal: AbortSignal) =>
    call({
      url: new URL('v2/enqueue', withSlash(settings.eventsUrl)).href,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ routing_key: secret('routing-key').reveal(), ...event }),
      signal,
    })

  return {
    async deliver(notice, { reference, signal }) {
      // What was never opened has nothing to resolve.
      if (notice.stage === 'closed' && reference === null) return { state: 'sent', reference: null }
      const key = dedupKey(notice)
      const outcome = outcomeOf(await enqueue(eventOf(notice, key), signal), {
        now: now(),
        gone: [400, 403, 404],
      })
      return outcome.state === 'sent' ? { ...outcome, reference: key } : outcome
    },
    async probe(signal) {
      secret('routing-key')
      await call({ url: withSlash(settings.eventsUrl), method: 'GET', signal })
    },
  }
}

/** One alert for one subject, however often it is told. */
const dedupKey = ({ subject }: Notice): string => bounded(`keyward:${subject}`, 255)

function eventOf(notice: Notice, key: string): object {
  const action = actions[notice.stage]
  const head = { event_action: action, dedup_key: key }
  if (action !== 'trigger') return head
  return {
    ...head,
    payload: {
      summary: bounded(notice.title, longestSummary),
      source: 'keyward',
      severity: severity[notice.risk],
      timestamp: notice.at.toISOString(),
      class: notice.event,
      custom_details: Object.fromEntries(notice.facts.map(([label, value]) => [label, bounded(value, 500)])),
    },
    client: 'Keyward',
    ...(notice.link === null
      ? {}
      : { client_url: notice.link, links: [{ href: notice.link, text: 'Open in Keyward' }] }),
  }
}

const withSlash = (url: string): string => (url.endsWith('/') ? url : `${url}/`)
