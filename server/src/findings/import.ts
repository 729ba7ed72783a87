import type { ImportPreview, Json } from '@keyward/contract'
import { AppError, type Secret } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import {
  type FindingRow,
  fileChangesOf,
  findingIdsOfRun,
  findingsById,
  moveFindings,
  putFileChange,
  setReference,
} from './findings-store.ts'
import { importField } from './naming.ts'
import { type FindingsNeeds, importActor } from './needs.ts'
import { placesOf } from './places-store.ts'
import { previewImport, referenceOf } from './preview.ts'
import { readProjectFile, replaceProjectFile, sha256 } from './project-file.ts'

type Commit = (tx: Tx) => Promise<void>

/** The steps of an import, each safe to repeat. A step that changes our own store returns what its task's transaction does. */
export type Import = {
  /** Reserves the findings for a run; throws `finding.state` when another run has them. */
  claim(tx: Tx, findingIds: readonly string[], runId: string): Promise<void>
  /** Reads the value of a finding where it stands and puts it into the vault, once. */
  storeValue(findingId: string, runId: string): Promise<{ secretPath: string; commit: Commit }>
  /**
   * Writes the references into one file as the approved preview says. Keeps an encrypted copy of the file first. A file that is
   * neither what was approved nor already written refuses with `finding.changed`, untouched.
   */
  rewriteFile(runId: string, change: FileChange): Promise<{ commit: Commit }>
  /** Marks the run's findings as imported. */
  finishImport(tx: Tx, runId: string): Promise<string[]>
  /** Gives back what a run reserved and did not import. */
  release(tx: Tx, runId: string, reason: string): Promise<void>
}

export type FileChange = {
  readonly findingIds: readonly string[]
  readonly file: string
  readonly sha256Before: string
  readonly sha256After: string
}

export const previewJson = (preview: Omit<ImportPreview, 'digest'>): Json =>
  JSON.parse(JSON.stringify(preview))

export function createImport(needs: FindingsNeeds): Import {
  const { store, audit, bus, clock, vault } = needs

  async function one(findingId: string): Promise<FindingRow> {
    const [row] = await findingsById(store, [findingId])
    if (!row) throw new AppError('finding.not_found', `there is no finding '${findingId}'`)
    return row
  }

  async function keepUndoCopy(runId: string, root: string, change: FileChange, bytes: Buffer): Promise<void> {
    const undoPath = `undo/${runId}/${sha256(Buffer.from(change.file)).slice(0, 32)}`
    await store.write(async (tx) => {
      await vault.sealed.put(tx, undoPath, bytes)
      await putFileChange(tx, {
        run_id: runId,
        root,
        file: change.file,
        sha_before: change.sha256Before,
        sha_after: change.sha256After,
        undo_path: undoPath,
        state: 'prepared',
      })
      await audit.record(tx, {
        type: 'file.rewritten',
        outcome: 'intent',
        actor: importActor,
        target: `file:${change.file}`,
        correlation: runId,
        detail: { root, sha256Before: change.sha256Before, sha256After: change.sha256After },
      })
    })
  }

  function markRewritten(runId: string, root: string, change: FileChange): Commit {
    return async (tx) => {
      const stored = (await fileChangesOf(tx, runId)).find((known) => known.file === change.file)
      if (!stored) throw new AppError('finding.changed', `${change.file} was written without an undo copy`)
      await putFileChange(tx, { ...stored, state: 'rewritten' })
      await audit.record(tx, {
        type: 'file.rewritten',
        outcome: 'done',
        actor: importActor,
        target: `file:${change.file}`,
        correlation: runId,
        detail: { root, sha256: change.sha256After },
      })
      await bus.publish(tx, { type: 'file.rewritten', subject: `file:${change.file}`, data: { runId } })
    }
  }

  return {
    async claim(tx, findingIds, runId) {
      const moved = await moveFindings(tx, findingIds, ['open', 'restored'], {
        state: 'importing',
        runId,
        reason: null,
        at: clock.now(),
        actor: importActor,
      })
      if (moved.length === findingIds.length) return
      const taken = findingIds.filter((id) => !moved.includes(id))
      throw new AppError('finding.state', `not open any more: ${taken.join(', ')}`)
    },
    async storeValue(findingId, runId) {
      const row = await one(findingId)
      const value = await presentValue(needs, row)
      const commit: Commit = async (tx) => {
        const known = await vault.kv.read(row.secret_path, tx)
        if (known?.data[importField]?.reveal() !== value.reveal())
          await vault.kv.write(tx, row.secret_path, { [importField]: value })
        await setReference(tx, row.id, referenceOf(row))
        await audit.record(tx, {
          type: 'secret.written',
          outcome: 'done',
          actor: importActor,
          target: `secret:${row.secret_path}`,
          correlation: runId,
          detail: { findingId: row.id, fingerprint: row.fingerprint },
        })
        await bus.publish(tx, {
          type: 'secret.written',
          subject: `secret:${row.secret_path}`,
          data: { runId },
        })
      }
      return { secretPath: row.secret_path, commit }
    },
    async rewriteFile(runId, change) {
      const [row] = await findingsById(store, change.findingIds)
      const root = row?.root ?? ''
      const target = await readProjectFile(root, change.file)
      const present = sha256(target.bytes)
      if (present === change.sha256After) return { commit: markRewritten(runId, root, change) }
      if (present !== change.sha256Before)
        throw new AppError(
          'finding.changed',
          `${change.file} changed after the approval; it was left alone. Scan again.`,
        )
      const { files } = await previewImport(needs, change.findingIds, change.file)
      const planned = files.find((candidate) => candidate.file === change.file)
      if (!planned || sha256(planned.after) !== change.sha256After)
        throw new AppError(
          'finding.changed',
          `${change.file} would become something else than what was approved; it was left alone`,
        )
      await keepUndoCopy(runId, root, change, planned.target.bytes)
      await replaceProjectFile(target, planned.after)
      return { commit: markRewritten(runId, root, change) }
    },
    async finishImport(tx, runId) {
      const ids = await findingIdsOfRun(tx, runId, 'importing')
      if (ids.length === 0) return []
      const at = clock.now()
      await moveFindings(tx, ids, ['importing'], {
        state: 'imported',
        runId,
        reason: null,
        at,
        actor: importActor,
      })
      for (const id of ids) {
        const subject = `finding:${id}`
        await audit.record(tx, {
          type: 'finding.imported',
          outcome: 'done',
          actor: importActor,
          target: subject,
          correlation: runId,
        })
        await bus.publish(tx, { type: 'finding.imported', subject, data: { runId } })
      }
      return ids
    },
    async release(tx, runId, reason) {
      const ids = await findingIdsOfRun(tx, runId, 'importing')
      const to = { state: 'open', runId: null, reason, at: clock.now(), actor: importActor } as const
      if (ids.length > 0) await moveFindings(tx, ids, ['importing'], to)
    },
  }
}

/** The value as it stands now: in the first file that holds it, else in the commit that added it. */
async function presentValue({ store, scanner }: FindingsNeeds, row: FindingRow): Promise<Secret> {
  const places = await placesOf(store, [row.id])
  const kept = await scanner()
  // The file of a place inside an archive is the archive: the value is not read from there.
  const inFiles = places.filter(({ commit_id, wrapping }) => commit_id === null && wrapping !== 'archive')
  for (const place of inFiles) {
    const { bytes } = await readProjectFile(row.root, place.file)
    const found = kept.contents(bytes, place.file).find((finding) => finding.fingerprint === row.fingerprint)
    if (found) return found.value
  }
  for (const commit of new Set(places.map((place) => place.commit_id))) {
    if (commit === null) continue
    for await (const event of kept.gitHistory(row.root, { commit }))
      if (event.kind === 'finding' && event.finding.fingerprint === row.fingerprint)
        return event.finding.value
  }
  throw new AppError(
    'finding.changed',
    `the value of finding ${row.id} is not where it was found. Scan again.`,
  )
}
