// kill -9 at every boundary of the real leaked-key flow: real vault, findings and files, and the sandboxed agent where it can run.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { openUpstream } from './support/egress.ts'
import { newPaymentsKey, randomText } from './support/leaky-project.ts'
import { scratchFolder } from './support/server.ts'

const program = join(import.meta.dirname, 'support', 'killed-keyward.ts')
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
  const before = written(newPaymentsKey(), randomText(24))
  for (const [file, text] of Object.entries(before)) writeFileSync(join(folder, file), text)
  const reference = (secret: string): string => `"keyward://secret/${name}/${secret}#value"`
  return { folder, before, after: written(reference('stripe-key'), reference('db-password')) }
}

const contentOf = ({ folder }: Project): Record<string, string> =>
  Object.fromEntries(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), 'utf8')]))

function runChild(
  settings: string,
  nth: number,
): Promise<{ line: string; killed: boolean; problem: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, settings, String(nth)], (error, stdout, stderr) => {
      const killed = error?.signal === 'SIGKILL'
      resolve({ line: stdout, killed, problem: error && !killed ? stderr : '' })
    })
  })
}

/** Kills at boundaries `first`, `first + lanes`, … of runs that follow one another in one data folder; returns their names. */
async function killEach(base: string, first: number, upstream: { address: string; caPem: string }) {
  const killedAt = join(base, 'killed-at.txt')
  const settings = join(base, 'settings.json')
  const projects: Project[] = []
  for (let nth = first; ; nth += lanes) {
    const project = makeProject(base, `p${nth}`)
    const earlier = projects.map(({ folder }) => folder)
    const wanted = { dataDir: join(base, 'data'), project: project.folder, earlier, killedAt }
    writeFileSync(settings, JSON.stringify({ ...wanted, upstream: { host, ...upstream } }))
    const { line, killed, problem } = await runChild(settings, nth)
    const where = `after boundary ${nth - lanes}`
    assert.equal(problem, '', where)
    checkHealed(JSON.parse(line) as Report, projects, where)
    if (!killed) return readFileSync(killedAt, 'utf8').trim().split('\n')
    checkWhole(project, nth)
    projects.push(project)
    assert.ok(nth < 400, 'a run has no end of boundaries')
  }
}

test('WORK-2, DISC-5: killed at every boundary of a leaked key, nothing is lost, doubled or half done', async (t) => {
  const upstream = await openUpstream(t, (_, response) => response.end('{}'), host)
  const firsts = Array.from({ length: lanes }, (_, lane) => lane + 1)
  const names = (await Promise.all(firsts.map((first) => killEach(scratchFolder(t), first, upstream)))).flat()
  for (const name of [
    'written',
    'committing',
    'committed',
    'approve:previewed',
    'approve:asked',
    'approve:starting',
    'store-1:executed',
    'rewrite-1:executed',
    'before placing .env',
    'after placing .env',
    'finish:completed',
  ])
    assert.ok(names.includes(name), `no kill at '${name}': ${names.join(', ')}`)
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
function checkWhole(project: Project, nth: number): void {
  for (const [file, text] of Object.entries(contentOf(project))) {
    if (file.endsWith('.keyward-next')) continue
    const wanted = [project.before[file], project.after[file]]
    assert.ok(
      wanted.includes(text),
      `boundary ${nth}: ${basename(project.folder)}/${file} is half-written: ${text}`,
    )
  }
}
