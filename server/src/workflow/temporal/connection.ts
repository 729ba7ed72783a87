import type { Client } from '@temporalio/client'
import type { NativeConnection, Worker } from '@temporalio/worker'
import { AppError, digestOf, type Log, reasonOf, type Secret } from '../../core/index.ts'
import type { Carrier, Lifeline } from './activities.ts'
import { failureConverterPath, workflowBundle } from './bundle.ts'
import { createCodec } from './codec.ts'
import { credentialsOf, type TemporalSettings } from './settings.ts'
import { type RunSettings, wokenSignal, workflowType } from './shapes.ts'

/** A worker that polls, and a client that tells Temporal of news. */
export type Link = {
  /** Starts the run's workflow where there is none, and tells it that there is news. */
  signal(run: Told): Promise<void>
  /** Resolves when Temporal answers; rejects within seconds when it does not. The worker meanwhile tries on by itself. */
  check(): Promise<void>
  /** Rejects when the worker can go on no more. */
  readonly over: Promise<void>
  /** Takes nothing new, lets what runs here end, and resolves when it has. */
  close(): Promise<void>
}

/** `priority` is that of its plan: the highest goes first. */
type Told = { readonly runId: string; readonly priority: number }

type Needs = {
  settings: TemporalSettings
  /** 32 bytes in base64: what all payloads are sealed with. */
  key: Secret
  carrier: Pick<Carrier, 'activities'>
  log: Log
  concurrency: number
  run: RunSettings
}

/** Waiting workflows that stay in the worker's memory; the others are read again when something happens to them. */
const mostCachedWorkflows = 200
/** How long a workflow waits for the worker that has it in memory, before any other reads it again. */
const stickyTimeout = '3 seconds'
const answersWithinMs = 5000
const shutdownGrace = '10 seconds'
const shutdownForce = '30 seconds'

/** The packages of Temporal, which only who uses them installs. */
export async function temporalPackages() {
  try {
    const [worker, client, activity] = await Promise.all([
      import('@temporalio/worker'),
      import('@temporalio/client'),
      import('@temporalio/activity'),
    ])
    return { ...worker, Client: client.Client, Context: activity.Context }
  } catch (error) {
    throw new AppError(
      'temporal.not_installed',
      `KEYWARD_TEMPORAL_ADDRESS is set, but the packages of Temporal cannot be loaded (${reasonOf(error)}). Beside keyward: npm install @temporalio/worker@1`,
    )
  }
}
type Packages = Awaited<ReturnType<typeof temporalPackages>>

/** Throws `temporal.unavailable` when nobody answers there, or not as Temporal does. */
export async function openLink(needs: Needs): Promise<Link> {
  const packages = await temporalPackages()
  quietRuntime(packages, needs.log)
  const connection = await connect(packages, needs.settings)
  try {
    return await linked(packages, connection, needs)
  } catch (error) {
    await connection.close()
    throw error
  }
}

async function connect(
  { NativeConnection }: Packages,
  settings: TemporalSettings,
): Promise<NativeConnection> {
  const { ca, certificate, apiKey } = await credentialsOf(settings)
  const clientCertPair = certificate && {
    crt: certificate.crt,
    key: Buffer.from(certificate.key.reveal()),
  }
  const tls = {
    ...(ca ? { serverRootCACertificate: ca } : {}),
    ...(clientCertPair ? { clientCertPair } : {}),
  }
  try {
    return await NativeConnection.connect({
      address: settings.address,
      tls: settings.tls ? tls : null,
      ...(apiKey ? { apiKey: apiKey.reveal() } : {}),
    })
  } catch (error) {
    throw new AppError(
      'temporal.unavailable',
      `no Temporal answers at ${settings.address} (${reasonOf(error)}). Check KEYWARD_TEMPORAL_ADDRESS and that it runs.`,
    )
  }
}

async function linked(packages: Packages, connection: NativeConnection, needs: Needs): Promise<Link> {
  const { carrier, log, run } = needs
  const { namespace } = needs.settings
  const taskQueue = queueOf(needs.key)
  const dataConverter = { payloadCodecs: [createCodec(needs.key)], failureConverterPath }
  const worker = await packages.Worker.create({
    connection,
    namespace,
    taskQueue,
    workflowBundle: await workflowBundle(),
    activities: carrier.activities(() => lifelineOf(packages)),
    dataConverter,
    maxCachedWorkflows: mostCachedWorkflows,
    maxConcurrentActivityTaskExecutions: needs.concurrency,
    maxHeartbeatThrottleInterval: `${run.heartbeatSeconds / 4} seconds`,
    stickyQueueScheduleToStartTimeout: stickyTimeout,
    shutdownGraceTime: shutdownGrace,
    shutdownForceTime: shutdownForce,
  })
  const client = new packages.Client({ connection, namespace, dataConverter })
  const over = worker.run()
  over.catch((error) => log.error({ reason: reasonOf(error) }, 'the worker of Temporal ended'))
  return {
    over,
    signal: (told) => tell(client, { ...told, taskQueue, run }),
    async check() {
      await connection.withDeadline(Date.now() + answersWithinMs, () =>
        connection.workflowService.getSystemInfo({}),
      )
    },
    close: () => closed(worker, over, connection),
  }
}

/** Servers with the same vault share their work; another installation in the same namespace has a queue of its own. */
const queueOf = (key: Secret): string => `keyward-${digestOf({ queueOf: key.reveal() }).slice(0, 16)}`

async function tell(
  client: Client,
  { runId, priority, taskQueue, run }: Told & { taskQueue: string; run: RunSettings },
): Promise<void> {
  // A run that has ended in Temporal is looked at once more and ends again.
  await client.workflow.signalWithStart(workflowType, {
    workflowId: runId,
    taskQueue,
    args: [runId, run],
    signal: wokenSignal,
    signalArgs: [],
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    priority: { priorityKey: priorityKeyOf(priority) },
  })
}

/** Temporal has five: the first goes before the others where tasks wait for a worker, and three is what has none. */
function priorityKeyOf(priority: number): number {
  if (priority === 0) return 3
  const isFar = Math.abs(priority) >= 50
  return priority > 0 ? (isFar ? 1 : 2) : isFar ? 5 : 4
}

async function closed(worker: Worker, over: Promise<void>, connection: NativeConnection): Promise<void> {
  if (worker.getState() === 'RUNNING') worker.shutdown()
  await over.catch(() => undefined)
  await connection.close()
}

function lifelineOf({ Context }: Packages): Lifeline {
  const context = Context.current()
  return {
    heartbeat: () => context.heartbeat(),
    signal: context.cancellationSignal,
    ending() {
      const { cancelRequested, notFound, timedOut } = context.cancellationDetails ?? {}
      if (cancelRequested) return 'cancel'
      return notFound || timedOut ? 'lost' : 'stop'
    },
  }
}

/** Temporal's runtime exists once in a process; whoever comes second uses it as it is. */
function quietRuntime({ Runtime, DefaultLogger }: Packages, log: Log): void {
  try {
    Runtime.install({
      // The signals of this process are the server's own.
      shutdownSignals: [],
      telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } },
      logger: new DefaultLogger('WARN', ({ level, message }) => {
        const line = { from: 'temporal', message }
        if (level === 'ERROR') log.error(line, 'the worker of Temporal reports')
        else log.warn(line, 'the worker of Temporal reports')
      }),
    })
  } catch {
    // Installed already.
  }
}
