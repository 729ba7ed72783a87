import type { ChannelKind, ChannelRoute, EventName, Risk } from '@keyward/contract'

/** What routes look at besides the event. */
export type Weight = { readonly risk: Risk; readonly flow: string | null }

const asked: EventName[] = ['approval.requested']
/** They say by themselves that something is wrong. */
const wrong: EventName[] = ['vault.sealed', 'agent.quarantined', 'lease.misused', 'lease.unproved']
const all = { risks: [], flows: [] }

/** High goes to PagerDuty and to chat, everything to chat; mail and webhooks hear of what waits for a person and of ends. */
export const usualRoutes: Readonly<Record<ChannelKind, readonly ChannelRoute[]>> = {
  slack: [{ events: [...asked, 'run.finished', ...wrong], ...all }],
  teams: [{ events: [...asked, 'run.finished', ...wrong], ...all }],
  email: [{ events: asked, risks: ['high', 'critical'], flows: [] }],
  webhook: [{ events: [...asked, 'run.finished', ...wrong], ...all }],
  pagerduty: [{ events: [...asked, 'run.finished', ...wrong], risks: ['high', 'critical'], flows: [] }],
}

/** Whether any of the routes leads there. */
export const leads = (routes: readonly ChannelRoute[], event: EventName, { risk, flow }: Weight): boolean =>
  routes.some(
    ({ events, risks, flows }) =>
      events.includes(event) &&
      (risks.length === 0 || risks.includes(risk)) &&
      (flows.length === 0 || (flow !== null && flows.includes(flow))),
  )

/** What tells how something ended that a channel has been told of, whatever its routes say. */
export const follows = (event: EventName): boolean => event.startsWith('approval.')

export const isGrave = (event: string): boolean => wrong.some((name) => name === event)
