import type { ChannelView, DeliveryView } from '@keyward/contract'
import type { ChannelRow } from './channels-store.ts'
import type { DeliveryCounts, DeliveryRow } from './deliveries-store.ts'
import { openChannelOf } from './settings.ts'

export type Health = ChannelView['health']

const timeOf = (milliseconds: number): string => new Date(milliseconds).toISOString()

export function channelViewOf(row: ChannelRow, counts: DeliveryCounts | undefined): ChannelView {
  const channel = openChannelOf(row)
  const { kind, settings, routes } = channel
  return {
    id: row.id,
    name: row.name,
    kind,
    settings: JSON.parse(row.settings) as ChannelView['settings'],
    secretPath: row.secret_path,
    allowPrivate: channel.allowPrivate,
    paused: channel.paused,
    routes: [...routes],
    answers: kind === 'slack' || (kind === 'teams' && settings.bot !== undefined),
    createdBy: row.created_by,
    createdAt: timeOf(row.created_at),
    health: JSON.parse(row.health) as Health,
    lastSentAt: counts?.last_sent_at ? timeOf(counts.last_sent_at) : null,
    sent: counts?.sent ?? 0,
    waiting: counts?.waiting ?? 0,
    dead: counts?.dead ?? 0,
  }
}

export const deliveryViewOf = (row: DeliveryRow): DeliveryView => ({
  id: row.id,
  channelId: row.channel_id,
  event: row.event,
  subject: row.subject,
  state: row.state,
  attempts: row.attempts,
  createdAt: timeOf(row.created_at),
  nextAt: row.state === 'waiting' ? timeOf(row.next_at) : null,
  sentAt: row.sent_at === null ? null : timeOf(row.sent_at),
  problem: row.problem,
})
