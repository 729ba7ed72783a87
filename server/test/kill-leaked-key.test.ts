// kill -9 at every boundary of the real leaked-key flow: real vault, findings and files, and the sandboxed agent where it can run.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import type { SandboxProbe } from '../src/sandbox/sandbox.ts'
import { createDraws } from './support/draws.ts'
import { openUpstream } from './support/egress.ts'
import { newPaymentsKey } from './support/leaky-project.ts'
import { scratchFolder } from './support/server.ts'

const program = join(import.meta.dirname, 'support', 'killed-keyward.ts')
const draws = createDraws('killed leaked key')
const host = 'payments.example.test'
/** So many data folders at once: most of the time of each goes into waiting for the disk. */
const lanes = 3

type Project = { folder: string; before: Record<string, string>; after: Record<string, string> }
type Report = {
  states: string[]
  moved: Record<string, string>
  undone: string[]
  versions: Record<string, number>
  activeLeases: number
  chain: { verified: boolean; problems: unknown[] }
}

function makeProject(parent: string, name: string): Project {
  const folder = join(parent, name)
  mkdirSync(folder)
  const written = (key: string, password: string): Record<string, string> => ({
    '.env': `PORT=80\nSTRIPE_KEY=${key}\n`,
    'shop.yaml': `stripe:\n  stripe_key: "${key.replaceAll('"', '')}"\ndatabase:\n  db_password: "${password.replaceAll('"', '')}"\n`,
  })
  const before = written(newPaymentsKey(), draws.text(24))
  for (const [file, text] of Object.entries(before)) writeFileSync(join(folder, file), text)
  const reference = (secret: string): string => `"keyward://secret/${name}/${secret}#value"`
  return { folder, before, after: written(reference('stripe-key'), reference('db-password')) }
}

const contentOf = ({ folder }: Project): Record<string, string> =>
  Object.fromEntries(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), 'utf8')]))

/** What its sandboxes hold is the same for every process here: the first measures it. */
type World = {
  base: string
  cache: string
  upstream: { address: string; caPem: string }
  sandboxFound: SandboxProbe | undefined
}
type End = { passed: string[]; sandboxFound?: SandboxProbe }
type Ended = End & { report: Report; killed: boolean }

/** A process that heals and undoes what earlier ones left in `base`, then goes on until the boundary `killAt`. */
async function runChild(
  world: World,
  project: Project,
  earlier: readonly Project[],
  killAt: string,
): Promise<Ended> {
  const { base, cache, upstream, sandboxFound } = world
  const settings = join(base, 'settings.json')
  const folders = {
    dataDir: join(base, 'data'),
    project: project.folder,
    earlier: earlier.map(({ folder }) => folder),
  }
  writeFileSync(settings, JSON.stringify({ ...folders, upstream: { host, ...upstream }, sandboxFound }))
  const env = { ...process.env, NODE_COMPILE_CACHE: cache }
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [program, settings, killAt], { env }, (error, stdout, stderr) => {
      const killed = error?.signal === 'SIGKILL'
      if (error && !killed) return reject(new Error(`on the way to '${killAt}': ${stderr}`))
      const [report = '', end] = stdout.split('\n')
      resolve({
        report: JSON.parse(report) as Report,
        killed,
        ...(JSON.parse(end || '{"passed":[]}') as End),
      })
    })
  })
}

/** Kills at one boundary after another, each time in a new run of the same data folder. Returns how many kills there were. */
async function killAtEach(world: World, boundaries: readonly string[]): Promise<number> {
  const projects: Project[] = []
  let kills = 0
  for (const [i, killAt] of [...boundaries, 'none'].entries()) {
    const project = makeProject(world.base, `p${i}`)
    const { report, killed } = await runChild(world, project, projects, killAt)
    checkHealed(report, projects, `after a kill at ${boundaries[i - 1] ?? 'nothing'}`)
    checkWhole(project, killAt)
    projects.push(project)
    if (killed) kills++
  }
  return kills
}

test('WORK-2, DISC-5: killed at every boundary of a leaked key, nothing is lost, doubled or half done', async (t) => {
  const upstream = await openUpstream(t, (_, response) => response.end('{}'), host)
  const cache = scratchFolder(t, 'cache')
  const open = (sandboxFound?: SandboxProbe): World => ({
    base: scratchFolder(t),
    cache,
    upstream,
    sandboxFound,
  })
  const first = open()
  const { passed, sandboxFound } = await runChild(first, makeProject(first.base, 'p'), [], '')
  for (const place of [
    'written#1',
    'committing#1',
    'committed#1',
    'approve:previewed#1',
    'approve:asked#1',
    'approve:starting#1',
    'store-1:executed#1',
    'rewrite-2:executed#1',
    'before placing .env#1',
    'after placing .env#1',
    'before placing .env#2',
    'finish:completed#1',
  ])
    assert.ok(passed.includes(place), `no boundary '${place}': ${passed.join(', ')}`)
  const parts = Array.from({ length: lanes }, (_, lane) => passed.filter((_, i) => i % lanes === lane))
  const kills = (await Promise.all(parts.map((part) => killAtEach(open(sandboxFound), part)))).reduce(
    (sum, n) => sum + n,
    0,
  )
  // Tasks that run side by side can take turns: a boundary of the first run may be missing in another.
  assert.ok(kills > passed.length * 0.8, `${kills} kills at ${passed.length} boundaries`)
  t.diagnostic(`${kills} kills at ${passed.length} boundaries`)
})

/** What the next process found and finished, before it undid it all. */
function checkHealed(report: Report, projects: readonly Project[], where: string): void {
  assert.deepEqual([report.chain.problems, report.chain.verified], [[], true], where)
  assert.ok(
    report.states.every((state) => state === 'Succeeded'),
    `${where}: ${report.states}`,
  )
  assert.equal(report.activeLeases, 0, `${where}: a lease outlived its task`)
  const moved = Object.keys(report.moved).sort()
  assert.deepEqual(report.undone.toSorted(), moved, where)
  const paths = moved.flatMap((name) => [`secret/${name}/db-password`, `secret/${name}/stripe-key`])
  const once = Object.fromEntries(paths.map((path) => [path, 1]))
  assert.deepEqual(report.versions, once, `${where}: a secret was lost or stored twice`)
  for (const project of projects) assert.deepEqual(contentOf(project), project.before, where)
}

/** Right after the kill each file is the old one or the new one; beside them may lie what was about to become one. */
function checkWhole(project: Project, killAt: string): void {
  for (const [file, text] of Object.entries(contentOf(project))) {
    if (file.endsWith('.keyward-next')) continue
    const wanted = [project.before[file], project.after[file]]
    assert.ok(
      wanted.includes(text),
      `${killAt}: ${basename(project.folder)}/${file} is half-written: ${text}`,
    )
  }
}
