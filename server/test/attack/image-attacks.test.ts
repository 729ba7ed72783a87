// The attacks on the host once more, from inside an image of Keyward's: with bubblewrap, with Podman, and without guards.
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { silentLog, systemClock } from '../../src/core/index.ts'
import { createImages, imagesMigrations } from '../../src/images/index.ts'
import {
  createBubblewrapDriver,
  createSandbox,
  createSandboxDriver,
  findProgram,
  type SandboxSpec,
} from '../../src/sandbox/index.ts'
import { hostPrograms, hostTree, tar } from '../support/image-archive.ts'
import { mayBeMissing } from '../support/needed.ts'
import { temporaryFolder } from '../support/sandbox/attacker.ts'
import { openWorld } from '../support/world.ts'
import { layBait, tryAll } from './bait.ts'
import { type SandboxAttack, sandboxAttacks } from './sandbox-attacks.ts'
import { type Guard, guards, sandboxWithout } from './sandbox-without.ts'

const hidden: (() => unknown)[] = []
const held = { after: (clean: unknown) => void hidden.push(clean as () => unknown) } as unknown as TestContext
after(async () => {
  for (const clean of hidden.reverse()) await clean()
})

const stateDir = await temporaryFolder(held)
const needs = { clock: systemClock, random: Math.random, nodePath: process.execPath }
const driver = createBubblewrapDriver({ ...needs, stateDir: join(stateDir, 'bubblewrap') })
const state = await driver.prepare()
/** Where Debian keeps the part of perl that is always there. */
const perlFolder = `/usr/lib/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu/perl-base`
const programs = ['sh', 'mkfifo', 'perl', 'cat', 'ls', 'ln', 'grep', 'touch', 'mknod', 'dd', 'head', 'true']
const programsAlso = ['test', 'timeout', 'nsenter']

const skip = !state.ready
  ? `this machine gives no namespaces: ${state.reasons.join(' ')}`
  : state.mode === 'root-user-namespace'
    ? 'a sandbox of this machine can have no image'
    : existsSync(perlFolder)
      ? false
      : mayBeMissing('perl of Debian makes the calls and is not installed')

/** What an image adds to what can be attacked: itself, for whoever runs in it next. */
const imageAttacks: readonly SandboxAttack[] = [
  {
    name: 'change a program of the image',
    script: 'echo planted >> /usr/bin/cat',
    guards: ['image', 'user'],
  },
  { name: 'add a file to the image', script: 'touch /srv/planted', guards: ['image', 'user'] },
]
const attacks = [...sandboxAttacks, ...imageAttacks]

async function prepared(): Promise<NonNullable<SandboxSpec['image']>> {
  const world = await openWorld(held, imagesMigrations)
  const sandbox = createSandbox({ driver, clock: systemClock, log: silentLog, dataDir: world.dataDir })
  const images = createImages({
    ...world,
    identity: { agent: async () => undefined },
    sandbox,
    log: silentLog,
  })
  const archive = join(stateDir, 'root.tar')
  const found = [...programs, ...programsAlso].map(
    (name) => findProgram(name) ?? assert.fail(`${name} is not here`),
  )
  const members = [...hostPrograms(found), ...hostTree(perlFolder), { path: 'srv/service', content: 'own' }]
  writeFileSync(archive, tar(members), { mode: 0o600 })
  const by = { kind: 'person' as const, id: 'per_1', name: 'Ada', roles: ['owner'] as const }
  await images.add({ name: 'attacked', archive, by })
  return images.use('attacked', async (image) => ({ ...image, environment: {} }))
}

const image = skip === false ? await prepared() : undefined
const bait = image ? await layBait(held) : undefined
// Everything is tried before the first test is declared: the folders go when the last one that is known has ended.
const guarded = bait ? await tryAll(driver, attacks, bait, image) : []

/** One for each guard that has to do with what is mounted; the others do not know of images. */
const leftOut: readonly (readonly Guard[])[] = [['mounts'], ['proc'], ['network'], ['image', 'user']]
const asRoot = state.ready && state.mode === 'root'
const unguardedSkip =
  skip || (asRoot ? false : 'only root has a user to spare whose sandbox may be left unguarded')
const through = new Map<string, readonly string[]>()
if (bait && unguardedSkip === false)
  for (const without of leftOut) {
    const sandbox = await sandboxWithout(held, without)
    through.set(without.join(), await tryAll(sandbox, needing(without), bait, image))
  }

function needing(without: readonly Guard[]): SandboxAttack[] {
  return attacks.filter(({ guards: needed }) => needed.join() === without.join())
}

/** Names of those that get through with Podman, or why that cannot be tried. */
async function tryWithPodman(): Promise<readonly string[] | { reason: string }> {
  const settings = join(stateDir, 'containers.conf')
  writeFileSync(settings, findProgram('runc') ? '[engine]\nruntime = "runc"\n' : '')
  const env = { ...process.env, CONTAINERS_CONF: settings }
  const podman = createSandboxDriver({ ...needs, kind: 'podman', stateDir: join(stateDir, 'podman'), env })
  const found = await podman.prepare()
  if (!bait || !found.ready) return { reason: found.ready ? 'there is no image' : found.reasons.join(' ') }
  return tryAll(podman, attacks, bait, image)
}
const withPodman = await tryWithPodman()

describe('attacks from inside an image', { skip }, () => {
  for (const { name } of attacks)
    test(`SAND-2: what fails in an image: ${name}`, () => assert.ok(!guarded.includes(name)))
})

describe('the same attacks in an image, unguarded', { skip: unguardedSkip }, () => {
  for (const without of leftOut)
    for (const { name, dependsOnKernel } of needing(without))
      test(`SAND-2: what gets through in an image without ${without.map((guard) => guards[guard]).join(' and ')}: ${name}`, (t) => {
        const found = through.get(without.join())?.includes(name)
        if (dependsOnKernel && !found) t.skip('this machine refuses it by itself')
        else assert.ok(found)
      })
})

describe('attacks from inside an image with Podman', {
  skip: 'reason' in withPodman ? withPodman.reason : false,
}, () => {
  test('SAND-2: what fails in a sandbox fails in an image with Podman', () => {
    assert.deepEqual(withPodman, [])
  })
})
