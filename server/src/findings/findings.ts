import { realpath } from 'node:fs/promises'
import { basename } from 'node:path'
import type { FindingView, ImportPreview, ScanView } from '@keyward/contract'
import { AppError, newId, type Principal, reasonOf } from '../core/index.ts'
import type { Sources } from '../scan/index.ts'
import { isOwnPath } from '../store/index.ts'
import { createExplain, type Explain } from './explain.ts'
import {
  countFindings,
  findingsById,
  findingViewOf,
  importingRuns,
  unrestoredFiles,
  worthProposing,
} from './findings-store.ts'
import { createImport, type Import } from './import.ts'
import type { FindingsNeeds } from './needs.ts'
import { createOverview, type Overview } from './overview.ts'
import { firstPlacesOf } from './places-store.ts'
import { previewImport } from './preview.ts'
import { projectRoot, removeLeftover } from './project-file.ts'
import { createScanKeeper } from './scan-keeper.ts'
import { failRunningScans, readKnownCommits, readScans } from './scans-store.ts'
import { createTriage, type Triage } from './triage.ts'
import { createUndo, type Undo } from './undo.ts'

export type Findings = Import &
  Undo &
  Triage &
  Overview &
  Explain & {
    /** Starts a scan that goes on by itself; `done` resolves when it has ended. Throws `scan.path_unreadable`. */
    startScan(request: ScanRequest): Promise<{ scan: ScanView; done: Promise<ScanView> }>
    /** Looks at some files of a folder again; remembered when that changed something. */
    scanFiles(request: FilesRequest): Promise<ScanView>
    /** What changes in a folder, until `signal`. */
    changedFiles(path: string, signal: AbortSignal): Promise<ReturnType<Sources['changedFiles']>>
    readScan(scanId: string): Promise<ScanView>
    listScans(query: { cursor?: string | undefined; limit: number }): Promise<{
      items: ScanView[]
      next: string | null
    }>
    /** What became open by a scan, still is, and is more than a guess. */
    worthProposing(scanId: string): Promise<string[]>
    /** The folder as an absolute path without links; throws `scan.path_unreadable`. */
    rootOf(path: string): Promise<string>
    read(findingId: string): Promise<FindingView>
    /** What an import would change; reads the files, changes nothing. The same files give the same preview. */
    preview(findingIds: readonly string[]): Promise<ImportPreview>
    /** Runs that have findings reserved. */
    importingRuns(): Promise<string[]>
    counts(): Promise<{ open: number; imported: number }>
    /** Marks scans that an earlier process left running as failed, and removes what it left beside files. */
    recover(): Promise<void>
  }

type Began = {
  readonly by: Principal
  readonly cause?: ScanView['cause']
  readonly scheduleId?: string | null
}

export type ScanRequest = Began & {
  readonly path: string
  readonly history: boolean
  /** Of the history only what no earlier scan has seen. */
  readonly newCommits?: boolean
}

export type FilesRequest = Began & {
  readonly path: string
  readonly present: readonly string[]
  /** Files and folders that are not there any more. */
  readonly gone: readonly string[]
}

const mostPlacesShown = 1000
/** Of more, everything that is known of the folder is looked at. */
const fewFiles = 200

export function createFindings(needs: FindingsNeeds): Findings {
  const { store, clock } = needs
  const keeper = createScanKeeper(needs)

  async function read(findingId: string): Promise<FindingView> {
    const [row] = await findingsById(store, [findingId])
    if (!row) throw new AppError('finding.not_found', `there is no finding '${findingId}'`)
    return findingViewOf(row, await firstPlacesOf(store, [findingId], mostPlacesShown))
  }

  async function readScan(scanId: string): Promise<ScanView> {
    const live = keeper.live(scanId)
    if (live) return live
    const [scan] = await readScans(store, { id: scanId, limit: 1 })
    if (!scan) throw new AppError('scan.not_found', `there is no scan '${scanId}'`)
    // Nobody runs it, and its end is not stored: it failed, even if that could not be stored either.
    return scan.state === 'running' ? { ...scan, state: 'failed' } : scan
  }

  async function rootOf(path: string): Promise<string> {
    const root = await projectRoot(path)
    if (isOwnPath(await realpath(needs.dataDir), root))
      throw new AppError('scan.path_unreadable', `${path} lies in Keyward's own data folder`)
    return root
  }

  function newScan(root: string, began: Began, history: ScanView['history']): ScanView {
    const now = clock.now()
    return {
      id: newId('scn', now),
      project: basename(root).replace(/(.)\.git$/, '$1') || 'root',
      path: root,
      state: 'running',
      filesScanned: 0,
      filesTotal: null,
      bytesScanned: 0,
      commitsScanned: 0,
      findings: 0,
      opened: 0,
      fixed: 0,
      cause: began.cause ?? 'person',
      scheduleId: began.scheduleId ?? null,
      history,
      problems: [],
      startedAt: now.toISOString(),
      finishedAt: null,
    }
  }

  return {
    ...createImport(needs),
    ...createUndo(needs),
    ...createTriage(needs),
    ...createOverview(needs),
    ...createExplain(needs),
    async startScan({ path, history, newCommits = false, ...began }) {
      const root = await rootOf(path)
      const scanner = await needs.scanner()
      const tips = history ? await (await needs.sources()).tips(root) : []
      const known = history && newCommits ? await readKnownCommits(store, root, needs.version) : []
      const extent = !history ? 'none' : known.length > 0 ? 'new' : 'all'
      const scan = newScan(root, began, extent)
      await keeper.begin(scan, began.by)
      const events = scanner.project(root, { history, known })
      const done = keeper.run(scan, { events, by: began.by, covers: () => true, history: extent, tips })
      // Who does not wait for the end must not be ended by it: a full disk keeps a scan from being stored.
      done.catch((error: unknown) =>
        needs.log.error({ scan: scan.id, reason: reasonOf(error) }, 'a scan could not be stored; scan again'),
      )
      return { scan, done }
    },
    async scanFiles({ path, present, gone, ...began }) {
      const root = await rootOf(path)
      const names = new Set([...present, ...gone])
      const below = gone.map((name) => `${name}/`)
      const covers = (file: string): boolean =>
        names.has(file) || below.some((folder) => file.startsWith(folder))
      const events = (await needs.sources()).fileList(present.join('\0'), root)
      const scan = newScan(root, began, 'none')
      const few = names.size <= fewFiles ? { files: [...names] } : {}
      return keeper.run(scan, { events, by: began.by, covers, history: 'none', tips: [], ...few })
    },
    changedFiles: async (path, signal) => (await needs.sources()).changedFiles(await rootOf(path), signal),
    readScan,
    async listScans({ cursor, limit }) {
      const stored = await readScans(store, { before: cursor, limit })
      const items = await Promise.all(
        stored.map((scan) => (scan.state === 'running' ? readScan(scan.id) : scan)),
      )
      return { items, next: items.length === limit ? (items.at(-1)?.id ?? null) : null }
    },
    worthProposing: (scanId) => worthProposing(store, scanId),
    rootOf,
    read,
    preview: async (findingIds) => (await previewImport(needs, findingIds)).preview,
    importingRuns: () => importingRuns(store),
    counts: () => countFindings(store),
    async recover() {
      for (const { root, file } of await unrestoredFiles(store)) await removeLeftover(root, file)
      const failed = await store.write((tx) => failRunningScans(tx, clock.now()))
      if (failed > 0) needs.log.warn({ scans: failed }, 'scans were cut off by a stop; scan again')
    },
  }
}
