/**
 * The whole of Keyward in a process that deploys one pull request, or goes on where an earlier one was killed, answers what is asked,
 * and kills itself at a boundary.
 *   node killed-deployment.ts <settings file> [<name of the boundary> or <another one>]
 * Prints the run as it ended, as one line of JSON.
 */
import { readFileSync } from 'node:fs'
import { Secret, silentLog, systemClock, systemPrincipal } from '../../src/core/index.ts'
import { createKeyward } from '../../src/keyward.ts'
import type { SandboxProbe } from '../../src/sandbox/sandbox.ts'
import { openDataFolder, openStore } from '../../src/store/index.ts'
import type { Connected } from './deployment.ts'
import { eventually } from './eventually.ts'

type Settings = {
  dataDir: string
  connections: Connected[]
  preset: string
  number: number
  /** What sandboxes hold here, measured once for all these processes. */
  sandboxFound: SandboxProbe
}

const [settingsFile = '', killAt = ''] = process.argv.slice(2)
const settings = JSON.parse(readFileSync(settingsFile, 'utf8')) as Settings
const { dataDir, connections, preset, number, sandboxFound } = settings
const by = systemPrincipal('test')
const owner = { kind: 'person', id: 'olga', name: 'olga', roles: ['owner'] } as const

const folder = openDataFolder(dataDir)
const store = await openStore({ dataDir })
const keyward = await createKeyward({
  store,
  clock: systemClock,
  log: silentLog,
  dataDir,
  version: '0.0.0',
  searchPath: process.env['PATH'] ?? '',
  env: { ...process.env, KEYWARD_SANDBOX_POOL: '0' },
  auditDurability: 'disk',
  sandboxFound,
  onBoundary: (name) => {
    if (killAt.split(' or ').includes(name)) process.kill(process.pid, 'SIGKILL')
  },
})
const { vault, workflow, approvals, identity, flows } = keyward
const isFirst = !vault.status().initialised
if (isFirst) await vault.initialise({ seal: 'keyfile' })
else await vault.unsealByItself()
await keyward.start()
if (isFirst) await connect()
const { id: approverId, name: approverName } = await store.write((tx) => identity.bootstrapOwner(tx))
const approver = { id: approverId, name: approverName }
const run = await flows.start({
  flow: 'deploy-shop',
  input: { number },
  by,
  unattended: false,
  idempotencyKey: 'the deployment',
})

let ended = false
const whenEnded = workflow.whenEnded(run.id).finally(() => {
  ended = true
})
await eventually(async () => {
  await answer()
  return ended
}, 'the end of the deployment')
const { state, outcome, reason, tasks } = await whenEnded
const attempts = Object.fromEntries(tasks.map(({ id, attempt }) => [id, attempt]))
await keyward.stop()
await store.close()
folder.release()
process.stdout.write(`${JSON.stringify({ state, outcome, reason, attempts })}\n`)

async function connect(): Promise<void> {
  await store.write((tx) => identity.registerAgent(tx, { name: 'shop-bot', description: '', owner: by }))
  for (const { name, connector, settings, secret } of connections) {
    const path = `secret/shop/${name}`
    const fields = Object.entries(secret ?? {}).map(([field, value]) => [field, new Secret(value)] as const)
    if (secret) await store.write((tx) => vault.kv.write(tx, path, Object.fromEntries(fields)))
    await keyward.connectors.create({ name, connector, settings, secretPath: secret ? path : null }, owner)
  }
  await flows.documents.save({ name: 'deploy-shop', text: preset }, by)
}

/** As a person would: allows what is asked, looks at the stack, where nothing happened, and into the conversation, where it did. */
async function answer(): Promise<void> {
  const now = new Date()
  const person = { ...owner, ...approver, signedInAt: now, secondFactorAt: now }
  const { items } = await approvals.page({ limit: 20, state: 'pending' })
  for (const { id, digest } of items) await approvals.approve(person, id, { digest })
  const { state: standing, tasks: known } = await workflow.read(run.id)
  const taskId = known.find((task) => task.state === 'Ambiguous')?.id
  if (standing !== 'AwaitingPerson' || taskId === undefined) return
  const effect = taskId === 'notify' ? 'done' : 'none'
  await workflow.resolve(run.id, person, { taskId, effect, reason: 'somebody looked' })
}
