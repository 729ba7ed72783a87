import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assertNotHalfRestored, restoreBackup } from './backup/index.ts'
import type { RestoreOptions, ServerOptions, StartOptions } from './cli/index.ts'
import {
  AppError,
  createLog,
  holdYoungGeneration,
  type Log,
  type Principal,
  parseListen,
  reasonOf,
  releaseMemory,
  releaseWhenIdle,
  Secret,
  systemClock,
  thisProcess,
} from './core/index.ts'
import {
  agentRoutes,
  approvalRoutes,
  backupRoutes,
  channelRoutes,
  connectorRoutes,
  egressRoutes,
  findingRoutes,
  renderMetrics,
  runRoutes,
  scheduleRoutes,
  secretRoutes,
  sessionRoutes,
  startHttpServer,
  systemRoutes,
  vaultRoutes,
} from './http/index.ts'
import { createKeyward, type Keyward } from './keyward.ts'
import { migrations } from './migrations.ts'
import { openDataFolder, openStore } from './store/index.ts'
import { sealWrappers } from './vault/index.ts'

const { version }: { version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
)

type Http = Awaited<ReturnType<typeof startHttpServer>>

type Running = {
  readonly keyward: Keyward
  readonly http: Http
  /** A link that signs the owner in once. */
  signInLink(): Promise<string>
  stop(): Promise<void>
}

/** `keyward server`: runs until it is told to stop. */
export async function runServer(options: ServerOptions): Promise<number> {
  const log = createLog(options.logLevel)
  const running = await startKeyward(options, log)
  await announce(running, options)
  await signalled()
  await running.stop()
  return 0
}

/** `keyward start`: the server with the guided first run. Without a terminal (`--yes`) it ends with the report. */
export async function runStart(options: StartOptions): Promise<number> {
  const log = createLog('error')
  const running = await startKeyward({ ...options, dev: false, logLevel: 'error', ...fromEnvironment() }, log)
  const { keyward, http } = running
  const stopped = signalled()
  try {
    const guide = { ...options, address: http.address, signInLink: running.signInLink, stopped }
    const { runGuide } = await import('./guide/index.ts')
    const answer = await runGuide(keyward, guide)
    if (answer.keepServing) await stopped
    return answer.exitCode
  } finally {
    await running.stop()
  }
}

const fromEnvironment = (): { databaseUrl?: string } => {
  const databaseUrl = process.env['KEYWARD_DATABASE_URL']
  return databaseUrl ? { databaseUrl } : {}
}

export { newBackupKey, verifyBackup } from './backup/index.ts'

/** `keyward backup restore`: into a data folder, or a database, that nobody uses. */
export async function runRestore({ file, identities, dataDir, databaseUrl, replace }: RestoreOptions) {
  const folder = openDataFolder(dataDir)
  try {
    return await restoreBackup(
      { file, identities },
      {
        dataDir,
        openStore: () => openStore({ dataDir, databaseUrl }),
        elsewhere: databaseUrl !== undefined,
        migrations,
        clock: systemClock,
        replace,
      },
    )
  } finally {
    folder.release()
  }
}

/** When the first requests after the start have had their answers. */
const trimAfterMs = 1000

function trim(log: Log): void {
  releaseMemory()
    .then(holdYoungGeneration)
    .catch((error: unknown) => log.warn({ reason: reasonOf(error) }, 'memory is not given back'))
}

async function startKeyward(options: ServerOptions, log: Log): Promise<Running> {
  const folder = openDataFolder(options.dataDir)
  const cleanUp: (() => Promise<void> | void)[] = [() => folder.release()]
  const stop = async (): Promise<void> => {
    for (const step of cleanUp.splice(0)) await step()
  }
  try {
    assertNotHalfRestored(options.dataDir)
    const store = await openStore({ dataDir: options.dataDir, databaseUrl: options.databaseUrl })
    cleanUp.unshift(() => store.close())
    let address = process.env['KEYWARD_PUBLIC_ADDRESS']?.replace(/\/+$/, '')
    const keyward = await createKeyward({
      store,
      clock: systemClock,
      log,
      dataDir: options.dataDir,
      version,
      searchPath: process.env['PATH'] ?? '',
      env: process.env,
      publicAddress: () => address ?? '',
      auditFolder: process.env['KEYWARD_AUDIT_FOLDER'],
      auditDurability: process.env['KEYWARD_AUDIT_READS'] === 'kernel' ? 'kernel' : 'disk',
      wrappers: sealWrappers(options.seal, process.env, { clock: systemClock, log }),
      wantedSeal: options.seal,
      agentsListen: listenForAgents(
        process.env['KEYWARD_EGRESS_LISTEN'],
        process.env['KEYWARD_EGRESS_NAMES'],
      ),
    })
    await openVault(keyward, options)
    await keyward.start()
    cleanUp.unshift(() => keyward.stop())
    const http = await serve(keyward, options, log)
    address ??= http.address
    cleanUp.unshift(() => http.close())
    cleanUp.unshift(systemClock.after(trimAfterMs, () => trim(log)))
    cleanUp.unshift(releaseWhenIdle({ clock: systemClock, ...thisProcess }))
    return { keyward, http, stop, signInLink: () => signInLink(keyward, http.address) }
  } catch (error) {
    await stop()
    throw error
  }
}

/** By these names the agents' machines know this one; without any, by what it listens to and what it is called. */
function listenForAgents(listen: string | undefined, names: string | undefined) {
  if (!listen) return undefined
  const at = parseListen(listen, 'KEYWARD_EGRESS_LISTEN')
  const given =
    names
      ?.split(',')
      .map((name) => name.trim())
      .filter(Boolean) ?? []
  const own = ['0.0.0.0', '::'].includes(at.host) ? [hostname()] : [at.host]
  return { ...at, names: [...new Set([...given, ...own, 'localhost', '127.0.0.1', '::1'])] }
}

/** A new vault sealed by a key file is made and opened at once; any other waits for its owners, who get shares. */
async function openVault(
  { vault }: Keyward,
  { dev, devRootTokenId, seal, dataDir }: ServerOptions,
): Promise<void> {
  if (vault.status().initialised) {
    await vault.openAtStart()
  } else if (dev || (seal ?? 'keyfile') === 'keyfile') {
    const rootTokenId = devRootTokenId === undefined ? undefined : new Secret(devRootTokenId)
    const { rootToken } = await vault.initialise({ seal: 'keyfile', ...(rootTokenId ? { rootTokenId } : {}) })
    if (!rootTokenId) await writePrivate(join(dataDir, 'root.token'), rootToken)
  }
  if (dev && devRootTokenId !== undefined && !(await vault.principalOf(devRootTokenId)))
    throw new AppError(
      'request.conflict',
      `the data folder ${dataDir} was made with another root token. Use that one, or another folder.`,
    )
}

async function serve(keyward: Keyward, options: ServerOptions, log: Log): Promise<Http> {
  const {
    store,
    identity,
    vault,
    audit,
    policy,
    bus,
    findings,
    schedules,
    runSchedules,
    triggers,
    lend,
    flows,
    taskOutput,
    sandbox,
    workflow,
    approvals,
  } = keyward
  const owner = await store.write((tx) => identity.bootstrapOwner(tx))
  const localToken = new Secret(randomBytes(32).toString('base64url'))
  await writePrivate(join(options.dataDir, 'local.token'), localToken)
  const devToken = options.dev ? options.devRootTokenId : undefined
  const authenticate = async (token: string): Promise<Principal | undefined> => {
    // The development server's token is its owner, present at the keyboard: nobody else runs one.
    if (devToken !== undefined && isSameText(token, devToken))
      return {
        kind: 'person',
        id: owner.id,
        name: owner.name,
        roles: owner.roles,
        signedInAt: systemClock.now(),
        secondFactorAt: systemClock.now(),
      }
    return (await identity.authenticate(token)) ?? vault.principalOf(token)
  }
  return startHttpServer(options.listen, await tlsFiles(options), {
    authenticate,
    policy,
    audit,
    log,
    bus,
    clock: systemClock,
    vault,
    version,
    circumstances: async () => ({ soloAccount: (await identity.countPeople()) === 1 }),
    consoleDir: consoleFolder(),
    receiveHooks: { push: schedules.receive, event: triggers.receive },
    receiveFromChannel: keyward.channels.receive,
    taskOutput,
    workflow,
    metrics: async () =>
      renderMetrics(await keyward.status(), process.memoryUsage.rss()) + (await keyward.observe.metrics()),
    health: keyward.health,
    routes: (secure) => [
      ...sessionRoutes({ store, identity, clock: systemClock, localToken, secure }),
      ...backupRoutes({ backups: keyward.backups }),
      ...systemRoutes({ status: keyward.status, policy, audit }),
      ...findingRoutes(findings),
      ...scheduleRoutes({ schedules, runSchedules, triggers }),
      ...connectorRoutes(keyward.connectors),
      ...runRoutes({
        ...{ flows, workflow, taskOutput, sandbox, audit },
        goals: keyward.goals,
        images: keyward.images,
      }),
      ...approvalRoutes({ approvals }),
      ...agentRoutes({ store, identity, lend, rollout: keyward.rollout, images: keyward.images }),
      ...channelRoutes(keyward.channels),
      ...egressRoutes({
        store,
        clock: systemClock,
        lend,
        passages: keyward.passages,
        egressLog: keyward.egressLog,
        proxy: keyward.proxy,
        remote: keyward.remote,
      }),
      ...secretRoutes({ vault, audit, policy }),
      ...vaultRoutes({ vault, audit, policy }),
    ],
  })
}

/** In a time that tells nothing of either text. */
const isSameText = (a: string, b: string): boolean =>
  timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))

/** Beside the compiled server in the published package, in its own workspace in the repository. */
function consoleFolder(): string {
  const source = import.meta.url.endsWith('.ts')
  return fileURLToPath(new URL(source ? '../../console/dist' : './console', import.meta.url))
}

async function tlsFiles({ tlsCert, tlsKey }: ServerOptions) {
  if (tlsCert === undefined || tlsKey === undefined) return undefined
  return { certificatePem: await readFile(tlsCert, 'utf8'), keyPem: await readFile(tlsKey, 'utf8') }
}

async function writePrivate(file: string, content: Secret): Promise<void> {
  const handle = await open(file, 'w', 0o600)
  await handle.chmod(0o600)
  await handle.writeFile(`${content.reveal()}\n`)
  await handle.close()
}

/** The code stands in the fragment, which no browser sends to a server or a log. */
async function signInLink({ store, identity }: Keyward, address: string): Promise<string> {
  const code = await store.write(async (tx) =>
    identity.createSignInCode(tx, (await identity.bootstrapOwner(tx)).id),
  )
  return `${address}/#code=${code.reveal()}`
}

async function announce({ keyward, http, signInLink }: Running, options: ServerOptions): Promise<void> {
  const { initialised, sealed, problem = 'give the key shares' } = keyward.vault.status()
  const lines = [
    `Keyward ${version} listens on ${http.address}`,
    `  data      ${options.dataDir}${options.databaseUrl ? ' and PostgreSQL' : ''}`,
    `  vault     ${initialised ? (sealed ? `sealed: ${problem}` : 'open') : 'not initialised: PUT /v1/sys/init'}`,
    `  console   ${await signInLink()}`,
    '            signs you in as the owner, once, within ten minutes; for another: keyward login --link',
  ]
  if (options.dev)
    lines.push('  dev       the root token is the one you gave; never use --dev with real secrets')
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** Resolves at SIGINT or SIGTERM; a second one ends the process at once. */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))
      resolve()
    }
    process.once('SIGINT', end)
    process.once('SIGTERM', end)
  })
}
