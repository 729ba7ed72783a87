import { randomBytes } from 'node:crypto'
import type { ChannelAccountView, ChannelView } from '@keyward/contract'
import type { Handlers } from './console-server.ts'

const slack: ChannelView = {
  id: 'chn_1',
  kind: 'slack',
  name: 'releases',
  settings: { conversation: 'C0123456789' },
  secretPath: 'secret/channels/slack',
  allowPrivate: false,
  paused: false,
  routes: [{ events: ['approval.requested', 'run.finished'], risks: [], flows: [] }],
  answers: true,
  createdBy: 'person:per_01',
  createdAt: '2026-01-02T08:00:00.000Z',
  health: { state: 'up', detail: null, latencyMs: 84, checkedAt: '2026-01-02T09:00:00.000Z' },
  lastSentAt: '2026-01-02T09:20:00.000Z',
  sent: 128,
  waiting: 1,
  dead: 0,
}

const channels: ChannelView[] = [
  slack,
  {
    ...slack,
    id: 'chn_2',
    kind: 'pagerduty',
    name: 'on-call',
    answers: false,
    routes: [{ events: ['approval.requested'], risks: ['high', 'critical'], flows: [] }],
    health: {
      state: 'down',
      detail: 'events.pagerduty.com cannot be reached',
      latencyMs: null,
      checkedAt: null,
    },
    dead: 2,
  },
  {
    ...slack,
    id: 'chn_3',
    kind: 'email',
    name: 'ops',
    answers: false,
    paused: true,
    lastSentAt: null,
    sent: 0,
  },
]

const accounts: ChannelAccountView[] = [
  {
    id: 'cha_1',
    kind: 'slack',
    workspace: 'T01SHOP',
    account: 'U01GRACE',
    person: 'person:per_02',
    personName: 'grace',
    linkedAt: '2026-01-02T08:30:00.000Z',
  },
]

export const channelHandlers = (): Handlers => ({
  'channels.list': () => ({ items: channels }),
  'channels.accounts': () => ({ items: accounts }),
  'channels.check': () => slack,
  'channels.create': ({ kind, name }) => ({ ...slack, id: 'chn_4', kind, name }),
  'channels.remove': () => ({ removed: true }),
  'channels.change': ({ paused }) => ({ ...slack, paused: paused === true }),
  'channels.retry': () => ({ revived: 2 }),
  'channels.test': () => ({
    id: 'dlv_1',
    channelId: 'chn_1',
    event: 'test',
    subject: 'test:tst_1',
    state: 'sent',
    attempts: 1,
    createdAt: slack.createdAt,
    nextAt: null,
    sentAt: slack.createdAt,
    problem: null,
  }),
  'channels.link': () => ({
    code: `made-up-${randomBytes(8).toString('hex')}`,
    expiresAt: '2026-01-02T10:00:00.000Z',
  }),
  'channels.unlink': () => ({ removed: true }),
})

export const emptyChannelHandlers = (): Handlers => ({
  'channels.list': () => ({ items: [] }),
  'channels.accounts': () => ({ items: [] }),
})
