import type { AuditEntry } from '@keyward/contract'
import { chainStart, entryFromCopy, isSignedHead, problemOfEntry } from '../audit/index.ts'
import { AppError } from '../core/index.ts'
import type { Header, OpenArchive, Part, Totals } from './archive.ts'

export type CheckedBackup = {
  readonly createdAt: string
  readonly program: string
  readonly dialect: string
  readonly tables: Totals
  readonly audit: {
    readonly entries: number
    readonly lastHash: string
    /** The signed length and hash are in the chain; false: the vault was sealed, and nobody could sign. */
    readonly signed: boolean
  }
  readonly hasUnsealKey: boolean
}

/** Reads all of it and believes nothing: digests, the end, the chain of the audit log and its signature. */
export async function checkArchive({ header, parts, totals }: OpenArchive): Promise<CheckedBackup> {
  const chain = createChain(header)
  for await (const part of parts) for (const entry of entriesOf(part)) chain.follow(entry)
  return {
    createdAt: header.createdAt,
    program: header.program,
    dialect: header.dialect,
    tables: totals(),
    audit: chain.end(),
    hasUnsealKey: unsealKeyFile in header.files,
  }
}

export const unsealKeyFile = 'unseal.key'

function entriesOf({ table, columns, rows }: Part): AuditEntry[] {
  return rows.flatMap((row) => entryFromCopy(table, columns, row) ?? [])
}

function createChain({ head }: Pick<Header, 'head'>) {
  let last = { seq: 0, hash: chainStart }
  let headFound = head === null
  return {
    follow(entry: AuditEntry): void {
      const problem = problemOfEntry(entry, last)
      if (problem) throw new AppError('backup.invalid', `audit entry ${entry.seq}: ${problem.detail}`)
      last = { seq: entry.seq, hash: entry.hash }
      if (head?.seq === entry.seq) headFound = head.hash === entry.hash && isSignedHead(head)
    },
    end(): CheckedBackup['audit'] {
      if (!headFound) throw new AppError('backup.invalid', 'its audit log is not the one that was signed')
      return { entries: last.seq, lastHash: last.hash, signed: head !== null }
    },
  }
}
