import { api, type FindingOrder, type FindingView, type ImportPreview } from '@keyward/contract'
import { type Command, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import { type Client, everyItem } from '../client.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { followRun } from '../follow-run.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable } from '../printable.ts'
import { confirm } from '../prompt.ts'
import { type Column, renderFacts } from '../table.ts'
import { ignoreCommand, reopenCommand } from './finding-triage.ts'
import { explainCommand, foldersCommand, trendCommand } from './finding-views.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>
type FindingState = FindingView['state']

const states: readonly FindingState[] = ['open', 'importing', 'imported', 'ignored', 'restored', 'fixed']
const orders: readonly FindingOrder[] = ['newest', 'seen', 'confidence', 'places']
const paths = (finding: FindingView): string => {
  const [first] = finding.places
  if (!first) return '-'
  const commit = first.commit ? `@${first.commit.slice(0, 8)}` : ''
  const others = finding.placeCount - 1
  return `${first.file}:${first.line}${commit}${others > 0 ? ` +${others}` : ''}`
}

export const findingsCommand = (needs: Needs): Command =>
  commandGroup('findings', 'Findings that the server keeps', [
    listCommand(needs),
    showCommand(needs),
    previewCommand(needs),
    explainCommand(needs),
    importCommand(needs),
    ignoreCommand(needs),
    reopenCommand(needs),
    trendCommand(needs),
    foldersCommand(needs),
    undoCommand(needs),
  ])

type Filter = {
  readonly state?: FindingState
  readonly confidence?: FindingView['confidence']
  readonly rule?: string
  readonly provider?: string
  readonly project?: string
  readonly path?: string
  readonly text?: string
  readonly sort: FindingOrder
}

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<FindingView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'state', value: ({ state }) => state },
    { title: 'confidence', value: ({ confidence }) => confidence },
    { title: 'what', value: ({ title }) => title, shrink: true },
    { title: 'masked', value: ({ masked }) => masked, shrink: true },
    { title: 'where', value: paths, shrink: true },
    { title: 'project', value: ({ project }) => project, shrink: true },
    { title: 'last seen', value: ({ lastSeenAt }) => shortTime(lastSeenAt) },
  ]
  return withListOptions(
    serverCommand({
      usage: 'list',
      summary: 'Findings, newest first; values masked',
      examples: [
        'keyward findings list --state open',
        'keyward findings list --confidence high --path services/api --sort places',
        'keyward findings list --project shop --all --json',
      ],
    }),
  )
    .addOption(new Option('--state <state>', 'in this state only').choices(states))
    .addOption(new Option('--confidence <confidence>', 'as sure as this').choices(['high', 'medium', 'low']))
    .option('--rule <rule>', 'found by this rule')
    .option('--provider <name>', 'credentials of this provider')
    .option('--project <name>', 'of this project only')
    .option('--path <path>', 'in this file, or below this folder')
    .option('--text <text>', 'with this in the title, the rule, the mask, the reference or a file name')
    .addOption(new Option('--sort <order>', 'which come first').choices(orders).default('newest'))
    .action(async (options: ListOptions & Filter) => {
      const client = await connect(needs, options)
      const { state, confidence, rule, provider, project, path, text, sort } = options
      const filter = { state, confidence, rule, provider, project, path, text, sort }
      await showList(terminal, options, columns, (paging) =>
        client.call(api.findings.list, { ...paging, ...filter }),
      )
    })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <findingId>',
    summary: 'One finding with all its places',
    examples: ['keyward findings show fnd_01'],
  }).action(async (findingId: string, options: CommonOptions) => {
    const finding = await (await connect(needs, options)).call(api.findings.read, { findingId })
    if (options.json) return terminal.json(finding)
    terminal.write(
      renderFacts([
        ['Finding', finding.id],
        ['What', `${finding.title} (${finding.rule}, ${finding.confidence} confidence)`],
        ['Masked', finding.masked],
        ['State', finding.reason ? `${finding.state}: ${finding.reason}` : finding.state],
        ['Since', shortTime(finding.stateSince)],
        ['Until', shortTime(finding.ignoredUntil)],
        ['Project', finding.project],
        ['Reference', finding.reference],
        ['Run', finding.runId],
        ['Seen', `${finding.firstSeenAt} to ${finding.lastSeenAt}`],
        ...finding.places.map((place) => ['Place', placeText(place)] as const),
      ]),
    )
  })
}

function placeText({
  file,
  line,
  column,
  commit,
  author,
  committedAt,
  goneAt,
}: FindingView['places'][number]): string {
  const where = `${file}:${line}:${column}${goneAt ? `, gone since ${shortTime(goneAt)}` : ''}`
  return commit
    ? `${where} in commit ${commit.slice(0, 12)} of ${author ?? 'somebody'}, ${committedAt ?? ''}`
    : where
}

/** As many as one run of leaked-key takes. */
const mostPerRun = 400

type ChoiceOptions = CommonOptions & { readonly allOpen?: boolean; readonly project?: string }

const withChoice = (command: Command): Command =>
  command
    .option('--all-open', 'every open finding instead of named ones')
    .option('--project <name>', 'with --all-open: of this project only')

function previewCommand(needs: Needs): Command {
  const { terminal } = needs
  return withChoice(
    serverCommand({
      usage: 'preview [findingIds...]',
      summary: 'What importing findings would change; changes nothing',
      examples: [
        'keyward findings preview fnd_01 fnd_02',
        'keyward findings preview --all-open --project shop',
      ],
    }),
  ).action(async (ids: string[], options: ChoiceOptions) => {
    const client = await connect(needs, options)
    const preview = await client.call(api.findings.preview, {
      findingIds: await chosen(client, ids, options),
    })
    if (options.json) return terminal.json(preview)
    terminal.write(previewText(preview))
  })
}

type ImportOptions = ChoiceOptions & { readonly yes?: boolean; readonly watch?: boolean }

function importCommand(needs: Needs): Command {
  const { terminal, answer } = needs
  return withChoice(
    serverCommand({
      usage: 'import [findingIds...]',
      summary: 'Move values into the vault and put references in their places',
      details:
        'Shows what would change, asks, and starts the flow leaked-key. The run waits for an approval before it touches\n' +
        'a file; "keyward findings undo <runId>" puts every file back.',
      examples: ['keyward findings import fnd_01', 'keyward findings import --all-open --yes --watch'],
    }),
  )
    .option('--yes', 'do not ask; the run still waits for its approval')
    .option('--watch', 'follow the run to its end')
    .action(async (ids: string[], { yes, watch, ...options }: ImportOptions) => {
      const client = await connect(needs, options)
      const all = await chosen(client, ids, options)
      const findingIds = all.slice(0, mostPerRun)
      if (findingIds.length < all.length) {
        terminal.note(
          `One run takes ${mostPerRun} of these ${all.length} findings. Import again for the rest.`,
        )
      }
      terminal.note(previewText(await client.call(api.findings.preview, { findingIds })).trimEnd())
      if (!yes && !(await confirm(terminal, 'Start a run that does this?'))) {
        terminal.note('Nothing was started.')
        return answer(exitNegative)
      }
      const started = await client.call(api.runs.start, { flow: 'leaked-key', input: { findingIds } })
      const run = watch ? await followRun(terminal, client, started.id) : started
      if (options.json) terminal.json(run)
      else terminal.write(`${run.id}\n`)
      terminal.note(`Run ${run.id} is ${run.state}. See: keyward runs show ${run.id}`)
      if (run.state === 'Failed' || run.state === 'Cancelled') answer(exitNegative)
    })
}

async function chosen(client: Client, ids: readonly string[], options: ChoiceOptions): Promise<string[]> {
  if (ids.length > 0 && options.allOpen) {
    throw new AppError('request.invalid', 'findings are named and --all-open is given. Choose one of the two')
  }
  if (ids.length > 0) return [...ids]
  if (!options.allOpen)
    throw new AppError('request.invalid', 'no finding is named. Name them, or say --all-open')
  const { project } = options
  const open: string[] = []
  // A finding that was put back stands in its file again.
  for (const state of ['open', 'restored'] as const) {
    const pages = everyItem((paging) => client.call(api.findings.list, { ...paging, state, project }))
    for await (const { id } of pages) open.push(id)
  }
  if (open.length === 0) throw new AppError('finding.not_found', 'no finding is open. Scan first')
  return open
}

function previewText({ project, secrets, files, historyOnly, digest }: ImportPreview): string {
  const lines = [
    `Project ${project}: ${secrets.length} values go into the vault, ${files.length} files change.`,
  ]
  for (const { title, masked, reference } of secrets) lines.push(`  ${title}  ${masked}  ->  ${reference}`)
  for (const { file, lines: changes } of files) {
    lines.push(file)
    for (const { line, before, after } of changes) lines.push(`  ${line} - ${before}`, `  ${line} + ${after}`)
  }
  if (historyOnly.length > 0) {
    lines.push(
      `${historyOnly.length} stand only in the git history, where nothing can be replaced: rotate those keys.`,
    )
  }
  lines.push(`Digest ${digest}`)
  return lines.map((line) => `${printable(line)}\n`).join('')
}

function undoCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'undo <runId>',
    summary: 'Put back the files that a run rewrote, byte for byte',
    examples: ['keyward findings undo run_01'],
  }).action(async (runId: string, options: CommonOptions) => {
    const answer = await (await connect(needs, options)).call(api.findings.undo, { runId })
    if (options.json) return terminal.json(answer)
    terminal.write(answer.files.map((file) => `${printable(file)}\n`).join(''))
    terminal.note(`Restored ${answer.files.length} files with ${answer.findings.length} findings.`)
  })
}
