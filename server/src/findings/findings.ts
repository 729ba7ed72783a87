import { realpath } from 'node:fs/promises'
import { basename } from 'node:path'
import type { FindingView, ImportPreview, ScanView } from '@keyward/contract'
import { AppError, actorOf, newId, type Principal, reasonOf } from '../core/index.ts'
import { isOwnPath, type Tx } from '../store/index.ts'
import {
  countFindings,
  type FindingRow,
  failRunningScans,
  findingsById,
  findingsPage,
  findingViewOf,
  importingRuns,
  moveFindings,
  placesOf,
  readScans,
  unrestoredFiles,
} from './findings-store.ts'
import { createImport, type Import } from './import.ts'
import type { FindingsNeeds } from './needs.ts'
import { previewImport } from './preview.ts'
import { projectRoot, removeLeftover } from './project-file.ts'
import { createScanKeeper } from './scan-keeper.ts'
import { createUndo, type Undo } from './undo.ts'

export type Findings = Import &
  Undo & {
    /** Starts a scan that goes on by itself; `done` resolves when it has ended. Throws `scan.path_unreadable`. */
    startScan(request: {
      path: string
      history: boolean
      by: Principal
    }): Promise<{ scan: ScanView; done: Promise<ScanView> }>
    readScan(scanId: string): Promise<ScanView>
    listScans(query: PageQuery): Promise<{ items: ScanView[]; next: string | null }>
    page(
      query: PageQuery & { state?: FindingView['state'] | undefined; project?: string | undefined },
    ): Promise<{ items: FindingView[]; next: string | null }>
    read(findingId: string): Promise<FindingView>
    /** What an import would change; reads the files, changes nothing. The same files give the same preview. */
    preview(findingIds: readonly string[]): Promise<ImportPreview>
    ignore(findingId: string, reason: string, by: Principal): Promise<FindingView>
    /** Runs that have findings reserved. */
    importingRuns(): Promise<string[]>
    counts(): Promise<{ open: number; imported: number }>
    /** Marks scans that an earlier process left running as failed, and removes what it left beside files. */
    recover(): Promise<void>
  }

type PageQuery = { readonly cursor?: string | undefined; readonly limit: number }

export function createFindings(needs: FindingsNeeds): Findings {
  const { store, audit, bus, clock } = needs
  const keeper = createScanKeeper(needs)

  async function viewsOf(rows: readonly FindingRow[]): Promise<FindingView[]> {
    const places = await placesOf(
      store,
      rows.map((row) => row.id),
    )
    return rows.map((row) => findingViewOf(row, places))
  }

  async function read(findingId: string): Promise<FindingView> {
    const [view] = await viewsOf(await findingsById(store, [findingId]))
    if (!view) throw new AppError('finding.not_found', `there is no finding '${findingId}'`)
    return view
  }

  async function readScan(scanId: string): Promise<ScanView> {
    const live = keeper.live(scanId)
    if (live) return live
    const [scan] = await readScans(store, { id: scanId, limit: 1 })
    if (!scan) throw new AppError('scan.not_found', `there is no scan '${scanId}'`)
    // Nobody runs it, and its end is not stored: it failed, even if that could not be stored either.
    return scan.state === 'running' ? { ...scan, state: 'failed' } : scan
  }

  return {
    ...createImport(needs),
    ...createUndo(needs),
    async startScan({ path, history, by }) {
      const root = await projectRoot(path)
      if (isOwnPath(await realpath(needs.dataDir), root))
        throw new AppError('scan.path_unreadable', `${path} lies in Keyward's own data folder`)
      const scanner = await needs.scanner()
      const now = clock.now()
      const scan: ScanView = {
        id: newId('scan', now),
        project: basename(root) || 'root',
        path: root,
        state: 'running',
        filesScanned: 0,
        filesTotal: null,
        bytesScanned: 0,
        commitsScanned: 0,
        findings: 0,
        problems: [],
        startedAt: now.toISOString(),
        finishedAt: null,
      }
      await keeper.begin(scan, by)
      const done = keeper.run(scan, scanner, history, by)
      // Who does not wait for the end must not be ended by it: a full disk keeps a scan from being stored.
      done.catch((error: unknown) =>
        needs.log.error({ scan: scan.id, reason: reasonOf(error) }, 'a scan could not be stored; scan again'),
      )
      return { scan, done }
    },
    readScan,
    async listScans({ cursor, limit }) {
      const stored = await readScans(store, { before: cursor, limit })
      const items = await Promise.all(
        stored.map((scan) => (scan.state === 'running' ? readScan(scan.id) : scan)),
      )
      return { items, next: items.length === limit ? (items.at(-1)?.id ?? null) : null }
    },
    async page({ cursor, limit, state, project }) {
      const rows = await findingsPage(store, { before: cursor, state, project, limit })
      return { items: await viewsOf(rows), next: rows.length === limit ? (rows.at(-1)?.id ?? null) : null }
    },
    read,
    preview: async (findingIds) => (await previewImport(needs, findingIds)).preview,
    async ignore(findingId, reason, by) {
      await read(findingId)
      await store.write((tx) => ignore(tx, findingId, reason, by))
      return read(findingId)
    },
    importingRuns: () => importingRuns(store),
    counts: () => countFindings(store),
    async recover() {
      for (const { root, file } of await unrestoredFiles(store)) await removeLeftover(root, file)
      const failed = await store.write((tx) => failRunningScans(tx, clock.now()))
      if (failed > 0) needs.log.warn({ scans: failed }, 'scans were cut off by a stop; scan again')
    },
  }

  async function ignore(tx: Tx, findingId: string, reason: string, by: Principal): Promise<void> {
    const moved = await moveFindings(tx, [findingId], ['open', 'restored'], {
      state: 'ignored',
      runId: null,
      reason,
    })
    if (moved.length === 0) throw new AppError('finding.state', `finding ${findingId} is not open`)
    const actor = actorOf(by)
    await audit.record(tx, {
      type: 'finding.ignored',
      outcome: 'done',
      actor,
      target: `finding:${findingId}`,
      detail: { reason },
    })
    await bus.publish(tx, { type: 'finding.ignored', subject: `finding:${findingId}` })
  }
}
