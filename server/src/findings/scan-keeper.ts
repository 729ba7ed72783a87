import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { ScanView } from '@keyward/contract'
import { actorOf, type Principal, reasonOf } from '../core/index.ts'
import type { GroupedFinding, RawFinding, ScanEvent } from '../scan/index.ts'
import { isOwnPath, type Tx } from '../store/index.ts'
import { knownFingerprints } from './findings-store.ts'
import { createKeep } from './keep.ts'
import { assignedName } from './naming.ts'
import type { FindingsNeeds } from './needs.ts'
import type { Scope } from './reconcile.ts'
import { putKnownCommits, putScan } from './scans-store.ts'

const mostProblems = 200
/** How much of a line is read to learn the name that a value is assigned to. */
const lookBackBytes = 200

export type Search = {
  readonly events: AsyncIterable<ScanEvent>
  readonly by: Principal
  /** Whether a file of the work tree is among those that are looked at. */
  readonly covers: (file: string) => boolean
  readonly history: Scope['history']
  /** The only files that are looked at, when they are few. */
  readonly files?: readonly string[]
  /** Where the branches stood when it began; remembered as known when the history was read to its end. */
  readonly tips: readonly string[]
}

/** Runs scans and keeps what they find. */
export function createScanKeeper(needs: FindingsNeeds) {
  const { store, audit, bus, clock, log, dataDir } = needs
  const keep = createKeep(needs)
  const running = new Map<string, ScanView>()

  async function begin(scan: ScanView, by: Principal): Promise<void> {
    running.set(scan.id, scan)
    await store
      .write(async (tx) => {
        await putScan(tx, scan)
        const entry = { actor: actorOf(by), target: `scan:${scan.id}`, correlation: scan.id }
        const detail = { path: scan.path, cause: scan.cause, history: scan.history }
        await audit.record(tx, { type: 'scan.started', outcome: 'intent', ...entry, detail })
        await bus.publish(tx, { type: 'scan.started', subject: `scan:${scan.id}` })
      })
      .catch((error: unknown) => {
        running.delete(scan.id)
        throw error
      })
  }

  async function run(scan: ScanView, search: Search): Promise<ScanView> {
    const looked = await look(scan, search)
    let current = looked.scan
    // Until here a reader sees it running: a finished scan has its findings stored.
    try {
      const stored = await finish(looked, search)
      running.delete(scan.id)
      return stored
    } catch (error) {
      // Nobody waits for a scan that was started by a request, so this is where its failure is told.
      log.error({ scan: scan.id, reason: reasonOf(error) }, 'what a scan found could not be stored')
      const reason = `what was found could not be stored: ${reasonOf(error)}`
      const problems = [...current.problems, { file: scan.path, reason }]
      current = { ...current, state: 'failed', findings: 0, problems }
      running.set(scan.id, current)
      await keepFailed(current)
    }
    return current
  }

  async function look(scan: ScanView, { events }: Search) {
    let current = scan
    const found: RawFinding[] = []
    const problems: ScanView['problems'] = []
    const unread = new Set<string>()
    const own = await realpath(dataDir)
    try {
      for await (const event of events) {
        // A folder above the data folder may be scanned, but Keyward's own files are no project's.
        if (event.kind === 'finding')
          isOwnPath(own, join(scan.path, event.finding.place.file)) || found.push(event.finding)
        else if (event.kind === 'problem') {
          unread.add(fileOf(event.file))
          if (problems.length < mostProblems) problems.push({ file: event.file, reason: event.reason })
        } else {
          const { kind: _, ...progress } = event
          current = { ...current, ...progress }
          running.set(scan.id, current)
        }
      }
      current = { ...current, state: 'finished', problems }
    } catch (error) {
      log.error({ scan: scan.id, reason: reasonOf(error) }, 'scan failed')
      const problem = { file: scan.path, reason: reasonOf(error) }
      current = { ...current, state: 'failed', problems: [...problems, problem] }
    }
    const { groupByFingerprint } = await import('../scan/index.ts')
    const groups = groupByFingerprint(found)
    return {
      scan: { ...current, findings: groups.length, finishedAt: clock.now().toISOString() },
      groups,
      unread,
    }
  }

  async function finish(
    { scan, groups, unread }: Awaited<ReturnType<typeof look>>,
    { by, covers, history, tips, files }: Search,
  ): Promise<ScanView> {
    const whole = scan.state === 'finished'
    const readHistory = whole && !unread.has('.git')
    const scope: Scope = {
      sees: (file) => whole && covers(fileOf(file)) && !isUnread(fileOf(file), unread),
      history: readHistory ? history : 'none',
    }
    const known = await knownFingerprints(store, scan.path)
    const names = new Map<GroupedFinding, string | undefined>()
    for (const group of groups)
      if (!known.has(group.fingerprint)) names.set(group, await nameOf(scan.path, group))
    return keep({ scan, groups, scope, names, files }, by, async (tx) => {
      if (readHistory && history !== 'none')
        await putKnownCommits(tx, { root: scan.path, rules: needs.version, commits: tips })
    })
  }

  /** A failure that cannot be stored either is told from memory until the next start marks it. */
  async function keepFailed(scan: ScanView): Promise<void> {
    try {
      await store.write((tx: Tx) => putScan(tx, scan))
      running.delete(scan.id)
    } catch (error) {
      log.error({ scan: scan.id, reason: reasonOf(error) }, 'the failure of a scan could not be stored')
    }
  }

  return { begin, run, live: (scanId: string): ScanView | undefined => running.get(scanId) }
}

/** The file that holds it: an archive, for what lies inside one. */
const fileOf = (file: string): string => file.split('!', 1)[0] ?? file

/** It could not be read, or a folder above it could not. */
function isUnread(file: string, unread: ReadonlySet<string>): boolean {
  if (unread.size === 0) return false
  for (let end = file.length; end > 0; end = file.lastIndexOf('/', end - 1))
    if (unread.has(file.slice(0, end))) return true
  return unread.has('.')
}

/** The name that the value is assigned to at its first place in the work tree. */
async function nameOf(root: string, group: GroupedFinding): Promise<string | undefined> {
  const place = group.places.find((candidate) => candidate.commit === null && candidate.encoding === 'utf8')
  if (!place) return undefined
  const from = Math.max(0, place.start - lookBackBytes)
  // Without waiting: meanwhile the file may have become a pipe that nobody writes to.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const handle = await open(join(root, place.file), flags).catch(() => undefined)
  if (!handle) return undefined
  try {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(place.start - from),
      0,
      place.start - from,
      from,
    )
    return assignedName(buffer.toString('utf8', 0, bytesRead).split('\n').at(-1) ?? '')
  } finally {
    await handle.close()
  }
}
