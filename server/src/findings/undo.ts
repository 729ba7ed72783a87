import { AppError, actorOf, type Principal } from '../core/index.ts'
import {
  type FileChangeRow,
  fileChangesOf,
  findingIdsOfRun,
  moveFindings,
  putFileChange,
} from './findings-store.ts'
import type { FindingsNeeds } from './needs.ts'
import { type ProjectFile, readProjectFile, replaceProjectFile, sha256 } from './project-file.ts'

export type Undo = {
  /**
   * Puts back, byte for byte, the files that a run rewrote. Refused with `finding.changed`, and nothing touched, when one of them
   * was edited since. The values stay in the vault.
   */
  undo(runId: string, by: Principal): Promise<{ files: string[]; findings: string[] }>
}

export function createUndo({ store, audit, bus, clock, vault }: FindingsNeeds): Undo {
  async function restore(change: FileChangeRow, target: ProjectFile): Promise<void> {
    const original = await vault.sealed.get(change.undo_path)
    if (!original || sha256(original) !== change.sha_before)
      throw new AppError(
        'vault.entry_corrupt',
        `the undo copy of ${change.file} is missing or damaged; the file was left alone`,
      )
    await replaceProjectFile(target, original)
  }

  return {
    async undo(runId, by) {
      if ((await findingIdsOfRun(store, runId, 'importing')).length > 0)
        throw new AppError(
          'finding.state',
          `run ${runId} is still at work; wait for its end, or cancel it first`,
        )
      const targets = await untouched(await writtenBy(await fileChangesOf(store, runId)))
      const changes = [...targets.keys()]
      if (changes.length === 0)
        throw new AppError('finding.state', `run ${runId} has no rewritten file to put back`)
      const actor = actorOf(by)
      const target = `run:${runId}`
      const files = changes.map((change) => change.file)
      await audit.recordNow({
        type: 'file.restored',
        outcome: 'intent',
        actor,
        target,
        correlation: runId,
        detail: { files },
      })
      for (const [change, file] of targets)
        if (sha256(file.bytes) !== change.sha_before) await restore(change, file)
      const findings = await store.write(async (tx) => {
        for (const change of changes) await putFileChange(tx, { ...change, state: 'restored' })
        const ids = await findingIdsOfRun(tx, runId, 'imported')
        if (ids.length > 0)
          await moveFindings(tx, ids, ['imported'], {
            state: 'restored',
            runId,
            reason: null,
            at: clock.now(),
            actor,
          })
        await audit.record(tx, {
          type: 'file.restored',
          outcome: 'done',
          actor,
          target,
          correlation: runId,
          detail: { files },
        })
        for (const id of ids)
          await bus.publish(tx, { type: 'finding.restored', subject: `finding:${id}`, data: { runId } })
        return ids
      })
      return { files, findings }
    },
  }
}

/**
 * What the run wrote: what it has said, and a file that holds what it was going to write, because a run that was cancelled at
 * that moment could not say so any more.
 */
async function writtenBy(changes: readonly FileChangeRow[]): Promise<FileChangeRow[]> {
  const written: FileChangeRow[] = []
  for (const change of changes) {
    const unsaid = change.state === 'prepared'
    if (change.state === 'rewritten' || (unsaid && (await holds(change, change.sha_after))))
      written.push(change)
  }
  return written
}

async function holds({ root, file }: FileChangeRow, sha: string): Promise<boolean> {
  const present = await readProjectFile(root, file).catch(() => undefined)
  return present !== undefined && sha256(present.bytes) === sha
}

/** Every file must be what the run wrote, or already what it was before: an undo that was cut off goes on. */
async function untouched(changes: readonly FileChangeRow[]): Promise<Map<FileChangeRow, ProjectFile>> {
  const targets = new Map<FileChangeRow, ProjectFile>()
  for (const change of changes) {
    const file = await readProjectFile(change.root, change.file)
    const present = sha256(file.bytes)
    if (present !== change.sha_after && present !== change.sha_before)
      throw new AppError(
        'finding.changed',
        `${change.file} was edited after the run; nothing was put back. Revert that edit first.`,
      )
    targets.set(change, file)
  }
  return targets
}
