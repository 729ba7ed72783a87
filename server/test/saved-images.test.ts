// Archives as engines save them: layers, one of which takes away what is below it. And an image without a C library.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLog, systemClock } from '../src/core/index.ts'
import { createImages, imagesMigrations } from '../src/images/index.ts'
import { createBubblewrapDriver, createSandbox, findProgram } from '../src/sandbox/index.ts'
import { startDocker } from './support/docker-engine.ts'
import { folder, hostPrograms, link, tar } from './support/image-archive.ts'
import { mayBeMissing } from './support/needed.ts'
import { attacker, temporaryFolder } from './support/sandbox/attacker.ts'
import { openWorld } from './support/world.ts'

/** Images as the server keeps them, and a driver that runs commands in them. Undefined where a sandbox can have no image. */
async function openImages(t: TestContext) {
  const place = await temporaryFolder(t)
  const driver = createBubblewrapDriver({
    clock: systemClock,
    random: Math.random,
    stateDir: join(place, 'state'),
    nodePath: process.execPath,
  })
  const state = await driver.prepare()
  if (!state.ready || state.mode === 'root-user-namespace') return undefined
  const world = await openWorld(t, imagesMigrations)
  const sandbox = createSandbox({ driver, clock: systemClock, log: silentLog, dataDir: world.dataDir })
  const identity = { agent: async () => undefined }
  const images = createImages({ ...world, identity, sandbox, log: silentLog })
  const add = async (name: string, archive: string) => (await images.add({ name, archive, by })).image
  const run = (name: string, script: string): Promise<string> =>
    images.use(name, async (image) => {
      const result = await attacker(driver).shell(script, { image: { ...image, environment: {} } })
      return result.stdoutTail
    })
  return { place, add, run }
}

const by = { kind: 'person' as const, id: 'per_1', name: 'Ada', roles: ['owner'] as const }
const noImage = 'a sandbox here can have no image'

/** What the archives of a layer over another one hold, as a command in them sees it. */
const lookAround = 'cd /app; ls . emptied; cat changed kept'
const seen = '.:\nchanged\nemptied\nkept\n\nemptied:\nnew\nupper\nlower\n'

function lowerLayer(more: readonly string[] = []): Buffer {
  const programs = ['sh', 'cat', 'ls', 'mkfifo', ...more].map(
    (name) => findProgram(name) ?? assert.fail(name),
  )
  const files = ['gone', 'changed', 'kept'].map((name) => ({ path: `app/${name}`, content: 'lower\n' }))
  const emptied = [folder('app/emptied'), { path: 'app/emptied/old', content: 'lower\n' }]
  return tar([...hostPrograms(programs), folder('app'), ...files, ...emptied])
}

/** Runs a program to its end; what it prints. */
function running(program: string, before: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  return (...words: string[]): string => {
    const { status, stdout, stderr } = spawnSync(program, [...before, ...words], { env })
    assert.equal(status, 0, String(stderr))
    return String(stdout).trim()
  }
}

test('SAND-1: what Podman saves becomes an image, the same from either form of archive, and commands run in it', async (t) => {
  if (!findProgram('podman') || process.getuid?.() !== 0)
    return t.skip(mayBeMissing('Podman, used by root, is not here'))
  const world = await openImages(t)
  if (!world) return t.skip(noImage)
  const { place, add, run } = world
  const storage = ['--root', join(place, 'store'), '--runroot', join(place, 'run'), '--storage-driver', 'vfs']
  const podman = running('podman', [...storage, '--events-backend=none'])
  const lower = join(place, 'lower.tar')
  writeFileSync(lower, lowerLayer())
  podman('import', '--quiet', '--change', 'ENV=FROM_PODMAN=yes', lower, 'localhost/lower:1')
  const container = podman('create', 'localhost/lower:1', '/bin/sh')
  const root = podman('mount', container)
  rmSync(join(root, 'app/gone'))
  rmSync(join(root, 'app/emptied'), { recursive: true })
  mkdirSync(join(root, 'app/emptied'))
  writeFileSync(join(root, 'app/emptied/new'), 'upper\n')
  writeFileSync(join(root, 'app/changed'), 'upper\n')
  podman('umount', container)
  podman('commit', '--quiet', container, 'localhost/upper:1')

  const digests: string[] = []
  for (const form of ['docker-archive', 'oci-archive']) {
    const archive = join(place, `${form}.tar`)
    podman('save', '--quiet', '--format', form, '--output', archive, 'localhost/upper:1')
    const { digest, environment } = await add(form, archive)
    assert.equal(new Map(Object.entries(environment)).get('FROM_PODMAN'), 'yes')
    digests.push(digest)
  }
  assert.equal(digests[0], digests[1])
  assert.equal(await run('oci-archive', lookAround), seen)
})

test('SAND-1: what a Docker engine saves becomes an image, and commands run in it', async (t) => {
  const engine = await startDocker(await temporaryFolder(t))
  if (!engine) return t.skip('no Docker engine can be started here')
  t.after(engine.stop)
  const world = await openImages(t)
  if (!world) return t.skip(noImage)
  const { place, add, run } = world
  const docker = running('docker', [], { ...process.env, DOCKER_HOST: engine.host })
  const lower = join(place, 'lower.tar')
  writeFileSync(lower, lowerLayer(['rm', 'mkdir']))
  docker('import', '--change', 'ENV FROM_DOCKER=yes', lower, 'lower:1')
  const change =
    'cd /app; rm gone; rm -r emptied; mkdir emptied; echo upper > emptied/new; echo upper > changed'
  docker('run', '--network', 'none', '--name', 'upper', 'lower:1', '/bin/sh', '-c', change)
  docker('commit', 'upper', 'upper:1')
  const archive = join(place, 'docker.tar')
  docker('save', '--output', archive, 'upper:1')
  const { environment } = await add('docker', archive)
  assert.equal(new Map(Object.entries(environment)).get('FROM_DOCKER'), 'yes')
  assert.equal(await run('docker', lookAround), seen)
})

test('SAND-1: commands run in an image that has one program and no C library', async (t) => {
  const busybox = findProgram('busybox')
  if (!busybox) return t.skip(mayBeMissing('BusyBox is not installed'))
  if (spawnSync('ldd', [busybox]).status === 0) return t.skip('the BusyBox here needs a C library')
  const world = await openImages(t)
  if (!world) return t.skip(noImage)
  const { place, add, run } = world
  const names = ['sh', 'cat', 'ls', 'mkfifo'].map((name) => link(`bin/${name}`, 'busybox'))
  const program = { path: 'bin/busybox', content: readFileSync(busybox), mode: 0o755 }
  const archive = join(place, 'busybox.tar')
  writeFileSync(
    archive,
    tar([folder('bin'), program, ...names, folder('etc'), { path: 'etc/motd', content: 'small\n' }]),
  )
  await add('busybox', archive)
  assert.equal(await run('busybox', 'cat /etc/motd'), 'small\n')
})
