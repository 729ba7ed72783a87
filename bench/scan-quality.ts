// How well generic secrets are found: `node bench/scan-quality.ts [tuning|unseen] [--misses] [--tree FOLDER]`. The set is
// generated; precision, recall and F1 are printed for each class, for Keyward and for gitleaks, betterleaks, kingfisher
// and detect-secrets when they are on the path. `--tree` counts what is reported in a folder in which nothing is secret,
// such as the packages of a registry. Prints JSON.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { stderr, stdout } from 'node:process'
import { parseArgs } from 'node:util'
import { createScanner, type RawFinding } from '../server/src/scan/index.ts'
import { generate, type LabelledFile, type Mark } from './quality/generate.ts'
import type { Part } from './quality/values.ts'

/** What a scanner said: a line of a file. */
type Report = { readonly path: string; readonly line: number }
type Peer = (folder: string, scratch: string) => Report[] | undefined

async function findingsBelow(folder: string): Promise<RawFinding[]> {
  const scanner = createScanner({ fingerprintKey: Buffer.alloc(32, 1) })
  const findings: RawFinding[] = []
  for await (const event of scanner.directory(folder, { ignoreFiles: false, skipFolders: [] })) {
    if (event.kind === 'finding') findings.push(event.finding)
  }
  return findings
}

const linesOf = ({ place: { file, line, endLine } }: RawFinding): Report[] =>
  Array.from({ length: endLine - line + 1 }, (_, at) => ({ path: file, line: line + at }))

type Located = { location: { path: string; start_line: number } }
type LeakRecord = { File: string; StartLine: number }
const leaks =
  (name: string, args: readonly string[]): Peer =>
  (folder, scratch) => {
    const report = join(scratch, `${name}.json`)
    const run = spawnSync(name, [...args, '--exit-code', '0', '-f', 'json', '-r', report, folder], {
      stdio: 'ignore',
    })
    if (run.error) return
    const records = JSON.parse(readFileSync(report, 'utf8')) as LeakRecord[]
    return records.map(({ File, StartLine }) => ({ path: relative(folder, File), line: StartLine }))
  }

const peers: Record<string, Peer> = {
  gitleaks: leaks('gitleaks', ['dir', '--no-banner']),
  betterleaks: (folder, scratch) => {
    const report = join(scratch, 'betterleaks.json')
    const run = spawnSync('betterleaks', ['--no-banner', '--silent', '--exit-code=0', '-o', report, folder], {
      stdio: 'ignore',
    })
    if (run.error) return
    const { findings } = JSON.parse(readFileSync(report, 'utf8')) as { findings: Located[] }
    return findings.map(({ location }) => ({
      path: relative(folder, location.path),
      line: location.start_line,
    }))
  },
  kingfisher: (folder, scratch) => {
    const report = join(scratch, 'kingfisher.jsonl')
    const quiet = ['--no-validate', '--no-update-check', '--quiet', '--format', 'jsonl', '--output', report]
    const run = spawnSync('kingfisher', ['scan', ...quiet, folder], { stdio: 'ignore' })
    if (run.error) return
    return readFileSync(report, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"rule"'))
      .map((line) => (JSON.parse(line) as { finding: { path: string; line: number } }).finding)
      .map(({ path, line }) => ({ path: relative(folder, path), line }))
  },
  'detect-secrets': (folder) => {
    const run = spawnSync('detect-secrets', ['scan', '--all-files', '--no-verify', folder], {
      encoding: 'utf8',
      maxBuffer: 1e8,
      cwd: folder,
    })
    if (run.error) return
    const { results } = JSON.parse(run.stdout) as { results: Record<string, { line_number: number }[]> }
    return Object.entries(results).flatMap(([file, found]) =>
      found.map(({ line_number }) => ({
        path: file.startsWith('/') ? relative(folder, file) : file,
        line: line_number,
      })),
    )
  },
}

type Count = { found: number; secrets: number; false: number; harmless: number }
const share = (part: number, whole: number): number =>
  whole === 0 ? 0 : Math.round((1000 * part) / whole) / 1000

/** A line counts once: found when any report names it. */
function score(files: readonly LabelledFile[], reports: readonly Report[]): Score {
  const named = new Set(reports.map(({ path, line }) => `${path}:${line}`))
  const isNamed = (path: string, { line, endLine }: Mark): boolean =>
    Array.from({ length: endLine - line + 1 }, (_, at) => `${path}:${line + at}`).some((at) => named.has(at))
  const judged = files.flatMap((file) =>
    file.marks.map((mark) => ({ file, mark, hit: isNamed(file.path, mark) })),
  )
  const classes = new Map<string, Count>()
  for (const { mark, hit } of judged) {
    const count = classes.get(mark.class) ?? { found: 0, secrets: 0, false: 0, harmless: 0 }
    classes.set(mark.class, count)
    count[mark.secret ? 'secrets' : 'harmless']++
    if (hit) count[mark.secret ? 'found' : 'false']++
  }
  const wrong = judged
    .filter(({ mark, hit }) => hit !== mark.secret)
    .map(({ file: { path, text }, mark }) => {
      const lines = text.split('\n').slice(mark.line - 1, mark.endLine)
      return { mark, path, text: lines.join('⏎') }
    })
  return { ...total([...classes.values()]), classes: byClass(classes), wrong }
}

type Wrong = { mark: Mark; path: string; text: string }
type Figures = { precision: number; recall: number; f1: number }
type Score = Figures & { classes: Record<string, string>; wrong: Wrong[] }

function total(counts: readonly Count[]): Figures {
  const sum = (of: keyof Count): number => counts.reduce((all, count) => all + count[of], 0)
  const precision = share(sum('found'), sum('found') + sum('false'))
  const recall = share(sum('found'), sum('secrets'))
  return { precision, recall, f1: share(2 * precision * recall, precision + recall) }
}

/** A class of secrets has a recall; a class of what only looks like one has a share of false alarms. */
function byClass(classes: ReadonlyMap<string, Count>): Record<string, string> {
  const sorted = [...classes].sort(([a], [b]) => a.localeCompare(b))
  return Object.fromEntries(
    sorted.map(([name, { found, secrets, false: wrong, harmless }]) => [
      name,
      secrets > 0
        ? `recall ${share(found, secrets)} of ${secrets}`
        : `false alarms ${share(wrong, harmless)} of ${harmless}`,
    ]),
  )
}

async function compare(part: Part, showMisses: boolean): Promise<unknown> {
  const files = generate(part)
  const folder = mkdtempSync(join(tmpdir(), 'keyward-quality-'))
  const scratch = mkdtempSync(join(tmpdir(), 'keyward-quality-'))
  try {
    for (const { path, text } of files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    const { wrong, ...keyward } = score(files, (await findingsBelow(folder)).flatMap(linesOf))
    if (showMisses) {
      for (const { mark, path, text } of wrong)
        stderr.write(
          `${mark.secret ? 'missed' : 'false '} ${mark.class} [${mark.family}] ${path}: ${text.trim()}\n`,
        )
    }
    const others = Object.entries(peers).map(([name, run]) => {
      const reports = run(folder, scratch)
      if (!reports) return [name, 'not on the path']
      const { wrong: _, ...figures } = score(files, reports)
      return [name, figures]
    })
    return { lines: files.flatMap(({ marks }) => marks).length, keyward, ...Object.fromEntries(others) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
    rmSync(scratch, { recursive: true, force: true })
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { misses: { type: 'boolean' }, tree: { type: 'string' } },
})
const [chosen] = positionals
const parts: readonly Part[] = chosen === 'tuning' || chosen === 'unseen' ? [chosen] : ['tuning', 'unseen']
const report: Record<string, unknown> = {}
if (values.tree === undefined) {
  for (const part of parts) report[part] = await compare(part, values.misses ?? false)
} else {
  const rules: Record<string, number> = {}
  for (const { rule, confidence, place } of await findingsBelow(values.tree)) {
    rules[`${rule} ${confidence}`] = (rules[`${rule} ${confidence}`] ?? 0) + 1
    if (values.misses) stderr.write(`${rule} ${confidence} ${place.file}:${place.line}\n`)
  }
  report['tree'] = rules
}
stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
