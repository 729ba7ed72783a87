import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { AppError, type Clock, reasonOf } from '../core/index.ts'
import { follow, type Started, type Status } from './conversation.ts'
import { userIn } from './entry.ts'
import { guestOrder, insidePaths, trialLimits } from './inside.ts'
import type { Attached } from './kubernetes-attach.ts'
import {
  accountFolder,
  createKubernetesClient,
  type KubernetesClient,
  type Pod,
} from './kubernetes-client.ts'
import { jobFor } from './kubernetes-job.ts'
import { createRecords, labelOf, markOf, openRecord, savedLabel } from './records.ts'
import type { DriverState, SandboxDriver, SandboxResult, SandboxSpec, SandboxWatch } from './sandbox.ts'
import { claimTarget } from './workspace.ts'

type Needs = {
  clock: Clock
  /** In [0, 1): chooses the user id of each sandbox. */
  random: () => number
  stateDir: string
  /** The server's environment: Kubernetes says there where its API is, its owner which image a sandbox has. */
  env: Readonly<Record<string, string | undefined>>
  /** Another one in tests. */
  account?: string
}

type Ready = {
  client: KubernetesClient
  image: string
  guest: string
  certificates: string
  label: string
  address: Address
}
type Address = { host: string; port: number }
type Found = Ready | { reasons: readonly string[] }

/** Isolation by a Job of Kubernetes for each command, in the cluster that the server runs in. */
export function createKubernetesDriver({
  clock,
  random,
  stateDir,
  env,
  account = accountFolder,
}: Needs): SandboxDriver {
  const records = createRecords(stateDir)
  let looked: Promise<Found> | undefined

  async function clientHere(): Promise<{ client: KubernetesClient; address: Address } | undefined> {
    const host = env['KUBERNETES_SERVICE_HOST']
    if (!host) return undefined
    const address = { host, port: Number(env['KUBERNETES_SERVICE_PORT'] ?? 443) }
    const namespace = env['KEYWARD_SANDBOX_NAMESPACE']
    return { client: await createKubernetesClient({ ...address, folder: account, namespace }), address }
  }

  async function look(): Promise<Found> {
    const here = await clientHere()
    if (!here) return { reasons: ['The server does not run in a pod of Kubernetes.'] }
    const image = env['KEYWARD_SANDBOX_IMAGE'] ?? ''
    if (!/@sha256:[0-9a-f]{64}$/.test(image)) return { reasons: [imageAdvice] }
    const guest = await readFile(new URL('./guest.mjs', import.meta.url), 'utf8')
    const certificates = await readFile('/etc/ssl/certs/ca-certificates.crt', 'utf8').catch(() => '')
    const ready = { ...here, image, guest, certificates, label: await labelOf(stateDir, random) }
    const refusal = await tryOut(ready)
    return refusal === undefined ? ready : { reasons: [refusal] }
  }

  /** A network policy that nobody enforces is a wish: a sandbox tries to reach what it knows to be there. */
  async function tryOut(ready: Ready): Promise<string | undefined> {
    const id = `try-${process.pid}-${random().toString(36).slice(2)}`
    const { host, port } = ready.address
    const command = ['node', '-e', reachingScript, host, String(port)] as const
    try {
      const { stdoutTail, stderrTail } = await runIn(ready, { id, command, env: {}, limits: trialLimits }, {})
      if (stdoutTail === 'held\n') return undefined
      return stdoutTail === 'reached\n'
        ? policyAdvice
        : `A trial in Kubernetes did not report: ${stderrTail.slice(-400)}`
    } catch (error) {
      return `Kubernetes starts no sandbox: ${error instanceof AppError ? error.detail : reasonOf(error)}`
    }
  }

  async function ready(): Promise<Found> {
    looked ??= look()
    const found = await looked.catch((error: unknown) => ({
      reasons: [`Kubernetes cannot be used: ${reasonOf(error)}`],
    }))
    if (!('client' in found)) looked = undefined
    return found
  }

  async function runIn(state: Ready, spec: SandboxSpec, watch: SandboxWatch): Promise<SandboxResult> {
    if (spec.readOnly?.length)
      throw new AppError(
        'sandbox.failed',
        'A sandbox on Kubernetes sees no path of the server. Nothing was run.',
      )
    if (spec.image)
      throw new AppError(
        'sandbox.failed',
        'On Kubernetes KEYWARD_SANDBOX_IMAGE names the image, not Keyward. Nothing was run.',
      )
    await claimTarget(spec.workspaceOut)
    const server = (await markOf(process.pid)) ?? { pid: process.pid, startTime: '' }
    await openRecord(records, spec.id, { server, cgroupFolders: [] })
    const name = nameOf(state.label, spec.id)
    try {
      return await contain(state, name, spec, watch).finally(() => state.client.deleteJob(name))
    } finally {
      await records.remove(spec.id)
    }
  }

  async function contain(
    { client, image, guest, label, certificates }: Ready,
    name: string,
    spec: SandboxSpec,
    watch: SandboxWatch,
  ): Promise<SandboxResult> {
    const user = userIn('root', random())
    if (!(await client.createJob(jobFor({ spec, name, label, user, image, guest }))))
      throw new AppError('sandbox.failed', `A sandbox with the id ${spec.id} is running already.`)
    const pod = await runningPod(client, name, watch.signal)
    const started = startedIn(client, name, await client.attach(pod))
    return follow(
      { clock, order: orderFor(spec, certificates), tunnelTo: spec.egress?.socketPath },
      spec,
      watch,
      started,
    )
  }

  return {
    name: 'kubernetes',
    async prepare(): Promise<DriverState> {
      const state = await ready()
      if (!('client' in state)) return { ready: false, reasons: state.reasons }
      const mode = `namespace ${state.client.namespace}`
      return { ready: true, mode, userId: 'own', controllers: ['memory'], reasons: [processesAdvice] }
    },
    async run(spec, watch) {
      const state = await ready()
      if (!('client' in state)) throw new AppError('sandbox.unavailable', state.reasons.join(' '))
      return runIn(state, spec, watch)
    },
    async sweep() {
      const swept = await records.sweep()
      const label = await savedLabel(stateDir)
      const here = label && (await clientHere().catch(() => undefined))
      if (!here) return swept
      const living = new Set((await records.ids()).map((id) => nameOf(label, id)))
      const left = (await here.client.jobsOf(label).catch(() => [])).filter((name) => !living.has(name))
      for (const name of left) await here.client.deleteJob(name).catch(() => undefined)
      return Math.max(swept, left.length)
    },
  }
}

/** A socket without a file, which nobody outside of the pod's network namespace reaches. */
const socketPath = '\0keyward-egress'

function orderFor(spec: SandboxSpec, certificates: string) {
  const { relay, ...order } = guestOrder(spec)
  const text = spec.egress ? `${certificates}\n${spec.egress.caPem}` : ''
  const texts = [{ path: insidePaths.certificates, text }]
  const places = { root: insidePaths.own, folders: [], texts }
  return { ...order, places, ...(relay ? { relay: { ...relay, socketPath }, tunnel: true as const } : {}) }
}

/** An id may hold what a name in Kubernetes may not. */
const nameOf = (label: string, id: string): string =>
  `keyward-${createHash('sha256').update(`${label} ${id}`).digest('hex').slice(0, 40)}`

const imageAdvice =
  'KEYWARD_SANDBOX_IMAGE names no image by its digest (name@sha256:…). It needs node 20 or newer, a shell and mkfifo, as docker.io/library/node has.'
const policyAdvice =
  'A sandbox in Kubernetes reached the API server: no network policy holds it. Apply examples/kubernetes/sandbox.yaml, and use a network plugin that enforces policies.'
const processesAdvice =
  'Kubernetes bounds the processes of a pod by podPidsLimit of its node, and each sandbox by the limit of its user only.'

const reachingScript = `
const [host, port] = process.argv.slice(1)
const settle = (word) => { console.log(word); process.exit(0) }
require('node:net').connect(Number(port), host).on('connect', () => settle('reached')).on('error', () => settle('held'))
setTimeout(() => settle('held'), 3000)
`

const periodMs = 250
/** Images are fetched meanwhile. */
const startAttempts = 1200
const hopeless =
  /^(ErrImagePull|ImagePullBackOff|InvalidImageName|CreateContainer(Config)?Error|RunContainerError)$/

async function runningPod(
  client: KubernetesClient,
  job: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  for (let attempt = 0; attempt < startAttempts && !signal?.aborted; attempt++) {
    const pod = await client.podOf(job)
    const { waiting } = pod?.status.containerStatuses?.[0]?.state ?? {}
    if (hopeless.test(waiting?.reason ?? ''))
      throw new AppError(
        'sandbox.failed',
        `Kubernetes: ${waiting?.reason}: ${waiting?.message?.slice(0, 400)}`,
      )
    if (pod && hasEnded(pod)) throw new AppError('sandbox.failed', 'The pod of the sandbox ended at once.')
    if (pod?.status.phase === 'Running') return pod.metadata.name
    await pause(periodMs)
  }
  const reason = signal?.aborted
    ? 'It was cancelled before its pod ran.'
    : 'Kubernetes started no pod in time.'
  throw new AppError('sandbox.failed', reason)
}

const hasEnded = ({ status }: Pod): boolean => status.phase === 'Succeeded' || status.phase === 'Failed'
const terminationOf = (pod: Pod | undefined) => pod?.status.containerStatuses?.[0]?.state.terminated

function startedIn(client: KubernetesClient, job: string, { channel, said, closed }: Attached): Started {
  let ended = false
  let last: Pod | undefined
  const end = () => {
    if (ended) return
    ended = true
    // The caller deletes it again, and hears of what went wrong.
    client.deleteJob(job).catch(() => undefined)
  }

  /** Until the pod has ended or is gone: its processes are, then. */
  async function lookAtEnd(attempts: number): Promise<void> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const pod = await client.podOf(job)
      last = pod ?? last
      if (!pod || hasEnded(pod)) return
      await pause(periodMs)
    }
  }

  async function goneAfter(): Promise<Status> {
    await closed
    end()
    await lookAtEnd(startAttempts)
    const exit = terminationOf(last)?.exitCode
    return exit === undefined ? { code: null, signal: 'SIGKILL' } : { code: exit, signal: null }
  }

  return {
    channel,
    output: 'frames',
    said,
    gone: goneAfter(),
    end,
    watch: () => () => undefined,
    async usage() {
      // While the guest waits to be ended there is nothing to see; when it was ended, there soon is.
      if (channel.incoming.readableEnded && !ended) await lookAtEnd(8)
      return { outOfMemory: terminationOf(last)?.reason === 'OOMKilled', outOfProcesses: false }
    },
  }
}
