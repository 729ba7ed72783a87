import { z } from 'zod'
import { operation, page, paging, timestamp } from './operation.ts'

export const findingState = z.enum(['open', 'importing', 'imported', 'ignored', 'restored'])
export const confidence = z.enum(['high', 'medium', 'low'])

/** Where a value stands. Lines and columns count from 1; `commit` is set when only the history holds it. */
export const findingPlace = z.object({
  file: z.string(),
  line: z.int(),
  endLine: z.int(),
  column: z.int(),
  commit: z.string().nullable(),
  author: z.string().nullable(),
  committedAt: timestamp.nullable(),
})
export type FindingPlace = z.output<typeof findingPlace>

export const findingView = z.object({
  id: z.string(),
  project: z.string(),
  fingerprint: z.string(),
  rule: z.string(),
  provider: z.string(),
  title: z.string(),
  confidence,
  masked: z.string(),
  state: findingState,
  places: z.array(findingPlace),
  /** `keyward://…` once the value is in the vault. */
  reference: z.string().nullable(),
  /** The run that deals with it, if one does. */
  runId: z.string().nullable(),
  reason: z.string().nullable(),
  firstSeenAt: timestamp,
  lastSeenAt: timestamp,
})
export type FindingView = z.output<typeof findingView>

export const scanView = z.object({
  id: z.string(),
  project: z.string(),
  path: z.string(),
  state: z.enum(['running', 'finished', 'failed']),
  filesScanned: z.int(),
  filesTotal: z.int().nullable(),
  bytesScanned: z.int(),
  commitsScanned: z.int(),
  findings: z.int(),
  /** Files that could not be read, with the reason. Never silent. */
  problems: z.array(z.object({ file: z.string(), reason: z.string() })),
  startedAt: timestamp,
  finishedAt: timestamp.nullable(),
})
export type ScanView = z.output<typeof scanView>

/** What an import would change in one file. Lines are masked: no value is ever shown. */
export const fileChange = z.object({
  file: z.string(),
  /** The findings whose values stand in it. */
  findingIds: z.array(z.string()),
  sha256Before: z.string(),
  sha256After: z.string(),
  lines: z.array(z.object({ line: z.int(), before: z.string(), after: z.string() })),
})
export const importPreview = z.object({
  project: z.string(),
  digest: z.string(),
  secrets: z.array(
    z.object({ findingId: z.string(), title: z.string(), masked: z.string(), reference: z.string() }),
  ),
  files: z.array(fileChange),
  /** Findings that live only in the git history: stored, but nothing can be rewritten. The key must be rotated. */
  historyOnly: z.array(z.string()),
})
export type ImportPreview = z.output<typeof importPreview>

export const findingsApi = {
  startScan: operation({
    name: 'scans.start',
    method: 'POST',
    path: '/scans',
    summary: 'Scan a folder on the server for secrets',
    body: { path: z.string().min(1), history: z.boolean().default(true) },
    result: scanView,
    fails: ['scan.path_unreadable'],
  }),
  readScan: operation({
    name: 'scans.read',
    method: 'GET',
    path: '/scans/{scanId}',
    summary: 'How far a scan is',
    params: { scanId: z.string() },
    result: scanView,
    fails: ['scan.not_found'],
  }),
  listScans: operation({
    name: 'scans.list',
    method: 'GET',
    path: '/scans',
    summary: 'The scans, newest first',
    query: paging,
    result: page(scanView),
  }),
  list: operation({
    name: 'findings.list',
    method: 'GET',
    path: '/findings',
    summary: 'Findings, newest first',
    query: { ...paging, state: findingState.optional(), project: z.string().optional() },
    result: page(findingView),
  }),
  read: operation({
    name: 'findings.read',
    method: 'GET',
    path: '/findings/{findingId}',
    summary: 'One finding',
    params: { findingId: z.string() },
    result: findingView,
    fails: ['finding.not_found'],
  }),
  preview: operation({
    name: 'findings.preview',
    method: 'POST',
    path: '/findings/preview',
    summary: 'What importing these findings would change; changes nothing',
    body: { findingIds: z.array(z.string()).min(1).max(1000) },
    result: importPreview,
    fails: ['finding.not_found', 'finding.changed', 'finding.state'],
  }),
  ignore: operation({
    name: 'findings.ignore',
    method: 'POST',
    path: '/findings/{findingId}/ignore',
    summary: 'Ignore a finding, with a reason',
    params: { findingId: z.string() },
    body: { reason: z.string().trim().min(3).max(500) },
    result: findingView,
    fails: ['finding.not_found', 'finding.state'],
  }),
  undo: operation({
    name: 'findings.undo',
    method: 'POST',
    path: '/findings/undo',
    summary: 'Put back the files that a run rewrote, byte for byte',
    body: { runId: z.string() },
    result: z.object({ files: z.array(z.string()), findings: z.array(z.string()) }),
    fails: ['run.not_found', 'finding.changed', 'finding.state'],
  }),
}
