import { createHmac, randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { ChannelKind, Json, Risk } from '@keyward/contract'
import { type Channels, channelsMigrations, createChannels } from '../../src/channels/index.ts'
import { type Principal, Secret, silentLog } from '../../src/core/index.ts'
import { createIdentity, identityMigrations } from '../../src/identity/index.ts'
import { cleanUp } from './clean-up.ts'
import { createEngine, engineMigrations, gate, noteAction, pendingApproval, planOf, task } from './engine.ts'
import { eventually } from './eventually.ts'
import { keepSealed } from './sealed-bytes.ts'
import { openWorld } from './world.ts'

export const publicAddress = 'https://keyward.example'

/** Channels on the real store, runs, approvals and people; the vault is a map of paths. */
export async function openChannelsWorld(
  t: TestContext,
  { dataDir, preview = 'same' }: { dataDir?: string; preview?: Json } = {},
) {
  const migrations = [...engineMigrations, ...identityMigrations, ...channelsMigrations]
  const world = await openWorld(t, migrations, dataDir === undefined ? {} : { dataDir })
  const { store, audit, bus, clock } = world
  const notes: string[] = []
  const engine = createEngine(world, { actions: [noteAction(notes, { preview })] })
  await engine.workflow.run()
  await engine.approvals.run()
  const identity = createIdentity({ store, audit, bus, clock, log: silentLog, sealed: keepSealed() })
  const owner = await store.write((tx) => identity.bootstrapOwner(tx))
  const by: Principal = { kind: 'person', id: owner.id, name: owner.name, roles: owner.roles }
  const secrets = new Map<string, Record<string, string>>()
  let sealed = false
  const needs = {
    ...world,
    log: silentLog,
    random: () => 1,
    identity,
    approvals: engine.approvals,
    workflow: engine.workflow,
    publicAddress: () => publicAddress,
    vault: {
      kv: {
        async read(path: string) {
          const found = secrets.get(path)
          if (!found) return undefined
          const data = Object.fromEntries(
            Object.entries(found).map(([field, value]) => [field, new Secret(value)]),
          )
          return { version: 1, createdAt: clock.now(), data }
        },
      },
      status: () => ({ sealed }),
    },
  }
  /** As a server that starts on the same store. */
  const start = async (): Promise<Channels> => {
    const channels = createChannels(needs)
    await channels.start()
    cleanUp(t, () => channels.stop())
    return channels
  }
  const channels = await start()
  cleanUp(t, () => engine.stop())

  return {
    ...world,
    ...engine,
    identity,
    owner: by,
    channels,
    start,
    secrets,
    notes,
    seal: (now: boolean) => {
      sealed = now
    },
    async add(kind: ChannelKind, settings: Json, secret: Record<string, string>, more: object = {}) {
      const name = `${kind}-${secrets.size}`
      const secretPath = `secret/channels/${name}`
      secrets.set(secretPath, secret)
      return channels.create({ kind, name, settings, secretPath, allowPrivate: true, ...more }, by)
    },
    /** A run that waits for an answer. */
    async asked({ risk = 'low' as Risk, requestedBy = olga } = {}) {
      const plan = planOf(task('a', { risk, approval: gate }))
      const run = await engine.workflow.start(undefined, { plan, requestedBy, unattended: false })
      return pendingApproval(engine.approvals, run.id)
    },
    /** Lets time pass, then waits until there is nothing more to send. */
    async pass(milliseconds = 0, which = channels): Promise<void> {
      clock.advance(milliseconds)
      await which.idle()
    },
    entries: async (type: string) => (await audit.page({ limit: 500, order: 'asc', type })).items,
    eventually,
  }
}

const olga: Principal = { kind: 'person', id: 'olga', name: 'olga', roles: ['operator'] }

export const newSecret = (): string => randomBytes(24).toString('hex')

/** A request as Slack signs it. */
export function slackRequest(secret: string, now: Date, form: Record<string, string>) {
  const body = Buffer.from(new URLSearchParams(form).toString())
  const stamp = String(Math.floor(now.getTime() / 1000))
  const signature = createHmac('sha256', secret).update(`v0:${stamp}:`).update(body).digest('hex')
  return {
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': stamp,
      'x-slack-signature': `v0=${signature}`,
    },
    body,
  }
}

/** What Slack sends when somebody presses a button. */
export const pressed = (
  button: { action_id: string; value?: string },
  user = 'U01',
): { payload: string } => ({
  payload: JSON.stringify({
    type: 'block_actions',
    user: { id: user, username: 'somebody' },
    team: { id: 'T01', domain: 'shop' },
    channel: { id: 'C01', name: 'releases' },
    actions: [{ ...button, type: 'button', action_ts: '1.1' }],
  }),
})

/** What Slack sends when somebody writes `/keyward …`. */
export const commanded = (text: string, user = 'U01') => ({
  command: '/keyward',
  text,
  team_id: 'T01',
  user_id: user,
  channel_id: 'C01',
  response_url: 'https://hooks.slack.com/commands/x',
})
