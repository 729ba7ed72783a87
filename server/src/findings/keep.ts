import type { FindingView, ScanView } from '@keyward/contract'
import { actorOf, newId, type Principal, systemPrincipal } from '../core/index.ts'
import type { GroupedFinding } from '../scan/index.ts'
import type { Tx } from '../store/index.ts'
import {
  type FindingRow,
  findingsBelow,
  findingsTouched,
  insertFinding,
  moveFindings,
  setJudgement,
  touchFindings,
} from './findings-store.ts'
import { createNamer, secretPathFor } from './naming.ts'
import type { FindingsNeeds } from './needs.ts'
import { allPlacesOf, type PlaceRow, replacePlaces } from './places-store.ts'
import { type Change, changeOf, rowOf, type Scope } from './reconcile.ts'
import { putScan } from './scans-store.ts'

export type Found = {
  readonly scan: ScanView
  readonly groups: readonly GroupedFinding[]
  readonly scope: Scope
  /** The only files that were looked at; all of the folder when absent. */
  readonly files: readonly string[] | undefined
  /** The names that values are assigned to. */
  readonly names: ReadonlyMap<GroupedFinding, string | undefined>
}

const scanActor = actorOf(systemPrincipal('scan'))
/** A scan of one file after each change of it is remembered only when it changed something. */
const isQuiet = ({ cause, opened, fixed }: ScanView): boolean => cause === 'watch' && opened + fixed === 0

/** Keeps what a scan found, in one transaction: masked, by fingerprint, never the value. */
export function createKeep({
  store,
  audit,
  bus,
  clock,
}: Pick<FindingsNeeds, 'store' | 'audit' | 'bus' | 'clock'>) {
  async function open(tx: Tx, { scan, names }: Found, groups: readonly GroupedFinding[]): Promise<void> {
    const namer = await createNamer(tx)
    for (const group of groups) {
      const now = clock.now()
      const id = newId('fnd', now)
      const row = {
        ...judgementOf(group),
        id,
        project: scan.project,
        root: scan.path,
        fingerprint: group.fingerprint,
        secret_path: namer(secretPathFor(scan.project, group, names.get(group))),
        first_seen_at: now.getTime(),
        last_seen_at: now.getTime(),
        state_since: now.getTime(),
      }
      await insertFinding(tx, row, scan.id)
      await replacePlaces(
        tx,
        id,
        group.places.map((place) => rowOf(id, place, now.getTime())),
      )
      const { rule, fingerprint, places } = group
      const detail = { rule, fingerprint, file: places[0]?.file ?? '' }
      await tell(tx, 'finding.opened', id, scan, detail)
    }
  }

  async function tell(
    tx: Tx,
    type: 'finding.opened' | 'finding.reopened' | 'finding.fixed',
    id: string,
    scan: ScanView,
    detail: { [key: string]: string | number },
  ): Promise<void> {
    const subject = `finding:${id}`
    const entry = { outcome: 'done', actor: scanActor, target: subject, correlation: scan.id } as const
    await audit.record(tx, { type, ...entry, detail })
    await bus.publish(tx, { type, subject })
  }

  async function move(
    tx: Tx,
    changes: readonly Change[],
    to: 'open' | 'fixed',
    scan: ScanView,
  ): Promise<void> {
    const from: FindingView['state'][] =
      to === 'open' ? ['imported', 'restored', 'fixed'] : ['open', 'restored']
    const moved = changes.filter(({ becomes }) => becomes === to)
    const at = clock.now()
    // One reason at a time: most are fixed in the same way.
    for (const [reason, group] of Map.groupBy(moved, (change) => reasonFor(change, to))) {
      const ids = group.map(({ finding }) => finding.id)
      await moveFindings(tx, ids, from, {
        state: to,
        runId: null,
        reason,
        at,
        actor: scanActor,
        scanId: scan.id,
      })
      for (const id of ids)
        await tell(tx, to === 'open' ? 'finding.reopened' : 'finding.fixed', id, scan, {
          reason: reason ?? '',
        })
    }
  }

  async function update(
    tx: Tx,
    { scan, groups, scope, files }: Found,
  ): Promise<{ changes: Change[]; fresh: GroupedFinding[] }> {
    const fingerprints = groups.map(({ fingerprint }) => fingerprint)
    const known = files
      ? await findingsTouched(tx, scan.path, { files, fingerprints })
      : await findingsBelow(tx, scan.path)
    const places = await allPlacesOf(
      tx,
      known.map(({ id }) => id),
    )
    const byFingerprint = new Map(groups.map((group) => [group.fingerprint, group]))
    const now = clock.now()
    const changes = known.map((row) =>
      changeOf(
        { row, places: places.get(row.id) ?? [] },
        byFingerprint.get(row.fingerprint),
        scope,
        now.getTime(),
      ),
    )
    for (const { finding, places: after } of changes) if (after) await replacePlaces(tx, finding.id, after)
    const seen = known.filter((row) => byFingerprint.has(row.fingerprint))
    for (const row of seen) {
      const group = byFingerprint.get(row.fingerprint)
      if (group && differs(row, judgementOf(group))) await setJudgement(tx, row.id, judgementOf(group))
      byFingerprint.delete(row.fingerprint)
    }
    await touchFindings(
      tx,
      seen.map(({ id }) => id),
      now,
    )
    return { changes, fresh: [...byFingerprint.values()] }
  }

  /** `also` is stored with it. */
  return async (found: Found, by: Principal, also: (tx: Tx) => Promise<void>): Promise<ScanView> => {
    return store.write(async (tx) => {
      const { changes, fresh } = await update(tx, found)
      await move(tx, changes, 'open', found.scan)
      await move(tx, changes, 'fixed', found.scan)
      await open(tx, found, fresh)
      const fixed = changes.filter(({ becomes }) => becomes === 'fixed').length
      // What somebody has put back was open before.
      const again = changes.filter(
        ({ becomes, finding }) => becomes === 'open' && finding.state !== 'restored',
      )
      const scan = { ...found.scan, opened: fresh.length + again.length, fixed }
      await also(tx)
      if (isQuiet(scan)) return scan
      await putScan(tx, scan)
      const { path, filesScanned: files, commitsScanned: commits, opened, cause } = scan
      const problems = scan.problems.length
      await audit.record(tx, {
        type: 'scan.finished',
        outcome: scan.state === 'finished' ? 'done' : 'failed',
        actor: actorOf(by),
        target: `scan:${scan.id}`,
        correlation: scan.id,
        detail: { path, cause, files, commits, findings: scan.findings, opened, fixed, problems },
      })
      await bus.publish(tx, { type: 'scan.finished', subject: `scan:${scan.id}` })
      return scan
    })
  }
}

type Judgement = ReturnType<typeof judgementOf>

const judgementOf = (group: GroupedFinding) => ({
  rule: group.rule,
  provider: group.provider,
  title: group.title,
  confidence: group.confidence,
  reasons: JSON.stringify(group.reasons ?? []),
  entropy: group.entropy ?? null,
  masked: group.masked,
})

const differs = (row: FindingRow, judged: Judgement): boolean =>
  (Object.keys(judged) as (keyof Judgement)[]).some((name) => row[name] !== judged[name])

function reasonFor({ places }: Change, to: 'open' | 'fixed'): string | null {
  if (to === 'open') return null
  const commits = new Set((places ?? []).filter(standsInHistory).map(({ commit_id }) => commit_id)).size
  if (commits === 0) return 'No scan finds it any more.'
  const still = commits === 1 ? 'one commit still holds it' : `${commits} commits still hold it`
  return `No file holds it any more; of the history, ${still}. Revoke the key where it was issued.`
}

const standsInHistory = ({ commit_id, gone_at }: PlaceRow): boolean => commit_id !== null && gone_at === null
