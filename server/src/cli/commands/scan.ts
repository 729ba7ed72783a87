import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import { formatFindings, formats, groupByFingerprint } from '../../scan/index.ts'
import { localCommand, wholeNumber } from '../command.ts'
import { exitError, exitNegative } from '../exit-code.ts'
import { writePrivateFile } from '../private-file.ts'
import { explainCommand } from '../scan/explain.ts'
import { confidences, type ScanOptions, type Source, sourceOf } from '../scan/request.ts'
import { openScannedCommits } from '../scan/scanned-commits.ts'
import {
  eventsOf,
  folderOf,
  gather,
  isAtLeast,
  prepareScan,
  type Result,
  type ScanNeeds,
  type Scanning,
} from '../scan/scanning.ts'
import { scheduleCommand } from '../scan/schedule.ts'
import { watchProject } from '../scan/watch.ts'

export function scanCommand(needs: ScanNeeds): Command {
  const command = localCommand({
    usage: 'scan [path]',
    summary: 'Find secrets in a folder and its git history, on this machine',
    details:
      'No server is asked and nothing leaves this machine. Values are masked in every format. A path of - reads standard\n' +
      'input. Exit code 0 none found, 1 found, 2 error. What cannot be read is told on standard error.',
    examples: [
      'keyward scan .',
      'keyward scan ~/shop --format sarif --output results.sarif',
      'keyward scan . --format baseline --output .keyward-baseline',
      'keyward scan --staged --baseline .keyward-baseline',
      'keyward scan --this-user --confidence medium',
      'git diff --cached | keyward scan -',
    ],
  })
    .addOption(new Option('--format <format>', 'of the result (default: table)').choices(formats))
    .option('--output <file>', 'write the result to a file')
    .option('--staged', 'what the next commit would add')
    .option(
      '--files-from <file>',
      'files that a file names, one a line or NUL-separated; - is standard input',
    )
    .option('--environment', 'the variables of this shell')
    .option('--pid <n>', 'the environment of a process', wholeNumber(1, 2 ** 31))
    .option('--this-user', 'what the tools of a developer keep in your home folder')
    .option('--baseline <file>', 'findings of an earlier scan (baseline, json, jsonl, sarif), not told again')
    .option('--config <file>', 'settings (default: the nearest .keyward.toml)')
    .addOption(new Option('--confidence <least>', 'tell what is at least so sure').choices(confidences))
    .addOption(new Option('--fail-on <least>', 'exit code 1 only from here on').choices(confidences))
  return command
    .option('--no-history', 'leave the git history out')
    .option('--new-commits', 'of the history only what no scan with this option has seen')
    .option('--state <file>', 'where --new-commits keeps what it has seen')
    .option('--dangling', 'also what only the reflog still reaches')
    .option('--no-ignore-files', 'also what .gitignore, .keywardignore and .keyward.toml leave out')
    .option('--watch', 'stay, and tell what changed files bring')
    .option('--progress', 'tell on standard error how far the scan is, also where that is no terminal')
    .option('--no-progress', 'do not tell it')
    .option('--strict', 'exit code 2 when something could not be read')
    .enablePositionalOptions()
    .addCommand(explainCommand(needs))
    .addCommand(scheduleCommand(needs))
    .action(async (path: string | undefined, options: ScanOptions) => scan(needs, path, options))
}

async function scan(needs: ScanNeeds, path: string | undefined, options: ScanOptions): Promise<void> {
  const source = sourceOf(path, options)
  const scanning = await prepareScan(needs, folderOf(source, needs.cwd), options)
  if (options.watch) {
    if (source.kind !== 'project') throw new AppError('request.invalid', '--watch needs a folder')
    await watchProject(needs, scanning, resolve(needs.cwd, source.path))
    return
  }
  const result = await scanned(needs, scanning, source, options)
  await tell(needs, result, options)
}

/** With `--new-commits`, what was seen is kept once it has been told without a problem. */
async function scanned(
  needs: ScanNeeds,
  scanning: Scanning,
  source: Source,
  options: ScanOptions,
): Promise<Result> {
  const { history, dangling = false, ignoreFiles, newCommits, progress } = options
  const plain = { history, dangling, ignoreFiles }
  if (!newCommits || source.kind !== 'project')
    return gather(needs.terminal, await eventsOf(needs, scanning, source, plain), scanning.judge, progress)
  const seen = await openScannedCommits(needs, scanning, {
    ...options,
    path: resolve(needs.cwd, source.path),
  })
  const events = await eventsOf(needs, scanning, source, { ...plain, known: seen.known })
  const result = await gather(needs.terminal, events, scanning.judge, progress)
  if (result.problems === 0) await seen.keep()
  return result
}

async function tell(
  { terminal, cwd, answer }: ScanNeeds,
  { findings, ignored, problems }: Result,
  { format, json, output, failOn = 'low', strict }: ScanOptions,
): Promise<void> {
  const groups = groupByFingerprint(findings)
  const text = formatFindings(format ?? (json ? 'json' : 'table'), groups)
  if (output === undefined) terminal.write(text)
  else await writePrivateFile(resolve(cwd, output), text)
  if (ignored > 0)
    terminal.note(`keyward: ${ignored} ${ignored === 1 ? 'secret is' : 'secrets are'} ignored by settings.`)
  if (groups.some(({ confidence }) => isAtLeast(confidence, failOn))) answer(exitNegative)
  if (problems > 0 && strict) answer(exitError)
}
