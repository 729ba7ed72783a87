import { resolve } from 'node:path'
import type { AuditEntry, FindingView, ImportPreview, RunDetail } from '@keyward/contract'
import type { Approvals } from '../approvals/index.ts'
import { type Audit, verifyAudit } from '../audit/index.ts'
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

export type GuideNeeds = {
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'page' | 'head'>
  identity: Pick<Identity, 'agents' | 'registerAgent' | 'bootstrapOwner'>
  vault: Pick<Vault, 'kv'>
  findings: Pick<Findings, 'startScan' | 'readScan' | 'page' | 'preview'>
  flows: Pick<Flows, 'start'>
  workflow: Pick<Workflow, 'whenEnded'>
  approvals: Pick<Approvals, 'page'>
  sandbox: Pick<Sandbox, 'probe'>
}

export type GuideOptions = {
  readonly project?: string
  readonly yes: boolean
  readonly json: boolean
  readonly dataDir: string
  readonly address: string
  signInLink(): Promise<string>
}

type Answer = { readonly keepServing: boolean; readonly exitCode: number }

/** The guided first run: one leaked key, end to end, on the example or on the user's own project. */
export async function runGuide(needs: GuideNeeds, options: GuideOptions): Promise<Answer> {
  const write = (text: string): void => void process.stdout.write(text)
  const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true
  if (!options.json) write(await welcome(options))
  if (options.yes) {
    const report = await walk(needs, options, plainScreen(write, options.json), true)
    write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : renderReport(report))
    return { keepServing: false, exitCode: report.ok ? 0 : 1 }
  }
  if (!terminal) return { keepServing: true, exitCode: 0 }
  const screen = terminalScreen()
  if (!(await screen.ask(`Begin the guided first run on ${options.project ?? 'the example project'}?`)))
    return { keepServing: true, exitCode: 0 }
  write(renderReport(await walk(needs, options, screen, false)))
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

async function walk(
  needs: GuideNeeds,
  options: GuideOptions,
  screen: Screen,
  unattended: boolean,
): Promise<Report> {
  const project =
    options.project === undefined ? await makeExample(options.dataDir) : resolve(options.project)
  const steps: Step[] = []
  let run: RunDetail | null = null
  try {
    const findings = await scan(needs, project, screen, steps)
    if (findings.length === 0) return reportOf(project, unattended, run, steps)
    const preview = await showChanges(needs, findings, screen, steps)
    await ensureIsolation(needs.sandbox, screen)
    run = await moveAndUse(needs, options, { findings, preview, unattended }, screen, steps)
    await prove(needs.audit, steps)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    steps.push({ step: 'stopped', state: 'failed', detail: reasonOf(error) })
  }
  return reportOf(project, unattended, run, steps)
}

function reportOf(
  project: string,
  unattended: boolean,
  run: RunDetail | null,
  steps: readonly Step[],
): Report {
  const ok = steps.every((step) => step.state === 'ok')
  return { project, unattended, run: run && { id: run.id, state: run.state }, steps, ok }
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
  const words = `${done.filesScanned} files and ${done.commitsScanned} commits: ${open.length} open ${open.length === 1 ? 'finding' : 'findings'}`
  line.done(words)
  for (const { file, reason } of done.problems.slice(0, 10)) screen.say(`  not read: ${file}: ${reason}`)
  steps.push({ step: 'scan', state: done.state === 'finished' ? 'ok' : 'failed', detail: words })
  return open
}

async function showChanges(
  needs: GuideNeeds,
  findings: readonly FindingView[],
  screen: Screen,
  steps: Step[],
): Promise<ImportPreview> {
  const preview = await needs.findings.preview(findings.map((finding) => finding.id))
  const rows = findings.map(({ title, masked, places: [place] }) => {
    const where = place
      ? `${place.file}:${place.line}${place.commit ? ` in commit ${place.commit.slice(0, 8)}` : ''}`
      : ''
    return `  ${title}: ${masked}  ${where}`
  })
  const changes = preview.files.flatMap(({ file, lines }) =>
    lines.map(({ line, after }) => `  ${file}:${line}: ${after.trim()}`),
  )
  screen.say(['Found (values masked):', ...rows].join('\n'))
  screen.say(['What would change:', ...changes].join('\n'))
  steps.push({
    step: 'preview',
    state: 'ok',
    detail: `${preview.files.length} files would get ${preview.secrets.length} references`,
  })
  return preview
}

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
): Promise<RunDetail> {
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
    const line = screen.progress(
      `Run ${started.id} ${move.unattended ? 'goes on without a person' : 'waits for approval'}`,
    )
    const ended = await needs.workflow.whenEnded(started.id)
    line.done(`Run ${ended.id}: ${ended.state}`)
    steps.push(importStep(ended, move.preview), ...(await demonstration.steps(ended)))
    return ended
  } finally {
    await demonstration.end()
  }
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
      screen.say(
        `Nothing has been changed. Approve in the console:\n  ${await options.signInLink()}\nor in another terminal:\n  npx keyward login --local && npx keyward approve ${approval.id}`,
      )
      return
    }
    await new Promise((wait) => setTimeout(wait, 50))
  }
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

function importStep(run: RunDetail, preview: ImportPreview): Step {
  const finish = run.tasks.find((task) => task.id === 'finish')
  if (finish?.state === 'Succeeded')
    return {
      step: 'import',
      state: 'ok',
      detail: `${preview.secrets.length} secrets are in the vault, ${preview.files.length} files hold references; put back with: keyward findings undo ${run.id}`,
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
