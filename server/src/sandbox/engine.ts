import { createHash } from 'node:crypto'
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { AppError, type Clock } from '../core/index.ts'
import { follow } from './conversation.ts'
import {
  createEngineClient,
  type EngineClient,
  type EngineName,
  lastWords,
  type Runtime,
} from './engine-client.ts'
import { startContainer } from './engine-run.ts'
import { baseImage, ownKernelNeeds, placesFor, runWords } from './engine-words.ts'
import { entryWords, userIn } from './entry.ts'
import { guestOrder, insidePaths, trialLimits, writablePlaces } from './inside.ts'
import { type OwnRuntime, ownRuntime } from './own-runtime.ts'
import {
  createRecords,
  labelOf,
  markOf,
  type NewRecord,
  noteProcess,
  openRecord,
  type Records,
  savedLabel,
} from './records.ts'
import { hostRootFiles, imageRootFiles, type RootFile } from './root-files.ts'
import type { DriverState, SandboxDriver, SandboxResult, SandboxSpec, SandboxWatch } from './sandbox.ts'
import { seccompProfile } from './seccomp-profile.ts'
import { claimTarget } from './workspace.ts'

type Needs = {
  engine: EngineName
  clock: Clock
  /** In [0, 1): chooses the user id of each sandbox. */
  random: () => number
  /** A folder of the driver's own; other users need not see into it. */
  stateDir: string
  /** The Node binary that runs the guest, and that the command finds as `node`. */
  nodePath: string
  /** The server's environment: where the engine's program is, and what tells it where its engine is. */
  env: Readonly<Record<string, string | undefined>>
  /** Instead of the engine's own. `ownKernel` says that its system calls never reach the host's kernel. */
  runtime?: Runtime & { ownKernel: boolean }
}

type Ready = {
  client: EngineClient
  image: string
  seccompFile: string
  certificates: string
  /** Marks the containers of this data folder. */
  label: string
  controllers: readonly string[]
  reasons: readonly string[]
}

type Root = { image: string; files: readonly RootFile[]; runtimeOfGuest: OwnRuntime | undefined }

type Found = Ready | { reasons: readonly string[] }

/** Isolation by containers, without network, of an engine that is on this machine. */
export function createEngineDriver(needs: Needs): SandboxDriver {
  const { engine, clock, random, stateDir, env, runtime } = needs
  const records = createRecords(stateDir)
  let looked: Promise<Found> | undefined
  let brought: OwnRuntime | undefined

  async function look(): Promise<Found> {
    const client = createEngineClient(engine, env, runtime)
    if (!client) return { reasons: [`${engine} is not installed, or not in the PATH of the server.`] }
    if (engine === 'podman' && process.getuid?.() !== 0)
      return {
        reasons: ['Podman is used by a server that runs as root. Choose bubblewrap, which needs no root.'],
      }
    const able = await abilitiesOf(client)
    if ('reason' in able) return { reasons: [able.reason] }
    const image = await importBase(client, hostRootFiles())
    if ('reason' in image) return { reasons: [image.reason] }
    await mkdir(records.mountPoint, { recursive: true, mode: 0o700 })
    const ready = {
      client,
      image: image.id,
      seccompFile: await writeProfile(stateDir),
      certificates: await readFile('/etc/ssl/certs/ca-certificates.crt', 'utf8').catch(() => ''),
      label: await labelOf(stateDir, random),
      ...able,
    }
    const refusal = await tryOut(ready)
    return refusal === undefined ? ready : { reasons: [`${engine} starts no sandbox: ${refusal}`] }
  }

  async function tryOut(ready: Ready): Promise<string | undefined> {
    const id = `try-${process.pid}-${engine}-${random().toString(36).slice(2)}`
    const spec: SandboxSpec = { id, command: ['/bin/true'], env: {}, limits: trialLimits }
    try {
      const { exitCode, signal } = await runIn(ready, spec, {})
      return exitCode === 0 ? undefined : `a trial ended with ${signal ?? exitCode}`
    } catch (error) {
      return error instanceof AppError ? error.detail : String(error)
    }
  }

  async function ready(): Promise<Found> {
    looked ??= look()
    const found = await looked
    if (!('client' in found)) looked = undefined
    return found
  }

  async function runIn(state: Ready, spec: SandboxSpec, watch: SandboxWatch): Promise<SandboxResult> {
    await claimTarget(spec.workspaceOut)
    const server = (await markOf(process.pid)) ?? { pid: process.pid, startTime: '' }
    const record = { server, cgroupFolders: [] }
    await openRecord(records, spec.id, record)
    try {
      return await contain(state, spec, watch, record).finally(() =>
        state.client.ask(removal(nameOf(spec.id))),
      )
    } finally {
      await records.remove(spec.id)
    }
  }

  async function contain(
    state: Ready,
    spec: SandboxSpec,
    watch: SandboxWatch,
    record: NewRecord,
  ): Promise<SandboxResult> {
    const user = userIn('root', random())
    if (spec.egress) await letConnect(spec.egress.socketPath, user)
    const certificates = spec.egress ? `${state.certificates}\n${spec.egress.caPem}` : ''
    const { env, ...given } = guestOrder(spec)
    const order = {
      ...given,
      // Shells show where a link led them by this, not where it ends.
      env: { PWD: writablePlaces.workspace, ...env },
      places: placesFor(user, certificates),
    }
    const words = wordsFor(state, spec, user, await rootFor(state, spec))
    const started = startContainer({
      ...{ client: state.client, clock, name: nameOf(spec.id), words, spec, watch },
      ownMemoryBytes: runtime?.ownKernel ? ownKernelNeeds.memoryBytes : 0,
    })
    const result = follow({ clock, order }, spec, watch, started)
    const noted = noteProcess(records, spec.id, record, started.child)
    return result.finally(() => noted)
  }

  /** An image of Keyward's has links of its own, so it has an image of the engine's, too. */
  async function rootFor({ client, image }: Ready, { image: chosen }: SandboxSpec): Promise<Root> {
    if (!chosen) return { image, files: hostRootFiles(), runtimeOfGuest: undefined }
    const files = imageRootFiles(chosen.root)
    const imported = await importBase(client, files)
    if ('reason' in imported) throw new AppError('sandbox.failed', imported.reason)
    brought ??= ownRuntime({ [insidePaths.node]: needs.nodePath })
    return { image: imported.id, files, runtimeOfGuest: brought }
  }

  function wordsFor(state: Ready, spec: SandboxSpec, user: number, root: Root): string[] {
    const { client, seccompFile, label } = state
    const { mountPoint } = records
    const words = runWords({
      engine,
      spec,
      name: nameOf(spec.id),
      labels: { [labelName]: label },
      user,
      ...root,
      nodePath: needs.nodePath,
      seccompFile,
      ownKernel: runtime?.ownKernel ?? false,
      runtime: engine === 'docker' ? runtime?.name : undefined,
      mountPoint,
    })
    // Podman has no daemon: what is mounted in a namespace around it is seen by it and by nobody else, and ends with it.
    const { diskBytes } = spec.limits
    const around =
      engine === 'podman' ? entryWords({ mode: 'root', user, mountPoint, diskBytes, joinFiles: [] }) : []
    return [...around, ...client.words, ...words]
  }

  return {
    name: runtime?.ownKernel ? `gvisor (${engine})` : engine,
    async prepare(): Promise<DriverState> {
      const state = await ready()
      if (!('client' in state)) return { ready: false, reasons: state.reasons }
      const { controllers, reasons } = state
      return { ready: true, mode: 'engine', userId: 'own', controllers, reasons }
    },
    async run(spec, watch) {
      const state = await ready()
      if (!('client' in state)) throw new AppError('sandbox.unavailable', state.reasons.join(' '))
      return runIn(state, spec, watch)
    },
    async sweep() {
      const before = await records.ids()
      await records.sweep()
      const living = new Set(await records.ids())
      const gone = before.filter((id) => !living.has(id))
      const client = createEngineClient(engine, env, runtime)
      const label = await savedLabel(stateDir)
      // Without a label this driver has never run anything, and its engine is not asked.
      const left = client && label ? await removeLeft(client, records, label) : []
      return new Set([...gone, ...left]).size
    },
  }
}

const labelName = 'keyward.sandbox'
const namePrefix = 'keyward-'
const nameOf = (id: string): string => `${namePrefix}${id}`
const removal = (name: string): string[] => ['rm', '--force', '--volumes', name]

/** Removes the containers of this data folder that no living server has a record of. */
async function removeLeft(client: EngineClient, records: Records, label: string): Promise<string[]> {
  const filter = `label=${labelName}=${label}`
  const { stdout } = await client.ask(['ps', '--all', '--filter', filter, '--format', '{{.Names}}'])
  const living = new Set(await records.ids())
  const left = stdout
    .split('\n')
    .filter((name) => name.startsWith(namePrefix))
    .map((name) => name.slice(namePrefix.length))
    .filter((id) => !living.has(id))
  for (const id of left) {
    // Podman gives what it removes ten seconds to end by itself.
    await client.ask(['kill', nameOf(id)])
    await client.ask(removal(nameOf(id)))
  }
  return left
}

async function writeProfile(stateDir: string): Promise<string> {
  const file = join(stateDir, 'seccomp.json')
  await writeFile(file, JSON.stringify(seccompProfile(process.arch)), { mode: 0o644 })
  return file
}

type Abilities = { controllers: readonly string[]; reasons: readonly string[] }

/** Whether it answers, and which control groups it has. */
async function abilitiesOf(client: EngineClient): Promise<Abilities | { reason: string }> {
  const { code, stdout, stderr } = await client.ask(['info', '--format', '{{json .}}'])
  if (code !== 0) return { reason: `${client.name} does not answer: ${lastWords(stderr)}` }
  const controllers = controllersIn(JSON.parse(stdout))
  if (!seccompProfile(process.arch))
    return { reason: `There is no system-call filter for ${process.arch} yet.` }
  if (controllers.includes('memory') && controllers.includes('pids')) return { controllers, reasons: [] }
  const reason = `${client.name} bounds no memory or no processes here, because it has no control groups for them.`
  return { controllers, reasons: [reason] }
}

/** Docker says each by a flag, Podman has a list. */
function controllersIn(info: unknown): string[] {
  const docker = z.object({ MemoryLimit: z.boolean(), PidsLimit: z.boolean() }).safeParse(info)
  if (docker.success)
    return [...(docker.data.MemoryLimit ? ['memory'] : []), ...(docker.data.PidsLimit ? ['pids'] : [])]
  const podman = z.object({ host: z.object({ cgroupControllers: z.array(z.string()) }) }).safeParse(info)
  return podman.success ? podman.data.host.cgroupControllers : []
}

/** The image is Keyward's own, a few kilobytes, and named by what it holds; nothing is ever pulled. */
async function importBase(
  client: EngineClient,
  files: readonly RootFile[],
): Promise<{ id: string } | { reason: string }> {
  const archive = baseImage(await readFile(new URL('./guest.mjs', import.meta.url)), files)
  const name = `localhost/keyward-sandbox:${createHash('sha256').update(archive).digest('hex').slice(0, 32)}`
  const known = await idOf(client, name)
  if (known) return { id: known }
  const { code, stderr } = await client.ask(['import', '-', name], archive)
  const id = await idOf(client, name)
  if (code === 0 && id) return { id }
  return { reason: `${client.name} takes no image: ${lastWords(stderr)}` }
}

async function idOf(client: EngineClient, name: string): Promise<string | undefined> {
  const { code, stdout } = await client.ask(['image', 'inspect', '--format', '{{.Id}}', name])
  return code === 0 ? stdout.trim() : undefined
}

/** The socket's folder lies in one that only the server may enter, so opening it to the sandbox opens it to nobody else. */
async function letConnect(socketPath: string, user: number): Promise<void> {
  if (process.getuid?.() === 0) {
    await chown(socketPath, user, user)
    await chown(dirname(socketPath), user, user)
  } else {
    await chmod(socketPath, 0o666)
    await chmod(dirname(socketPath), 0o711)
  }
}
