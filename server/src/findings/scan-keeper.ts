import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { ScanView } from '@keyward/contract'
import { actorOf, newId, type Principal, reasonOf } from '../core/index.ts'
import type { GroupedFinding, RawFinding, Scanner } from '../scan/index.ts'
import { isOwnPath, type Tx } from '../store/index.ts'
import {
  findingByFingerprint,
  insertFinding,
  putScan,
  replacePlaces,
  secretPathTaken,
  touchFinding,
} from './findings-store.ts'
import { assignedName, secretPathFor } from './naming.ts'
import type { FindingsNeeds } from './needs.ts'

const mostProblems = 200
/** How much of a line is read to learn the name that a value is assigned to. */
const lookBackBytes = 200

/** Runs scans and keeps what they find: masked, by fingerprint, never the value. */
export function createScanKeeper({ store, audit, bus, clock, log, dataDir }: FindingsNeeds) {
  const running = new Map<string, ScanView>()

  async function begin(scan: ScanView, by: Principal): Promise<void> {
    running.set(scan.id, scan)
    await store
      .write(async (tx) => {
        await putScan(tx, scan)
        const entry = { actor: actorOf(by), target: `scan:${scan.id}`, correlation: scan.id }
        await audit.record(tx, {
          type: 'scan.started',
          outcome: 'intent',
          ...entry,
          detail: { path: scan.path },
        })
        await bus.publish(tx, { type: 'scan.started', subject: `scan:${scan.id}` })
      })
      .catch((error: unknown) => {
        running.delete(scan.id)
        throw error
      })
  }

  async function run(scan: ScanView, scanner: Scanner, history: boolean, by: Principal): Promise<ScanView> {
    let current = scan
    const found: RawFinding[] = []
    const problems: ScanView['problems'] = []
    const update = (change: Partial<ScanView>): void => {
      current = { ...current, ...change }
      running.set(scan.id, current)
    }
    const own = await realpath(dataDir)
    try {
      for await (const event of scanner.project(scan.path, { history })) {
        // A folder above the data folder may be scanned, but Keyward's own files are no project's.
        if (event.kind === 'finding')
          isOwnPath(own, join(scan.path, event.finding.place.file)) || found.push(event.finding)
        else if (event.kind === 'problem')
          problems.length < mostProblems && problems.push({ file: event.file, reason: event.reason })
        else {
          const { kind: _, ...progress } = event
          update(progress)
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
    current = { ...current, findings: groups.length, finishedAt: clock.now().toISOString() }
    // Until here a reader sees it running: a finished scan has its findings stored.
    try {
      await finish(current, groups, by)
      running.delete(scan.id)
    } catch (error) {
      // Nobody waits for a scan that was started by a request, so this is where its failure is told.
      log.error({ scan: scan.id, reason: reasonOf(error) }, 'what a scan found could not be stored')
      const reason = `what was found could not be stored: ${reasonOf(error)}`
      update({ state: 'failed', findings: 0, problems: [...problems, { file: scan.path, reason }] })
      await keepFailed(current)
    }
    return current
  }

  /** A failure that cannot be stored either is told from memory until the next start marks it. */
  async function keepFailed(scan: ScanView): Promise<void> {
    try {
      await store.write((tx) => putScan(tx, scan))
      running.delete(scan.id)
    } catch (error) {
      log.error({ scan: scan.id, reason: reasonOf(error) }, 'the failure of a scan could not be stored')
    }
  }

  async function finish(scan: ScanView, groups: readonly GroupedFinding[], by: Principal): Promise<void> {
    const names = new Map<GroupedFinding, string | undefined>()
    for (const group of groups) names.set(group, await nameOf(scan.path, group))
    await store.write(async (tx) => {
      for (const group of groups) await keep(tx, scan, group, names.get(group))
      await putScan(tx, scan)
      await audit.record(tx, {
        type: 'scan.finished',
        outcome: scan.state === 'finished' ? 'done' : 'failed',
        actor: actorOf(by),
        target: `scan:${scan.id}`,
        correlation: scan.id,
        detail: {
          path: scan.path,
          files: scan.filesScanned,
          commits: scan.commitsScanned,
          findings: groups.length,
          problems: scan.problems.length,
        },
      })
      await bus.publish(tx, { type: 'scan.finished', subject: `scan:${scan.id}` })
    })
  }

  async function keep(
    tx: Tx,
    scan: ScanView,
    group: GroupedFinding,
    name: string | undefined,
  ): Promise<void> {
    const now = clock.now()
    const known = await findingByFingerprint(tx, scan.path, group.fingerprint)
    const inWorkTree = group.places.some((place) => place.commit === null)
    if (known) {
      await touchFinding(tx, known.id, now, inWorkTree)
      await replacePlaces(tx, known.id, group.places)
      return
    }
    const id = newId('fnd', now)
    await insertFinding(tx, {
      id,
      project: scan.project,
      root: scan.path,
      fingerprint: group.fingerprint,
      rule: group.rule,
      provider: group.provider,
      title: group.title,
      confidence: group.confidence,
      masked: group.masked,
      state: 'open',
      secret_path: await freePath(tx, secretPathFor(scan.project, group, name)),
      reference: null,
      run_id: null,
      reason: null,
      first_seen_at: now.getTime(),
      last_seen_at: now.getTime(),
    })
    await replacePlaces(tx, id, group.places)
    const subject = `finding:${id}`
    const detail = { rule: group.rule, fingerprint: group.fingerprint, file: group.places[0]?.file ?? '' }
    await audit.record(tx, {
      type: 'finding.opened',
      outcome: 'done',
      actor: 'system:scan',
      target: subject,
      correlation: scan.id,
      detail,
    })
    await bus.publish(tx, { type: 'finding.opened', subject })
  }

  return { begin, run, live: (scanId: string): ScanView | undefined => running.get(scanId) }
}

async function freePath(tx: Tx, wanted: string): Promise<string> {
  let path = wanted
  for (let n = 2; await secretPathTaken(tx, path); n++) path = `${wanted}-${n}`
  return path
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
