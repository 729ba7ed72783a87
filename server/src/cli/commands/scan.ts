import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import {
  createScanner,
  type Format,
  formatFindings,
  formats,
  groupByFingerprint,
  type RawFinding,
  type ScanEvent,
} from '../../scan/index.ts'
import { baselineOf } from '../baseline.ts'
import { localCommand } from '../command.ts'
import { exitError, exitNegative } from '../exit-code.ts'
import { fingerprintKey } from '../fingerprint-key.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable } from '../printable.ts'
import { writePrivateFile } from '../private-file.ts'
import { createProgress } from '../progress.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'cwd' | 'answer'>
type ScanOptions = {
  readonly json?: boolean
  readonly format?: Format
  readonly output?: string
  readonly baseline?: string
  readonly history: boolean
  readonly dangling?: boolean
  readonly ignoreFiles: boolean
  readonly strict?: boolean
}

export function scanCommand(needs: Needs): Command {
  return localCommand({
    usage: 'scan [path]',
    summary: 'Find secrets in a folder and its git history, on this machine',
    details:
      'No server is asked and nothing leaves this machine. Values are masked in every format. A path of - reads standard\n' +
      'input. Exit code 0 none found, 1 found, 2 error. What cannot be read is told on standard error.',
    examples: [
      'keyward scan .',
      'keyward scan ~/shop --format sarif --output results.sarif',
      'keyward scan . --json > baseline.json && keyward scan . --baseline baseline.json',
      'git diff --cached | keyward scan -',
    ],
  })
    .addOption(new Option('--format <format>', 'of the result (default: table)').choices(formats))
    .option('--output <file>', 'write the result to a file')
    .option('--baseline <file>', 'findings of an earlier scan (json, jsonl or sarif) that are not told again')
    .option('--no-history', 'leave the git history out')
    .option('--dangling', 'also what only the reflog still reaches')
    .option('--no-ignore-files', 'also what .gitignore and .keywardignore leave out')
    .option('--strict', 'exit code 2 when something could not be read')
    .action(async (path: string | undefined, options: ScanOptions) => {
      const { findings, problems } = await scanned(needs, path ?? '.', options)
      const text = formatFindings(
        options.format ?? (options.json ? 'json' : 'table'),
        groupByFingerprint(findings),
      )
      if (options.output === undefined) needs.terminal.write(text)
      else await writePrivateFile(resolve(needs.cwd, options.output), text)
      if (findings.length > 0) needs.answer(exitNegative)
      if (problems > 0 && options.strict) needs.answer(exitError)
    })
}

type Result = { readonly findings: readonly RawFinding[]; readonly problems: number }

async function scanned(needs: Needs, path: string, options: ScanOptions): Promise<Result> {
  const { terminal } = needs
  const findings: RawFinding[] = []
  let problems = 0
  const progress = createProgress(terminal)
  for await (const event of await eventsOf(needs, path, options)) {
    if (event.kind === 'finding') findings.push(event.finding)
    else if (event.kind === 'progress') progress.show(progressText(event, findings.length))
    else {
      problems += 1
      progress.clear()
      terminal.note(`keyward: not scanned: ${printable(`${event.file}: ${event.reason}`)}`)
    }
  }
  progress.clear()
  return { findings, problems }
}

async function eventsOf(needs: Needs, path: string, options: ScanOptions): Promise<AsyncIterable<ScanEvent>> {
  const { env, cwd, terminal } = needs
  const key = await fingerprintKey(env, terminal.note)
  const scanner = createScanner({ fingerprintKey: key, searchPath: env['PATH'] ?? '' })
  const baseline = await readBaseline(cwd, options.baseline)
  if (path === '-') return scanner.text('-', await buffer(terminal.input), { baseline })
  const { history, dangling = false, ignoreFiles } = options
  return scanner.project(resolve(cwd, path), { history, dangling, ignoreFiles, baseline })
}

async function readBaseline(cwd: string, file: string | undefined): Promise<ReadonlySet<string>> {
  if (file === undefined) return new Set()
  const fingerprints = baselineOf(await readFile(resolve(cwd, file), 'utf8'))
  if (fingerprints) return fingerprints
  throw new AppError(
    'request.invalid',
    `${file} is not the result of a scan. Use --format json, jsonl or sarif`,
  )
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
