// Archives as Podman saves them, in both of its forms: layers, one of which takes away what is below it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLog, systemClock } from '../src/core/index.ts'
import { createImages, imagesMigrations } from '../src/images/index.ts'
import { createBubblewrapDriver, createSandbox, findProgram } from '../src/sandbox/index.ts'
import { folder, hostPrograms, tar } from './support/image-archive.ts'
import { mayBeMissing } from './support/needed.ts'
import { attacker, temporaryFolder } from './support/sandbox/attacker.ts'
import { openWorld } from './support/world.ts'

test('SAND-1: what Podman saves becomes an image, the same from either form of archive, and commands run in it', async (t) => {
  if (!findProgram('podman') || process.getuid?.() !== 0)
    return t.skip(mayBeMissing('Podman, used by root, is not here'))
  const place = await temporaryFolder(t)
  const driver = createBubblewrapDriver({
    clock: systemClock,
    random: Math.random,
    stateDir: join(place, 'state'),
    nodePath: process.execPath,
  })
  const state = await driver.prepare()
  if (!state.ready || state.mode === 'root-user-namespace') return t.skip('a sandbox here can have no image')
  const storage = ['--root', join(place, 'store'), '--runroot', join(place, 'run'), '--storage-driver', 'vfs']
  const podman = (...words: string[]): string => {
    const { status, stdout, stderr } = spawnSync('podman', [...storage, '--events-backend=none', ...words])
    assert.equal(status, 0, String(stderr))
    return String(stdout).trim()
  }
  const programs = ['sh', 'cat', 'ls', 'mkfifo'].map((name) => findProgram(name) ?? assert.fail(name))
  const lower = [
    folder('app'),
    ...['gone', 'changed', 'kept'].map((name) => ({ path: `app/${name}`, content: 'lower\n' })),
    folder('app/emptied'),
    { path: 'app/emptied/old', content: 'lower\n' },
  ]
  writeFileSync(join(place, 'lower.tar'), tar([...hostPrograms(programs), ...lower]))
  podman(
    'import',
    '--quiet',
    '--change',
    'ENV=FROM_PODMAN=yes',
    join(place, 'lower.tar'),
    'localhost/lower:1',
  )
  const container = podman('create', 'localhost/lower:1', '/bin/sh')
  const root = podman('mount', container)
  rmSync(join(root, 'app/gone'))
  rmSync(join(root, 'app/emptied'), { recursive: true })
  mkdirSync(join(root, 'app/emptied'))
  writeFileSync(join(root, 'app/emptied/new'), 'upper\n')
  writeFileSync(join(root, 'app/changed'), 'upper\n')
  podman('umount', container)
  podman('commit', '--quiet', container, 'localhost/upper:1')

  const world = await openWorld(t, imagesMigrations)
  const sandbox = createSandbox({ driver, clock: systemClock, log: silentLog, dataDir: world.dataDir })
  const identity = { agent: async () => undefined }
  const images = createImages({ ...world, identity, sandbox, log: silentLog })
  const by = { kind: 'person' as const, id: 'per_1', name: 'Ada', roles: ['owner'] as const }
  const digests: string[] = []
  for (const form of ['docker-archive', 'oci-archive']) {
    const archive = join(place, `${form}.tar`)
    podman('save', '--quiet', '--format', form, '--output', archive, 'localhost/upper:1')
    const { image } = await images.add({ name: form, archive, by })
    assert.deepEqual(
      Object.entries(image.environment).find(([name]) => name === 'FROM_PODMAN'),
      ['FROM_PODMAN', 'yes'],
    )
    digests.push(image.digest)
  }
  assert.equal(digests[0], digests[1])
  await images.use('oci-archive', async (image) => {
    const script = 'cd /app; ls . emptied; cat changed kept'
    const { stdoutTail } = await attacker(driver).shell(script, { image: { ...image, environment: {} } })
    assert.equal(stdoutTail, '.:\nchanged\nemptied\nkept\n\nemptied:\nnew\nupper\nlower\n')
  })
})
