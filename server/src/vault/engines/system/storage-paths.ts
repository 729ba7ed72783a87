import { AppError } from '../../../core/index.ts'
import type { Answer, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { textField } from '../../fields.ts'
import type { Snapshots } from '../../snapshot/snapshots.ts'

/** `sys/storage/raft/snapshot`: there is no Raft here, but this is where clients look for snapshots. */
export function storagePaths(snapshots: Snapshots, reload: () => void): PathSpec[] {
  const restore =
    (force: boolean) =>
    async ({ body }: Call): Promise<WriteHandler> => {
      const sent = textField(body, 'snapshot')
      if (!sent) throw new AppError('request.invalid', 'missing request body: the snapshot')
      const replace = await snapshots.restore(Buffer.from(sent, 'base64'), force)
      return async (tx) => {
        await replace(tx)
        tx.afterCommit(reload)
        return { note: { restored: true, force } }
      }
    }
  return [
    {
      pattern: 'storage/raft/snapshot',
      async read(): Promise<Answer> {
        return { raw: { contentType: 'application/gzip', bytes: await snapshots.save() } }
      },
      post: restore(false),
    },
    { pattern: 'storage/raft/snapshot-force', post: restore(true) },
  ]
}
