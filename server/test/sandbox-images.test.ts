// Images of sandboxes: how a person adds one, how a command gets it, and how a policy requires it.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { findProgram } from '../src/sandbox/index.ts'
import { folder, hostPrograms, type Member, tar } from './support/image-archive.ts'
import { scratchFolder, startServer } from './support/server.ts'
import { openTaskWorld } from './support/task-world.ts'

const programs = ['sh', 'cat', 'mkfifo'].map(
  (name) => findProgram(name) ?? assert.fail(`${name} is not here`),
)
const release: Member = { path: 'etc/os-release', content: 'NAME=prepared\n' }
const archiveIn = (place: string): string => {
  const archive = join(place, 'root.tar')
  writeFileSync(archive, tar([...hostPrograms(programs), folder('etc'), release]))
  return archive
}
const by = { kind: 'person', id: 'per_1', name: 'Ada', roles: ['owner'] } as const

test('SAND-1: a command of an agent runs in the image that it names, and policy can require one', async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip) return t.skip(world.skip)
  const { images, policy } = world.keyward
  const { image } = await images.add({ name: 'prepared', archive: archiveIn(scratchFolder(t, 'image')), by })
  const command = ['cat', '/etc/os-release'] as const
  const runIn = (named?: string) =>
    world.runnerOf()({ title: 'A test', command, ...(named === undefined ? {} : { image: named }) })
  const first = await runIn('prepared')
  assert.equal(first.stdoutTail, 'NAME=prepared\n')
  const [started] = await world.entries('sandbox.started')
  const { image: name, imageDigest } = Object(started?.detail)
  assert.deepEqual([name, imageDigest], ['prepared', image.digest])
  assert.notEqual((await runIn()).stdoutTail, 'NAME=prepared\n')
  await assert.rejects(runIn('none'), { code: 'image.not_found' })
  await images.assign(world.agentId, 'prepared', by)
  assert.equal((await runIn()).stdoutTail, 'NAME=prepared\n', 'the image of the agent')
  await assert.rejects(runIn('none'), { code: 'image.not_found' })
  await images.assign(world.agentId, null, by)

  const text = `@id("only-prepared") @description("Commands run in the image prepared.")
    forbid (principal, action == Action::"sandboxes.run", resource)
    unless { context has image && context.image == "prepared" };`
  policy.prepare([policy.compile({ name: 'images', text })])()
  await assert.rejects(runIn(), { code: 'policy.denied' })
  const [refused] = await world.entries('sandbox.refused')
  assert.match(String(Object(refused?.detail).reason), /prepared/)
  assert.equal((await runIn('prepared')).stdoutTail, 'NAME=prepared\n')
})

test('SAND-1: a person adds, lists, verifies and removes images by the command', async (t) => {
  const server = await startServer(t)
  const archive = archiveIn(scratchFolder(t, 'image'))
  const none = await server.keyward(['sandbox', 'image', 'list'])
  assert.match(none.stderr + none.stdout, /None/)
  const added = await server.keyward(['sandbox', 'image', 'add', 'prepared', '--from', archive, '--json'])
  if (/sandbox\.unavailable/.test(added.stderr)) return t.skip('no sandbox here')
  assert.equal(added.code, 0, added.stderr)
  const { image } = JSON.parse(added.stdout) as { image: { digest: string; files: number } }
  const listed = await server.keyward(['sandbox', 'image', 'list'])
  assert.ok(listed.stdout.includes('prepared') && listed.stdout.includes(image.digest), listed.stdout)
  assert.match((await server.keyward(['sandbox', 'image', 'verify', 'prepared'])).stderr, /as it was added/)
  await server.keyward(['agents', 'register', 'shop-bot'])
  const ofAgent = async (...words: string[]) => {
    const { code, stdout, stderr } = await server.keyward(['agents', 'image', 'shop-bot', ...words])
    return [code, stdout.trim() || stderr]
  }
  assert.deepEqual(await ofAgent(), [0, "the machine's own files"])
  assert.deepEqual(await ofAgent('--set', 'prepared'), [0, 'prepared'])
  assert.match(String((await ofAgent('--set', 'gone'))[1]), /there is no such image/)
  assert.match(
    (await server.keyward(['sandbox', 'image', 'remove', 'prepared'])).stderr,
    /this image is in use/,
  )
  assert.deepEqual(await ofAgent('--none'), [0, "the machine's own files"])
  const again = await server.keyward(['sandbox', 'image', 'add', 'prepared', '--from', archive, '--json'])
  assert.match(again.stderr, /image\.exists/)
  const both = await server.keyward(['sandbox', 'image', 'add', 'other'])
  assert.match(both.stderr, /either --from FILE or --debian SUITE/)
  assert.match((await server.keyward(['sandbox', 'image', 'remove', 'prepared'])).stderr, /is removed/)
  const gone = await server.keyward(['sandbox', 'image', 'remove', 'prepared', '--json'])
  assert.match(gone.stderr, /image\.not_found/)
})
