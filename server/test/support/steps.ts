// Steps that tests of the whole server share, each through its HTTP API.
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  type ApprovalView,
  api,
  type FindingView,
  type Json,
  type RunDetail,
  type ScanView,
} from '@keyward/contract'
import { parseReference } from '../../src/core/index.ts'
import { eventually } from './eventually.ts'
import { newPaymentsKey } from './leaky-project.ts'
import { type RunningServer, scratchFolder } from './server.ts'

/** A project with one key in its `.env`. */
export function oneKeyProject(t: TestContext): { folder: string; file: string; value: string } {
  const folder = scratchFolder(t, 'project')
  const value = newPaymentsKey()
  const file = join(folder, '.env')
  writeFileSync(file, `PORT=80\nSTRIPE_KEY=${value}\n`)
  return { folder, file, value }
}

export async function scanned(server: RunningServer, path: string): Promise<ScanView> {
  const { id } = await server.call(api.findings.startScan, { path, history: false })
  return eventually(async () => {
    const scan = await server.call(api.findings.readScan, { scanId: id })
    return scan.state !== 'running' && scan
  }, `the end of scan ${id}`)
}

export async function openFindings(server: RunningServer, folder: string): Promise<FindingView[]> {
  await scanned(server, folder)
  const { items } = await server.call(api.findings.list, { state: 'open', project: basename(folder) })
  return items
}

/** Scans the folder and starts the flow on all that it finds; an agent's task gets the path of the first secret. */
export async function startLeakedKey(
  server: RunningServer,
  folder: string,
  taskFor?: (secretPath: string) => Json,
): Promise<RunDetail> {
  const findingIds = (await openFindings(server, folder)).map(({ id }) => id)
  const input: Record<string, Json> = { findingIds }
  if (taskFor) {
    const { secrets } = await server.call(api.findings.preview, { findingIds })
    const { mount, path } = parseReference(secrets[0]?.reference ?? '')
    input['agentTask'] = taskFor(`${mount}/${path}`)
  }
  return server.call(api.runs.start, { flow: 'leaked-key', input })
}

export const pendingApproval = (server: RunningServer, runId: string): Promise<ApprovalView> =>
  eventually(async () => {
    const { items } = await server.call(api.approvals.list, { state: 'pending' })
    return items.find((approval) => approval.runId === runId)
  }, `the approval of ${runId}`)

export async function approve(server: RunningServer, runId: string): Promise<ApprovalView> {
  const { id, digest } = await pendingApproval(server, runId)
  return server.call(api.approvals.approve, { approvalId: id, digest })
}

export const ended = (server: RunningServer, runId: string): Promise<RunDetail> =>
  eventually(async () => {
    const run = await server.call(api.runs.read, { runId })
    return run.state !== 'Running' && run.state !== 'AwaitingApproval' && run
  }, `the end of ${runId}`)
