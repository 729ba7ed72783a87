import { resolve } from 'node:path'
import type {
  ApprovalState,
  ApprovalView,
  AuditEntry,
  FindingView,
  ImportPreview,
  RunDetail,
} from '@keyward/contract'
import type { Approvals } from '../approvals/index.ts'
import { type Audit, verifyAudit } from '../audit/index.ts'
import { printable } from '../cli/index.ts'
import { AppError, type Principal, reasonOf, systemPrincipal } from '../core/index.ts'
import type { Findings } from '../findings/index.ts'
import type { Flows } from '../flows/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Sandbox } from '../sandbox/index.ts'
import type { Store } from '../store/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Workflow } from '../workflow/index.ts'
import { createDemonstration } from './demonstration.ts'
import { ensureIsolation } from './isolation.ts'
import { makeExample } from './project.ts'
import { type Report, renderReport, type Step } from './report.ts'
import { plainScreen, type Screen, terminalScreen } from './screen.ts'
import { showChanges, showFindings } from './show.ts'

export type GuideNeeds = {
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'page' | 'head'>
  identity: Pick<Identity, 'agents' | 'registerAgent' | 'bootstrapOwner'>
  vault: Pick<Vault, 'kv'>
  findings: Pick<Findings, 'startScan' | 'readScan' | 'page' | 'preview'>
  flows: Pick<Flows, 'start'>
  workflow: Pick<Workflow, 'whenEnded' | 'read' | 'cancel'>
  approvals: Pick<Approvals, 'page' | 'read'>
  sandbox: Pick<Sandbox, 'probe' | 'driver'>
}

export type GuideOptions = {
  readonly project?: string
  readonly yes: boolean
  readonly json: boolean
  readonly dataDir: string
  readonly address: string
  signInLink(): Promise<string>
  /** Resolves at Ctrl-C. */
  readonly stopped: Promise<void>
}

type Answer = { readonly keepServing: boolean; readonly exitCode: number }

const interruptedExitCode = 130

/** The guided first run: one leaked key, end to end, on the example or on the user's own project. */
export async function runGuide(needs: GuideNeeds, options: GuideOptions): Promise<Answer> {
  const write = (text: string): void => void process.stdout.write(text)
  const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true
  if (!options.json) write(await welcome(options))
  if (options.yes) {
    const report = await walk(needs, options, plainScreen(write, options.json), true)
    if (!report) return { keepServing: false, exitCode: interruptedExitCode }
    write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : renderReport(report))
    return { keepServing: false, exitCode: report.ok ? 0 : 1 }
  }
  if (!terminal) return { keepServing: true, exitCode: 0 }
  const screen = terminalScreen()
  const goOn = await screen.ask(
    `Begin the guided first run on ${options.project ?? 'the example project'}? Nothing is changed before you approve it.`,
  )
  if (goOn) {
    const report = await walk(needs, options, screen, false)
    if (!report) return { keepServing: false, exitCode: interruptedExitCode }
    write(renderReport(report))
  }
  write(`The console stays at ${options.address}. Ctrl-C stops Keyward.\n`)
  return { keepServing: true, exitCode: 0 }
}

const welcome = async ({ address, signInLink, dataDir }: GuideOptions): Promise<string> =>
  [
    `Keyward listens on ${address}`,
    `  data     ${dataDir}`,
    `  console  ${await signInLink()}`,
    '           signs you in as the owner, once, within ten minutes',
    '',
  ].join('\n')

/** Undefined when it was interrupted. */
async function walk(
  needs: GuideNeeds,
  options: GuideOptions,
  screen: Screen,
  unattended: boolean,
): Promise<Report | undefined> {
  const project =
    options.project === undefined ? await makeExample(options.dataDir) : resolve(options.project)
  const steps: Step[] = []
  let moved: Moved | undefined
  try {
    const findings = await scan(needs, project, screen, steps)
    if (findings.length === 0) return reportOf(project, unattended, moved, steps)
    const preview = await showImport(needs, findings, screen, steps)
    await ensureIsolation(needs.sandbox, screen)
    moved = await moveAndUse(needs, options, { findings, preview, unattended }, screen, steps)
    if (!moved) return undefined
    await prove(needs.audit, steps)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    steps.push({ step: 'stopped', state: 'failed', detail: reasonOf(error) })
  }
  return reportOf(project, unattended, moved, steps)
}

function reportOf(
  project: string,
  unattended: boolean,
  moved: Moved | undefined,
  steps: readonly Step[],
): Report {
  const ok = steps.every((step) => step.state === 'ok')
  const run = moved ? { id: moved.run.id, state: moved.run.state } : null
  return { project, unattended, run, approval: moved?.approval ?? null, steps, ok }
}

async function scan(
  needs: GuideNeeds,
  project: string,
  screen: Screen,
  steps: Step[],
): Promise<FindingView[]> {
  const line = screen.progress(`Scanning ${project}`)
  const started = await needs.findings.startScan({
    path: project,
    history: true,
    by: systemPrincipal('start'),
  })
  const timer = setInterval(() => {
    needs.findings.readScan(started.scan.id).then(
      (scan) => line.update(`Scanning: ${scan.filesScanned} files, ${scan.commitsScanned} commits`),
      () => undefined,
    )
  }, 200)
  const done = await started.done.finally(() => clearInterval(timer))
  const { items } = await needs.findings.page({ limit: 400, project: done.project })
  const open = items.filter((finding) => finding.state === 'open' || finding.state === 'restored')
  const words = `${countOf(done.filesScanned, 'file')} and ${countOf(done.commitsScanned, 'commit')}: ${countOf(open.length, 'open finding')}`
  line.done(words)
  for (const { file, reason } of done.problems.slice(0, 10))
    screen.say(printable(`  not read: ${file}: ${reason}`))
  steps.push({ step: 'scan', state: done.state === 'finished' ? 'ok' : 'failed', detail: words })
  return open
}

async function showImport(
  needs: GuideNeeds,
  findings: readonly FindingView[],
  screen: Screen,
  steps: Step[],
): Promise<ImportPreview> {
  const preview = await needs.findings.preview(findings.map((finding) => finding.id))
  showFindings(findings, screen)
  showChanges(preview, screen)
  steps.push({
    step: 'preview',
    state: 'ok',
    detail: `${countOf(preview.secrets.length, 'secret')} would move, ${countOf(preview.files.length, 'file')} would change`,
  })
  return preview
}

const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

type Moved = { readonly run: RunDetail; readonly approval: ApprovalState | null }
type Move = {
  readonly findings: readonly FindingView[]
  readonly preview: ImportPreview
  readonly unattended: boolean
}

async function moveAndUse(
  needs: GuideNeeds,
  options: GuideOptions,
  move: Move,
  screen: Screen,
  steps: Step[],
): Promise<Moved | undefined> {
  const chosen = chooseForAgent(move.findings)
  const reference = move.preview.secrets.find((secret) => secret.findingId === chosen.id)?.reference ?? ''
  const demonstration = await createDemonstration(needs, options.dataDir, chosen, reference)
  try {
    const by: Principal = move.unattended ? systemPrincipal('start') : await owner(needs)
    const started = await needs.flows.start({
      flow: 'leaked-key',
      input: JSON.parse(
        JSON.stringify({
          findingIds: move.findings.map((finding) => finding.id),
          agentTask: demonstration.task,
        }),
      ),
      by,
      unattended: move.unattended,
    })
    if (!move.unattended) await askForApproval(needs, options, started.id, screen)
    const ended = await follow(needs, options, started.id, screen)
    if (!ended) return undefined
    const approval = await answerTo(needs, ended)
    steps.push(importStep(ended, move.preview, approval), ...(await demonstration.steps(ended)))
    return { run: ended, approval: approval?.state ?? null }
  } finally {
    await demonstration.end()
  }
}

/** Until the run has ended. Interrupted while it waits for an answer, it is cancelled: the API that its agent calls ends too. */
async function follow(
  { workflow }: Pick<GuideNeeds, 'workflow'>,
  { stopped, yes }: GuideOptions,
  runId: string,
  screen: Screen,
): Promise<RunDetail | undefined> {
  const line = screen.progress(
    yes ? `Run ${runId} goes on without a person` : 'The run waits for your answer',
  )
  const look = async (): Promise<void> => {
    const { state, doneCount, taskCount } = await workflow.read(runId)
    if (state === 'Running') line.update(`Running: ${doneCount} of ${taskCount} tasks done`)
  }
  const timer = setInterval(() => look().catch(() => undefined), 150)
  const ended = await Promise.race([workflow.whenEnded(runId), stopped.then(() => undefined)])
  clearInterval(timer)
  if (ended) {
    line.done(`Run ${ended.id}: ${ended.state}`)
    return ended
  }
  const { state } = await workflow.read(runId)
  if (state === 'AwaitingApproval')
    await workflow.cancel(runId, systemPrincipal('start'), 'the guided first run was interrupted')
  line.done(
    state === 'AwaitingApproval'
      ? 'Interrupted: nothing was changed, and the run is cancelled'
      : `Interrupted: run ${runId} goes on when Keyward starts again`,
  )
  return undefined
}

async function answerTo(
  { approvals }: Pick<GuideNeeds, 'approvals'>,
  { tasks }: RunDetail,
): Promise<ApprovalView | undefined> {
  const id = tasks.find((task) => task.approvalId !== null)?.approvalId
  return id ? approvals.read(id) : undefined
}

async function owner({ store, identity }: GuideNeeds): Promise<Principal> {
  const { id, name, roles } = await store.write((tx) => identity.bootstrapOwner(tx))
  return { kind: 'person', id, name, roles }
}

async function askForApproval(
  { approvals }: GuideNeeds,
  options: GuideOptions,
  runId: string,
  screen: Screen,
): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { items } = await approvals.page({ limit: 50, state: 'pending' })
    const approval = items.find((item) => item.runId === runId)
    if (approval) {
      screen.say(await howToAnswer(options, approval.id))
      return
    }
    await new Promise((wait) => setTimeout(wait, 50))
  }
}

const usualAddress = 'http://127.0.0.1:8200'

async function howToAnswer(
  { address, dataDir, signInLink }: GuideOptions,
  approvalId: string,
): Promise<string> {
  const link = new URL(await signInLink())
  link.pathname = `/approvals/${approvalId}`
  const where = address === usualAddress ? '' : ` --address ${address}`
  const folder = /^[\w@%+=:,./-]+$/.test(dataDir) ? dataDir : `'${dataDir.replaceAll("'", `'\\''`)}'`
  return [
    '',
    'Nothing has been changed yet. Read what would happen, and approve or deny it:',
    `  ${link}`,
    'or in a second terminal:',
    `  npx keyward login --local --data ${folder}${where}`,
    `  npx keyward approve ${approvalId}${where}`,
    '',
  ].join('\n')
}

/** The payments key of the example; in another project the surest finding that stands in a file. */
function chooseForAgent(findings: readonly FindingView[]): FindingView {
  const inFiles = findings.filter((finding) => finding.places.some((place) => place.commit === null))
  const candidates = inFiles.length > 0 ? inFiles : findings
  const chosen =
    candidates.find((finding) => finding.provider.toLowerCase() === 'stripe') ??
    candidates.find((finding) => finding.confidence === 'high') ??
    candidates[0]
  if (!chosen) throw new AppError('finding.not_found', 'there is no finding to lend')
  return chosen
}

function importStep(run: RunDetail, preview: ImportPreview, approval: ApprovalView | undefined): Step {
  const finish = run.tasks.find((task) => task.id === 'finish')
  if (finish?.state === 'Succeeded')
    return {
      step: 'import',
      state: 'ok',
      detail: `${countOf(preview.secrets.length, 'secret')} in the vault, references in ${countOf(preview.files.length, 'file')}`,
    }
  if (approval && approval.state !== 'approved') {
    const reason = approval.reason ? `: ${approval.reason}` : ''
    return { step: 'import', state: 'refused', detail: `the approval is ${approval.state}${reason}` }
  }
  const stopped = run.tasks.find((task) => task.reason !== null)
  return { step: 'import', state: 'failed', detail: stopped?.reason ?? `the run ended as ${run.state}` }
}

async function prove(audit: Pick<Audit, 'page' | 'head'>, steps: Step[]): Promise<void> {
  const head = await audit.head()
  const report = await verifyAudit({ entries: entriesUpTo(audit, head.seq), head })
  const detail = report.verified
    ? `${report.entries} entries, every hash and link, signed head`
    : (report.problems[0]?.detail ?? 'the chain does not verify')
  steps.push({ step: 'audit', state: report.verified ? 'ok' : 'failed', detail })
}

async function* entriesUpTo(audit: Pick<Audit, 'page'>, seq: number): AsyncGenerator<AuditEntry> {
  let cursor: string | undefined
  do {
    const { items, next } = await audit.page({ cursor, limit: 500, order: 'asc' })
    for (const entry of items) if (entry.seq <= seq) yield entry
    cursor = next ?? undefined
  } while (cursor !== undefined)
}
