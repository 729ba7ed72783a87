import { randomBytes } from 'node:crypto'
import type { ConnectionView } from '@keyward/contract'
import { z } from 'zod'
import { AppError, newId } from '../core/index.ts'
import {
  contentDigest,
  type Delivery,
  deliveryIdOf,
  headerOf,
  isSignedByGitHub,
  jsonOf,
  takeDelivery,
} from '../hooks/index.ts'
import { createRefusalRecorder } from '../identity/index.ts'
import type { Tx } from '../store/index.ts'
import { type GitHubEvent, isKnownEvent, type Occasion, readGitHubEvent } from './github-event.ts'
import { matches } from './matching.ts'
import type { TriggersNeeds } from './needs.ts'
import {
  countFiringsSince,
  countUse,
  deleteOldFirings,
  insertFiring,
  type Trigger,
  triggersFor,
  type Use,
} from './triggers-store.ts'

/** Takes what GitHub sends, and says what it led to. Throws `hook.refused`, `hook.repeated` and `vault.sealed`. */
export type Receive = (connectionId: string, delivery: Delivery) => Promise<Use>

/** Where the secret of a connection's webhook lies. */
export const hookSecretPath = (connectionId: string): string => `hooks/${connectionId}`
/** Keyward itself, where an event makes it act. */
export const listener = 'system:hook'

const keptFirings = 200
const mostPerHour = 60
const hourMilliseconds = 3_600_000
/** GitHub sends anew what is three days old at most. An older capture is refused even where its delivery has been forgotten. */
const oldestMilliseconds = 7 * 24 * hourMilliseconds

/** A delivery whose signature was right. */
type Received = {
  readonly connectionId: string
  readonly deliveryId: string
  readonly digest: string
  readonly name: string
  readonly event: GitHubEvent | undefined
  /** Why nothing is made of it. */
  readonly unused: string | undefined
}

type Needs = Pick<
  TriggersNeeds,
  'store' | 'audit' | 'bus' | 'clock' | 'log' | 'vault' | 'connectors' | 'questions'
> & {
  wake: () => void
}

export function createReceive(needs: Needs): Receive {
  const { store, audit, bus, clock, vault, connectors, questions } = needs
  const recordRefusal = createRefusalRecorder(needs)
  /** In place of a secret that is not there: who is refused waits as long. */
  const nobody = randomBytes(32)

  const refuse = (connectionId: string, reason: string): Promise<void> =>
    recordRefusal({ type: 'hook.refused', actor: listener, target: `connection:${connectionId}`, reason })

  async function assertSigned(connectionId: string, delivery: Delivery): Promise<ConnectionView> {
    const secret = await vault.sealed.get(hookSecretPath(connectionId))
    const connection = (await connectors.list()).find(({ id }) => id === connectionId)
    const isSigned = isSignedByGitHub(delivery, secret ?? nobody)
    if (connection && secret && isSigned) return connection
    const listens = connection !== undefined && secret !== undefined
    await refuse(connectionId, listens ? 'its signature is missing or wrong' : 'nobody listens here')
    // Which of these it is, whoever asks does not learn.
    throw new AppError('hook.refused', 'nobody listens here, or it is not signed as it must be')
  }

  /** In one transaction with what it starts: whatever ends the process, no delivery counts twice. */
  async function take(received: Received): Promise<Use> {
    const { connectionId, deliveryId, digest, name, event, unused } = received
    const occasion = unused === undefined ? event?.occasion : undefined
    return store.write(async (tx) => {
      const found = occasion ? await triggersOf(tx, connectionId, occasion) : []
      const use = useOf(received, found)
      const { action = null, repository = null } = event ?? {}
      const about = { event: name, action, repository, use, detail: detailOf(received, use, found) }
      const at = clock.now().getTime()
      if (!(await takeDelivery(tx, { listenerId: connectionId, deliveryId, digest, at, about })))
        throw new AppError('hook.repeated', 'a delivery of this id or content has been taken before')
      if (occasion) for (const trigger of found) await fire(tx, trigger, { occasion, deliveryId })
      await countUse(tx, connectionId, use)
      const target = `connection:${connectionId}`
      const entry = { outcome: 'done', actor: listener, target, detail: { deliveryId, ...about } } as const
      await audit.record(tx, { type: 'hook.received', ...entry })
      await bus.publish(tx, { type: 'hook.received', subject: target, data: { use } })
      return use
    })
  }

  async function fire(
    tx: Tx,
    { id: triggerId, requestedBy }: Trigger,
    { occasion, deliveryId }: { occasion: Occasion; deliveryId: string },
  ): Promise<void> {
    const now = clock.now()
    const at = now.getTime()
    const tooMany = (await countFiringsSince(tx, triggerId, at - hourMilliseconds)) >= mostPerHour
    await insertFiring(tx, {
      id: newId('fir', now),
      triggerId,
      deliveryId,
      at,
      state: tooMany ? 'skipped' : 'waiting',
      about: aboutOf(occasion),
      fields: occasion.fields,
      requestedBy,
      reason: tooMany ? `${mostPerHour} events within an hour were enough` : null,
    })
    await deleteOldFirings(tx, triggerId, keptFirings)
    const target = `trigger:${triggerId}`
    const detail = { deliveryId, requestedBy, fields: occasion.fields }
    const outcome = tooMany ? 'denied' : 'intent'
    await audit.record(tx, { type: 'trigger.fired', outcome, actor: listener, target, detail })
  }

  /** What waits for checks looks at once. */
  function tellTasks({ connectionId, name, event, unused }: Received): void {
    if (unused !== undefined || !event?.repository || event.checked.length === 0) return
    // Others come to Apps that have not asked for what becomes of checks.
    const steady = ['check_run', 'check_suite'].includes(name) && event.action === 'completed'
    connectors.tell(connectionId, { place: event.repository, topics: event.checked, steady })
  }

  /** Somebody may be asked about a pull request that is another one now. */
  function tellQuestions({ event, unused }: Received): void {
    const { event: name, repository, fields } = event?.occasion ?? {}
    if (unused !== undefined || name !== 'pull_request' || fields?.['number'] === undefined) return
    // As they stand in the canonical JSON of arguments.
    questions.lookAgain(`"number":${fields['number']},"repository":"${repository}"`)
  }

  return async (given, delivery) => {
    // Before anything is looked up: a sealed vault says nothing of what it would find.
    if (vault.status().sealed) throw new AppError('vault.sealed')
    const connectionId = /^\w{1,60}$/.test(given) ? given : 'none'
    const connection = await assertSigned(connectionId, delivery)
    try {
      const received = readDelivery(connection, delivery, clock.now())
      const use = await take(received)
      tellTasks(received)
      tellQuestions(received)
      if (use === 'starts') needs.wake()
      return use
    } catch (error) {
      if (error instanceof AppError && /^hook\./.test(error.code))
        await refuse(connectionId, error.detail ?? error.message)
      throw error
    }
  }
}

function readDelivery(connection: ConnectionView, delivery: Delivery, now: Date): Received {
  const deliveryId = deliveryIdOf(headerOf(delivery, 'x-github-delivery'))
  const name = headerOf(delivery, 'x-github-event')
  if (deliveryId === undefined) throw new AppError('hook.refused', 'it has no delivery id')
  if (!/^[a-z_]{1,60}$/.test(name)) throw new AppError('hook.refused', 'it names no event')
  const body = jsonOf(delivery)
  if (typeof body !== 'object' || body === null)
    throw new AppError('hook.refused', 'its body is no JSON: choose application/json as its content type')
  const event = readGitHubEvent(name, body)
  if (event?.at !== undefined && now.getTime() - event.at > oldestMilliseconds)
    throw new AppError('hook.refused', 'it tells of something that is older than seven days')
  const digest = contentDigest('github', delivery)
  const unused = name === 'ping' ? undefined : whyUnused(connection, name, event)
  return { connectionId: connection.id, deliveryId, digest, name, event, unused }
}

const triggersOf = async (tx: Tx, connectionId: string, occasion: Occasion): Promise<Trigger[]> =>
  (await triggersFor(tx, connectionId, occasion.event)).filter((trigger) => matches(trigger, occasion))

const ofConnection = z.object({ installationId: z.string(), repositories: z.array(z.string()).optional() })

/** An App's secret signs for all who have installed it, so the event must be of the installation that is connected. */
function whyUnused(
  connection: ConnectionView,
  name: string,
  event: GitHubEvent | undefined,
): string | undefined {
  if (!isKnownEvent(name)) return 'nothing is made of events of this name'
  if (!event) return 'it is not what GitHub documents for this event'
  const { installationId, repositories } = ofConnection.parse(connection.settings)
  if (event.installationId !== installationId) return 'it is of no, or of another, installation of the App'
  const where = event.repository?.toLowerCase()
  if (where === undefined) return 'it is of no repository'
  if (repositories && !repositories.some((one) => one.toLowerCase() === where))
    return 'the connection is not for this repository'
  return undefined
}

function useOf({ name, event, unused }: Received, triggers: readonly Trigger[]): Use {
  if (name === 'ping') return 'ping'
  if (triggers.length > 0) return 'starts'
  return unused === undefined && event && event.checked.length > 0 ? 'wakes' : 'unused'
}

function detailOf({ unused }: Received, use: Use, triggers: readonly Trigger[]): string | null {
  if (unused !== undefined) return unused
  if (use === 'unused') return 'no trigger is for it'
  return triggers.length > 0 ? triggers.map(({ title }) => title).join(', ') : null
}

const aboutOf = ({ event, action, repository, fields: { number, branch, tag } }: Occasion): string =>
  [
    `${event}${action === null ? '' : ` ${action}`}`,
    `${repository}${number === undefined ? '' : `#${number}`}`,
    ...[branch, tag].filter((name) => name !== undefined),
  ].join(', ')
