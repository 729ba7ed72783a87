import { z } from 'zod'
import { operation, page, paging, timestamp } from './operation.ts'

export const findingState = z.enum(['open', 'importing', 'imported', 'ignored', 'restored', 'fixed'])
export const confidence = z.enum(['high', 'medium', 'low'])

/** Where a value stands, or stood. Lines and columns count from 1; `commit` is set for a place in the history. */
export const findingPlace = z.object({
  file: z.string(),
  line: z.int(),
  endLine: z.int(),
  column: z.int(),
  commit: z.string().nullable(),
  author: z.string().nullable(),
  committedAt: timestamp.nullable(),
  firstSeenAt: timestamp,
  lastSeenAt: timestamp,
  /** Since when no scan finds it there any more; null while it stands. */
  goneAt: timestamp.nullable(),
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
  /** Why it is taken for a secret, in words for people. */
  reasons: z.array(z.string()),
  /** Of the value, in bits a character. */
  entropy: z.number().nullable(),
  masked: z.string(),
  state: findingState,
  /** Since when it is in this state. */
  stateSince: timestamp,
  /** Those that stand come first, files before commits. A list gives the first of them, one finding up to a thousand. */
  places: z.array(findingPlace),
  /** How many stand. */
  placeCount: z.int(),
  /** `keyward://…` once the value is in the vault. */
  reference: z.string().nullable(),
  /** The run that deals with it, if one does. */
  runId: z.string().nullable(),
  reason: z.string().nullable(),
  /** When an ignored one opens again by itself. */
  ignoredUntil: timestamp.nullable(),
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
  /** What became open by it, and what it did not find any more. */
  opened: z.int(),
  fixed: z.int(),
  /** Who or what began it. */
  cause: z.enum(['person', 'schedule', 'watch', 'push']),
  scheduleId: z.string().nullable(),
  history: z.enum(['all', 'new', 'none']),
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

/** Each one that is given must fit. */
const findingFilter = {
  state: findingState.optional(),
  confidence: confidence.optional(),
  rule: z.string().max(200).optional(),
  provider: z.string().max(200).optional(),
  project: z.string().max(500).optional(),
  /** A file, or a folder with all below it. */
  path: z.string().max(4096).optional(),
  /** Part of the title, the rule, the mask, the reference or a file's name. */
  text: z.string().max(200).optional(),
}
const findingOrder = z.enum(['newest', 'seen', 'confidence', 'places'])
export type FindingOrder = z.output<typeof findingOrder>

const tally = z.array(z.object({ name: z.string(), count: z.int() }))

const trendDay = z.object({
  /** As 2026-11-21. */
  day: z.iso.date(),
  /** At the end of the day. */
  open: z.int(),
  opened: z.int(),
  fixed: z.int(),
  imported: z.int(),
  ignored: z.int(),
})
export type TrendDay = z.output<typeof trendDay>

const folderCount = z.object({
  path: z.string(),
  kind: z.enum(['folder', 'file']),
  findings: z.int(),
  high: z.int(),
  medium: z.int(),
  low: z.int(),
})
export type FolderCount = z.output<typeof folderCount>

const findingExplanation = z.object({
  /** Of the first files that hold it, read now. */
  contexts: z.array(
    z.object({
      file: z.string(),
      lines: z.array(z.object({ line: z.int(), text: z.string(), holds: z.boolean() })),
      /** Why there are no lines. */
      problem: z.string().nullable(),
    }),
  ),
  moves: z.array(
    z.object({
      at: timestamp,
      to: findingState,
      actor: z.string(),
      reason: z.string().nullable(),
      scanId: z.string().nullable(),
      runId: z.string().nullable(),
    }),
  ),
  rotation: z.object({
    /** Whether Keyward itself can change the key where it was issued. */
    automatic: z.boolean(),
    steps: z.array(z.string()),
    /** Where keys of this provider are revoked. */
    address: z.url().nullable(),
  }),
})
export type FindingExplanation = z.output<typeof findingExplanation>

export const findingsApi = {
  startScan: operation({
    name: 'scans.start',
    method: 'POST',
    path: '/scans',
    summary: 'Scan a folder on the server for secrets',
    body: {
      path: z.string().min(1),
      history: z.boolean().default(true),
      /** Of the history only what no earlier scan of this folder has seen. */
      newCommits: z.boolean().default(false),
    },
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
    summary: 'Findings, newest first unless told otherwise',
    query: { ...paging, ...findingFilter, sort: findingOrder.default('newest') },
    result: page(findingView),
  }),
  summary: operation({
    name: 'findings.summary',
    method: 'GET',
    path: '/findings/summary',
    summary: 'How many findings there are, by state, confidence, rule, provider and project',
    query: findingFilter,
    result: z.object({
      states: z.partialRecord(findingState, z.int()),
      confidences: tally,
      rules: tally,
      providers: tally,
      projects: tally,
    }),
  }),
  trend: operation({
    name: 'findings.trend',
    method: 'GET',
    path: '/findings/trend',
    summary: 'How many findings were open on each day, and what changed, by UTC',
    query: { project: z.string().optional(), days: z.coerce.number().int().min(7).max(366).default(30) },
    result: z.object({ days: z.array(trendDay) }),
  }),
  folders: operation({
    name: 'findings.folders',
    method: 'GET',
    path: '/findings/folders',
    summary: 'Where open findings stand: what lies directly in a folder, by confidence',
    query: { project: z.string().optional(), folder: z.string().max(4096).default('') },
    result: z.object({ folder: z.string(), items: z.array(folderCount) }),
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
  explain: operation({
    name: 'findings.explain',
    method: 'GET',
    path: '/findings/{findingId}/explain',
    summary: 'The lines around a finding, masked, what happened to it, and how its key is changed',
    params: { findingId: z.string() },
    result: findingExplanation,
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
    path: '/findings/ignore',
    summary: 'Ignore findings, with a reason, for ever or up to a day',
    body: {
      findingIds: z.array(z.string()).min(1).max(1000),
      reason: z.string().trim().min(3).max(500),
      until: timestamp.nullable().default(null),
    },
    result: z.object({ findings: z.array(z.string()) }),
    fails: ['finding.not_found', 'finding.state'],
  }),
  reopen: operation({
    name: 'findings.reopen',
    method: 'POST',
    path: '/findings/reopen',
    summary: 'Open ignored findings again',
    body: { findingIds: z.array(z.string()).min(1).max(1000) },
    result: z.object({ findings: z.array(z.string()) }),
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
