import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '@keyward/contract'
import { openConnectorWorld } from '../../test/support/connector-world.ts'
import { createDraws } from '../../test/support/draws.ts'
import { createEngine, engineMigrations, olga } from '../../test/support/engine.ts'
import { newPaymentsKey } from '../../test/support/leaky-project.ts'
import { openWorld } from '../../test/support/world.ts'
import { matchGoal } from '../catalogue/index.ts'
import { shippedConnectors } from '../connectors/index.ts'
import type { FileTree, TreeEntry } from '../core/index.ts'
import { createScanner } from '../scan/index.ts'
import { readFileAction, readFileFlow } from './read-file.ts'

const sha = 'a1'.repeat(20)
const flow = readFileFlow({
  connections: async () => [
    { name: 'github', connector: 'github', secretPath: 'secret/hub' },
    { name: 'releases', connector: 'slack', secretPath: null },
  ],
  factsOf: (name) => shippedConnectors.flatMap(({ actions }) => actions).find((one) => one.name === name),
})
const base = { repository: 'team/shop', sha, path: 'src/shop.ts' }
const planOf = (more: { [name: string]: Json | undefined } = {}) =>
  flow.plan(flow.input.parse(JSON.parse(JSON.stringify({ ...base, ...more }))) as Json, olga)

type Files = { readonly [path: string]: string | Buffer }

async function* treeOf(files: Files): FileTree {
  for (const [path, content] of Object.entries(files)) {
    const bytes = Buffer.from(content)
    const body = (async function* () {
      yield bytes.subarray(0, 3)
      yield bytes.subarray(3)
    })()
    const entry: TreeEntry = path.endsWith('/')
      ? { kind: 'directory', path: path.slice(0, -1) }
      : path.endsWith('@')
        ? { kind: 'link', path: path.slice(0, -1), target: String(content) }
        : { kind: 'file', path, size: bytes.length, executable: false, body }
    yield entry
  }
}

const scanner = createScanner({ fingerprintKey: createDraws('read-file').bytes(32), threads: 'never' })

function reader(files: Files) {
  const action = readFileAction({
    artifacts: {
      async open(runId, { id }) {
        assert.deepEqual([runId, id], ['run_1', 'art_1'], 'of its own run alone')
        return treeOf(files)
      },
    },
    scanner: async () => scanner,
  })
  const argsOf = (path: string, more: object): Json =>
    action.input?.parse({ artifact: { id: 'art_1', digest: 'd' }, path, ...more }) as Json
  const about = { runId: 'run_1', taskId: 'read', requestedBy: 'person:olga' }
  return {
    async read(path: string, more: object = {}) {
      const { output } = await action.execute({ ...about, args: argsOf(path, more) } as never)
      return output as { text: string | null; takenOut: number; sizeBytes: number }
    },
    preview: (path: string) => action.preview?.(argsOf(path, {}), about),
  }
}

test('WORK-3: a file of a commit, or of the head of a pull request, is read by two or three tasks', async (t) => {
  const { connectors } = await openConnectorWorld(t, shippedConnectors)
  const unconnected = connectors.actions.map(({ offered: _about, preview: _look, ...action }) => action)
  const own = readFileAction({ artifacts: { open: async () => treeOf({}) }, scanner: async () => scanner })
  const engine = createEngine(await openWorld(t, engineMigrations), { actions: [...unconnected, own] })
  const shownOf = async (more: { [name: string]: Json | undefined }) =>
    (await engine.workflow.planning.preview(await planOf(more), olga)).tasks.map(({ id }) => id)
  assert.deepEqual(await shownOf({}), ['checkout', 'read'])
  assert.deepEqual(await shownOf({ sha: undefined, pullRequest: 7 }), ['fetch', 'checkout', 'read'])
  const asking = await planOf({ ask: true })
  assert.deepEqual(
    asking.tasks.map(({ id, approval, secrets }) => [id, approval?.target, secrets]),
    [
      ['checkout', undefined, ['secret/hub']],
      ['read', 'team/shop: src/shop.ts', []],
    ],
  )
})

test('WORK-3: a path out of the files, no commit, and no connection to GitHub are refused', async () => {
  const bad: { [name: string]: Json | undefined }[] = [
    ...['/etc/passwd', '../other', 'a/../../b', 'a//b', './a', 'a\\b', 'a\0b', ''].map((path) => ({ path })),
    { sha: 'main' },
    { sha: undefined },
    { pullRequest: 7 },
    { repository: 'shop' },
    { mostBytes: 10_000_000 },
  ]
  for (const more of bad)
    assert.equal(flow.input.safeParse({ ...base, ...more }).success, false, JSON.stringify(more))
  await assert.rejects(planOf({ github: 'none' }), { code: 'run.plan_invalid' })
  await assert.rejects(planOf({ github: 'releases' }), { code: 'run.plan_invalid' })
})

test('WORK-3: a file is read whole; what is too large, no file or not there is refused', async () => {
  const { read } = reader({
    'src/': '',
    'src/shop.ts': 'sell more — now\n',
    'out@': '/etc/passwd',
    large: 'x'.repeat(100),
  })
  assert.deepEqual(await read('src/shop.ts'), {
    path: 'src/shop.ts',
    sizeBytes: 18,
    text: 'sell more — now\n',
    takenOut: 0,
  })
  await assert.rejects(read('large', { mostBytes: 99 }), { code: 'task.failed', detail: /has 100 bytes/ })
  assert.equal((await read('large', { mostBytes: 100 })).sizeBytes, 100)
  await assert.rejects(read('src'), { code: 'task.failed', detail: /is a directory/ })
  await assert.rejects(read('out'), { code: 'task.failed', detail: /is a link/ })
  await assert.rejects(read('none'), { code: 'task.failed', detail: /there is no file none/ })
  assert.throws(() => reader({}).preview('../out'), /path/)
})

test('WORK-3: what is no text is said to be none, and none of it is shown', async () => {
  const { read, preview } = reader({
    picture: Buffer.from([0x89, 0x50, 0, 1, 2]),
    latin: Buffer.from([0x63, 0x61, 0x66, 0xe9]),
    wide: Buffer.from('\ufeffkey', 'utf16le'),
  })
  for (const name of ['picture', 'latin', 'wide']) assert.equal((await read(name)).text, null, name)
  assert.deepEqual(await preview('picture'), { path: 'picture', sizeBytes: 5, kind: 'not text', takenOut: 0 })
})

test('SCAN-1: what looks like a secret is taken out of what is read, also out of the question', async () => {
  const [one, two] = [newPaymentsKey(), newPaymentsKey()]
  const halves = [two.slice(0, 20), two.slice(20)]
  const encoded = Buffer.from(`STRIPE_KEY=${two}`).toString('base64')
  const { read, preview } = reader({
    '.env': `A=1\nSTRIPE_KEY=${one}\nSTRIPE_OTHER=${two}\nB=ünï\n`,
    'split.ts': `export const stripeKey =\n  '${halves[0]}' +\n  '${halves[1]}'\n\nexport const a = 1\n`,
    'encoded.yaml': `data:\n  config: ${encoded}\n`,
  })
  const plain = await read('.env')
  assert.deepEqual(
    [plain.text, plain.takenOut],
    ['A=1\nSTRIPE_KEY=[secret]\nSTRIPE_OTHER=[secret]\nB=ünï\n', 2],
  )
  assert.deepEqual(Object(await preview('.env')).takenOut, 2)
  const split = (await read('split.ts')).text ?? ''
  for (const half of halves) assert.ok(!split.includes(half), split)
  assert.match(split, /export const stripeKey[\s\S]*\[secret\]\n\nexport const a = 1\n$/)
  assert.ok(!((await read('encoded.yaml')).text ?? '').includes(encoded))
})

test('WORK-3: a goal means it', () => {
  const words = [
    `read src/shop.ts of team/shop at ${sha}`,
    `show the file src/shop.ts of team/shop in commit ${sha}`,
    'read src/shop.ts of team/shop in pull request 7',
  ]
  for (const text of words) assert.equal(matchGoal(text, [flow]).kind, 'one', text)
})
