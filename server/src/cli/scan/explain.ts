import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { type GroupedFinding, groupByFingerprint, type RawFinding, type ScanEvent } from '../../scan/index.ts'
import { localCommand } from '../command.ts'
import { exitNegative } from '../exit-code.ts'
import { renderFacts } from '../table.ts'
import type { ScanOptions } from './request.ts'
import { prepareScan, type ScanNeeds, type Scanning } from './scanning.ts'

type Options = Pick<ScanOptions, 'json' | 'baseline' | 'config' | 'history'> & { readonly in: string }

export function explainCommand(needs: ScanNeeds): Command {
  return localCommand({
    usage: 'explain <finding>',
    summary: 'Why something is a finding, and whether it is told',
    details:
      'A finding is named by its fingerprint (kf1_…) or by its place, FILE:LINE. Exit code 1 when there is none.',
    examples: [
      'keyward scan explain src/settings.ts:12',
      'keyward scan explain kf1_0123456789abcdef0123456789abcdef --in ~/shop',
    ],
  })
    .option('--in <folder>', 'where a fingerprint is looked for', '.')
    .option('--no-history', 'not in the git history')
    .option('--baseline <file>', 'a baseline that may hide it')
    .option('--config <file>', 'settings (default: the nearest .keyward.toml)')
    .action(async (named: string, options: Options) => explain(needs, named, options))
}

async function explain(needs: ScanNeeds, named: string, options: Options): Promise<void> {
  const { terminal, cwd, answer } = needs
  const place = placeOf(named)
  const folder = resolve(cwd, place ? dirname(place.file) : options.in)
  const scanning = await prepareScan(needs, folder, { ...options, ignoreFiles: true })
  const { scanner } = scanning
  // What a baseline hides is explained too.
  const findings = place
    ? await findingsAt(scanner.directory(resolve(cwd, place.file), { ignoreFiles: false }), (finding) =>
        covers(finding, place.line),
      )
    : await findingsAt(
        scanner.project(folder, { history: options.history }),
        ({ fingerprint }) => fingerprint === named,
      )
  const groups = groupByFingerprint(findings)
  if (groups.length === 0) {
    answer(exitNegative)
    terminal.note(`keyward: ${place ? await nothingAt(cwd, place) : `nothing below ${folder} is ${named}.`}`)
  }
  const explained = groups.map((group) => explanationOf(group, findings, scanning))
  if (options.json) terminal.json(explained)
  else terminal.write(explained.map(renderExplanation).join('\n'))
}

type Spot = { readonly file: string; readonly line: number }

function placeOf(named: string): Spot | undefined {
  if (/^kf1_[0-9a-f]{32}$/.test(named)) return
  const [, file, line] = /^(.+):(\d{1,9})$/.exec(named) ?? []
  if (file !== undefined && Number(line) > 0) return { file, line: Number(line) }
  throw new AppError('request.invalid', `${named} is neither a fingerprint (kf1_…) nor a place (FILE:LINE)`)
}

const covers = ({ place }: RawFinding, line: number): boolean => place.line <= line && line <= place.endLine

async function findingsAt(
  events: AsyncIterable<ScanEvent>,
  fits: (finding: RawFinding) => boolean,
): Promise<RawFinding[]> {
  const found: RawFinding[] = []
  for await (const event of events)
    if (event.kind === 'finding' && fits(event.finding)) found.push(event.finding)
  return found
}

async function nothingAt(cwd: string, { file, line }: Spot): Promise<string> {
  const there = await stat(resolve(cwd, file)).catch(() => undefined)
  if (!there) throw new AppError('scan.path_unreadable', `${file} is not there`)
  return `no rule sees a secret at ${file}:${line}: no known form, or a value that is a reference, a placeholder or too plain, or the line says keyward:ignore.`
}

type Explanation = ReturnType<typeof explanationOf>

function explanationOf(
  group: GroupedFinding,
  findings: readonly RawFinding[],
  { ignoredBy, baseline, settings }: Scanning,
) {
  const {
    rule,
    provider,
    title,
    confidence,
    reasons = [],
    entropy = null,
    masked,
    fingerprint,
    places,
  } = group
  const first = findings.find((finding) => finding.fingerprint === fingerprint)
  const entry = first && ignoredBy(first)
  return {
    rule,
    ruleOf: settings.detectors.some((detector) => detector.rule === rule) ? 'project' : 'keyward',
    provider,
    title,
    confidence,
    masked,
    fingerprint,
    reasons,
    entropy,
    places: places.map(({ file, line, commit, wrapping }) => ({ file, line, commit, wrapping })),
    ignored: entry ? { line: entry.line, reason: entry.reason, until: entry.until ?? null } : null,
    inBaseline: baseline.has(fingerprint),
  }
}

function renderExplanation(explained: Explanation): string {
  const { rule, ruleOf, title, provider, confidence, masked, fingerprint, places, ignored, inBaseline } =
    explained
  return renderFacts([
    ['What', title],
    ['Value', masked],
    ['Rule', `${rule}${ruleOf === 'project' ? ', from .keyward.toml' : ''}`],
    ['Provider', provider],
    ['Confidence', `${confidence}: ${meaning[confidence]}`],
    ...explained.reasons.map((reason) => ['Because', reason] as const),
    ['Entropy', explained.entropy === null ? null : `${explained.entropy} bits a character`],
    ['Fingerprint', fingerprint],
    ...places.map(({ file, line, commit, wrapping }) => {
      const inside = wrapping === 'none' ? '' : wrapping === 'split' ? ', in pieces' : `, inside ${wrapping}`
      return ['Place', `${file}:${line}${inside}${commit ? ` in commit ${commit}` : ''}`] as const
    }),
    ['Told', toldOrNot(ignored, inBaseline)],
  ])
}

const meaning = {
  high: 'the form belongs to one service, or is a private key',
  medium: 'the form is shared by several things, or name and value both fit',
  low: 'worth a look: a short password, a test file, a wrong checksum',
}

function toldOrNot(ignored: Explanation['ignored'], inBaseline: boolean): string {
  if (ignored) {
    const until = ignored.until ? `, until ${ignored.until}` : ''
    return `no: ignored by line ${ignored.line} of the settings: ${ignored.reason}${until}`
  }
  return inBaseline ? 'no: it is in the baseline' : 'yes'
}
