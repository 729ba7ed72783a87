import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { createFullEngine } from '../full-engine.ts'
import { type Crew, createGrowingCrew, createLoneCrew, createThreadedCrew } from './crew.ts'
import { createLooker, type Job, type Looked } from './job.ts'

const draws = createDraws('crew')
const blueprint = { fingerprintKey: draws.bytes(32), rules: { detectors: [], only: false } }
const newToken = draws.vaultToken
const looker = createLooker(createFullEngine(blueprint))
const lone = createLoneCrew(() => looker)
const threaded = createThreadedCrew({ blueprint, hands: 2 })
const growing = createGrowingCrew(() => looker, { blueprint, hands: 1 })

async function folder(t: TestContext, files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'keyward-crew-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  for (const [name, contents] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), contents)
  }
  return root
}

async function* jobsOf(root: string, names: readonly string[], size = 3): AsyncGenerator<Job> {
  for (let at = 0; at < names.length; at += size)
    yield { kind: 'files', root, items: names.slice(at, at + size), problems: [] }
}

async function all(crew: Crew, jobs: AsyncIterable<Job>, signal?: AbortSignal): Promise<Looked[]> {
  const looked: Looked[] = []
  for await (const some of crew.look(jobs, signal)) looked.push(...some)
  return looked
}

const problemsOf = (looked: readonly Looked[]): string[] =>
  looked.flatMap(({ problems }) => problems.map(({ file, reason }) => `${file}: ${reason}`))

for (const [name, crew] of Object.entries({ lone, threaded, growing })) {
  test(`DISC-1: what a ${name} crew finds comes in the order of the files, values and places whole`, async (t) => {
    const tokens = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`f${1000 + i}.txt`, newToken()]))
    const names = Object.keys(tokens).sort()
    const root = await folder(t, tokens)
    const looked = await all(crew, jobsOf(root, [...names, 'gone.txt']))
    const findings = looked.flatMap((one) => one.findings)
    assert.deepEqual(
      findings.map(({ place, value }) => [place.file, place.line, value.reveal()]),
      names.map((file) => [file, 1, tokens[file]]),
    )
    assert.deepEqual(problemsOf(looked), ['gone.txt: no such file or directory (ENOENT)'])
  })

  test(`DISC-1: bytes that a ${name} crew is given are told with their commit`, async () => {
    const value = newToken()
    const text = Buffer.from(`x\n${value}\n`)
    const bytes = new Uint8Array(text.length)
    bytes.set(text)
    const commit = { id: 'a'.repeat(40), author: 'Ada', committedAt: new Date(5) }
    const items = [{ start: 2, end: text.length, file: 'a.txt', line: 7, commit }]
    const one = async function* (): AsyncGenerator<Job> {
      yield { kind: 'passages', bytes, items }
    }
    const [finding] = (await all(crew, one())).flatMap(({ findings }) => findings)
    assert.equal(finding?.value.reveal(), value)
    assert.deepEqual(
      [finding?.place.line, finding?.place.commit, finding?.place.committedAt],
      [7, commit.id, commit.committedAt],
    )
  })

  test(`DISC-1: a ${name} crew can be called off, before and during its work`, async (t) => {
    const root = await folder(t, { 'a.txt': newToken() })
    const forever = async function* (): AsyncGenerator<Job> {
      for (;;) yield { kind: 'files', root, items: ['a.txt'], problems: [] }
    }
    await assert.rejects(all(crew, forever(), AbortSignal.abort()), { name: 'AbortError' })
    const controller = new AbortController()
    let seen = 0
    const counting = async (): Promise<void> => {
      for await (const _ of crew.look(forever(), controller.signal)) if (++seen === 20) controller.abort()
    }
    await assert.rejects(counting(), { name: 'AbortError' })
  })
}

test('a failure of whoever lists the files ends the scan, and is told', async () => {
  const failing = async function* (): AsyncGenerator<Job> {
    yield { kind: 'files', root: '/', items: [], problems: [] }
    throw new Error('the list broke')
  }
  for (const crew of [lone, threaded, growing])
    await assert.rejects(all(crew, failing()), { message: 'the list broke' })
})

/** A thread that ends, or never ends, at files of certain names. */
const fragile = new URL(
  `data:text/javascript,${encodeURIComponent(`
  import { parentPort, workerData } from 'node:worker_threads'
  const signs = new Int32Array(workerData.signs)
  parentPort.on('message', ({ number, job, passedOver }) => {
    const looked = job.items.map((file, index) => {
      if (file.startsWith('early')) process.exit(1)
      Atomics.store(signs, 2, number)
      Atomics.store(signs, 0, index)
      const reason = passedOver.get(index)
      if (reason === undefined && file.startsWith('deadly')) process.exit(1)
      if (reason === undefined && file.startsWith('endless')) for (;;);
      if (reason === undefined && file.startsWith('greedy')) for (const all = [];;) all.push([...all, file])
      const problems = reason === undefined ? [] : [{ file, reason }]
      return { isFile: true, findings: [], problems, bytesScanned: 1 }
    })
    parentPort.postMessage({ number, packed: looked })
  })`)}`,
)

test('DISC-1: a thread that dies is told for its file and replaced; every other file is looked through', async () => {
  const crew = createThreadedCrew({
    blueprint,
    hands: 2,
    main: fragile,
    silentSeconds: 0.5,
    heapMegabytes: 16,
  })
  const names = ['a', 'deadly-1', 'b', 'deadly-2', 'c', 'endless', 'd', 'greedy', 'e']
  const looked = await all(crew, jobsOf('/', names))
  assert.equal(looked.length, names.length)
  assert.deepEqual(problemsOf(looked), [
    'deadly-1: the thread that looked through it ended',
    'deadly-2: the thread that looked through it ended',
    'endless: looking through it took more than 0.5 seconds',
    'greedy: it needs more memory than a scan may use',
  ])
})

test('a thread that cannot even begin ends the scan, not in silence and not over and over', async () => {
  const crew = createThreadedCrew({ blueprint, hands: 1, main: fragile })
  await assert.rejects(all(crew, jobsOf('/', ['early'])), /ended before it began/)
})
