import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { buffer, text as readText } from 'node:stream/consumers'
import { setFlagsFromString } from 'node:v8'
import { AppError, systemClock } from '../../core/index.ts'
import {
  createIgnoreList,
  createScanner,
  createSources,
  type RawFinding,
  type ScanEvent,
  type Scanner,
  type Settings,
  type Sources,
} from '../../scan/index.ts'
import { fingerprintKey } from '../fingerprint-key.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable } from '../printable.ts'
import { createProgress } from '../progress.ts'
import { readSettings, settingsFileOf } from './project-settings.ts'
import type { Confidence, ScanOptions, Source } from './request.ts'

export type ScanNeeds = Pick<CommandNeeds, 'terminal' | 'env' | 'cwd' | 'answer' | 'version'>

/** A scan that is ready to run, with what its project and its options say. */
export type Scanning = {
  readonly scanner: Scanner
  readonly sources: Sources
  readonly settings: Settings
  readonly baseline: ReadonlySet<string>
  /** Whether a finding is to be told: sure enough, and nobody decided otherwise. */
  readonly judge: (finding: RawFinding) => 'told' | 'ignored' | 'unsure'
  readonly ignoredBy: ReturnType<typeof createIgnoreList>['entryFor']
}

type Options = Pick<ScanOptions, 'baseline' | 'config' | 'confidence' | 'ignoreFiles'>

export async function prepareScan(
  { terminal, env, cwd }: ScanNeeds,
  folder: string,
  options: Options,
): Promise<Scanning> {
  const named = settingsFileOf(cwd, options.config)
  const [key, settings, baseline] = await Promise.all([
    fingerprintKey(env, terminal.note),
    readSettings(folder, named),
    readBaseline(cwd, options.baseline),
  ])
  // What a scan makes is gone at once: its youngest memory need not grow, which saves a third of all.
  setFlagsFromString('--semi-space-growth-factor=1')
  const searchPath = env['PATH'] ?? ''
  const scanner = createScanner({
    fingerprintKey: key,
    searchPath,
    rules: { detectors: settings.detectors },
  })
  const ignores = createIgnoreList(
    options.ignoreFiles || named ? settings.ignores : [],
    new Date().toISOString().slice(0, 10),
  )
  for (const { line, reason, until } of ignores.expired)
    terminal.note(`keyward: .keyward.toml:${line}: held until ${until}: ${printable(reason)}`)
  const least = rankOf[options.confidence ?? 'low']
  return {
    scanner,
    sources: createSources({ scanner, searchPath }),
    settings,
    baseline,
    ignoredBy: ignores.entryFor,
    judge: (finding) => {
      if (rankOf[finding.confidence] < least) return 'unsure'
      return ignores.entryFor(finding) ? 'ignored' : 'told'
    },
  }
}

const rankOf: Record<Confidence, number> = { high: 2, medium: 1, low: 0 }

export const isAtLeast = (confidence: Confidence, least: Confidence): boolean =>
  rankOf[confidence] >= rankOf[least]

async function readBaseline(cwd: string, file: string | undefined): Promise<ReadonlySet<string>> {
  if (file === undefined) return new Set()
  const { baselineOf } = await import('../baseline.ts')
  const fingerprints = baselineOf(await readFile(resolve(cwd, file), 'utf8'))
  if (fingerprints) return fingerprints
  throw new AppError(
    'request.invalid',
    `${file} is not the result of a scan. Use --format baseline, json, jsonl or sarif`,
  )
}

/** Where the settings of a source are looked for. */
export function folderOf(source: Source, cwd: string): string {
  return source.kind === 'project' || source.kind === 'staged' ? resolve(cwd, source.path) : cwd
}

export async function eventsOf(
  { terminal, env, cwd }: ScanNeeds,
  { scanner, sources, baseline }: Scanning,
  source: Source,
  history: { history: boolean; dangling: boolean; ignoreFiles: boolean; known?: readonly string[] },
): Promise<AsyncIterable<ScanEvent>> {
  switch (source.kind) {
    case 'project':
      return scanner.project(resolve(cwd, source.path), { ...history, baseline })
    case 'staged': {
      const indexFile = env['GIT_INDEX_FILE']
      return sources.staged(resolve(cwd, source.path), {
        baseline,
        ...(indexFile && { indexFile: resolve(cwd, indexFile) }),
      })
    }
    case 'input':
      return scanner.text('-', await buffer(terminal.input), { baseline })
    case 'list': {
      const names =
        source.from === '-'
          ? await readText(terminal.input)
          : await readFile(resolve(cwd, source.from), 'utf8')
      return sources.fileList(names, cwd, { baseline })
    }
    case 'environment':
      return sources.variables(env, { baseline })
    case 'process':
      return sources.process(source.pid, { baseline })
    case 'user':
      return sources.user(env['HOME'] || homedir(), { baseline })
  }
}

export type Result = {
  readonly findings: readonly RawFinding[]
  /** Fingerprints that the settings of the project hide. */
  readonly ignored: number
  readonly problems: number
}

/** Goes through the events, with progress and problems on standard error. */
export async function gather(
  terminal: ScanNeeds['terminal'],
  events: AsyncIterable<ScanEvent>,
  judge: Scanning['judge'],
  asked: boolean | undefined,
): Promise<Result> {
  const findings: RawFinding[] = []
  const ignored = new Set<string>()
  let problems = 0
  const progress = createProgress(terminal, systemClock, asked)
  for await (const event of events) {
    if (event.kind === 'finding') {
      const verdict = judge(event.finding)
      if (verdict === 'told') findings.push(event.finding)
      else if (verdict === 'ignored') ignored.add(event.finding.fingerprint)
    } else if (event.kind === 'progress') progress.show(progressText(event, findings.length))
    else {
      problems += 1
      progress.clear()
      terminal.note(`keyward: not scanned: ${printable(`${event.file}: ${event.reason}`)}`)
    }
  }
  progress.end()
  return { findings, ignored: ignored.size, problems }
}

type Progress = Extract<ScanEvent, { kind: 'progress' }>

function progressText(
  { filesScanned, filesTotal, bytesScanned, commitsScanned }: Progress,
  found: number,
): string {
  const files = `${filesScanned}${filesTotal === null ? '' : ` of ${filesTotal}`} files`
  const size = `${(bytesScanned / 1e6).toFixed(1)} MB`
  return `Scanned ${files}, ${size}${commitsScanned ? `, ${commitsScanned} commits` : ''}; ${found} found`
}
