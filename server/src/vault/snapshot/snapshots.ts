import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { readArchive, writeArchive } from '../../backup/index.ts'
import { AppError, type Clock } from '../../core/index.ts'
import { type CopiedTable, replaceRows, type Store, type Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { readTar, writeTar } from './tar.ts'

/**
 * The vault's own storage in one file, encrypted as it is on disk, in the form that `operator raft snapshot` expects: an archive
 * with a description, the state, their SHA-256, and these once more, encrypted by the barrier, which tells whose snapshot it is.
 */
export type Snapshots = {
  save(): Promise<Buffer>
  /** Checks it; what comes back takes the place of everything in the vault. `force`: it may be of another vault. */
  restore(bytes: Buffer, force: boolean): Promise<(tx: Tx) => Promise<void>>
}

type Needs = {
  store: Store
  barrier: Pick<Barrier, 'close' | 'reveal'>
  clock: Pick<Clock, 'now'>
  version: string
}

const metaFile = 'meta.json'
const stateFile = 'state.bin'
const sumsFile = 'SHA256SUMS'
const sealedFile = 'SHA256SUMS.sealed'
const sealedContext = 'snapshot'

/** All of the vault's tables, and no others. */
const isOurs = ({ name }: Pick<CopiedTable, 'name'>): boolean => name.startsWith('vault_')

export function createSnapshots({ store, barrier, clock, version }: Needs): Snapshots {
  const stateOf = (at: Date): Promise<Buffer> =>
    store.copy(async (tables, migrations) => {
      const header = {
        format: 'keyward-backup',
        version: 1,
        createdAt: at.toISOString(),
        program: version,
        dialect: store.dialect,
        migrations,
        head: null,
        files: {},
      } as const
      const chunks: Uint8Array[] = []
      for await (const chunk of writeArchive(header, tables.filter(isOurs))) chunks.push(chunk)
      return Buffer.concat(chunks)
    })

  function assertOwn(sums: Buffer, sealed: Buffer): void {
    let opened = ''
    try {
      opened = barrier.reveal(sealedContext, sealed)
    } catch {
      // Said below: it was encrypted by another barrier, or altered.
    }
    if (opened !== sums.toString('utf8'))
      throw new AppError(
        'request.invalid',
        'could not verify hash file, possibly the snapshot is using a different set of unseal keys; use the snapshot-force API to bypass this check',
      )
  }

  return {
    async save() {
      const at = clock.now()
      const state = await stateOf(at)
      const id = `keyward-${at.toISOString().replaceAll(/[:.]/g, '-')}`
      const meta = Buffer.from(
        `${JSON.stringify({ Version: 1, ID: id, Index: at.getTime(), Term: 1, Size: state.length })}\n`,
      )
      const files = [
        { name: metaFile, content: meta },
        { name: stateFile, content: state },
      ]
      const sums = sumsOf(files)
      const sealed = await store.write((tx) => barrier.close(tx, sealedContext, sums))
      const archive = writeTar(
        [...files, { name: sumsFile, content: Buffer.from(sums) }, { name: sealedFile, content: sealed }],
        at,
      )
      return promisify(gzip)(archive, { level: 1 })
    },
    async restore(bytes, force) {
      const files = readTar(await unpacked(bytes))
      const [meta, state, sums, sealed] = [metaFile, stateFile, sumsFile, sealedFile].map((name) =>
        files.get(name),
      )
      if (!meta || !state || !sums || !sealed) throw incomplete
      const content = [
        { name: metaFile, content: meta },
        { name: stateFile, content: state },
      ]
      if (sumsOf(content) !== sums.toString('utf8')) throw incomplete
      if (!force) assertOwn(sums, sealed)
      const tables = await store.copy(async (all) => all.filter(isOurs))
      return async (tx) => {
        const { parts } = await readArchive(chunksOf(state))
        await replaceRows(tx, tables, parts)
      }
    },
  }
}

const sumsOf = (files: readonly { name: string; content: Buffer }[]): string =>
  files
    .map(({ name, content }) => `${createHash('sha256').update(content).digest('hex')}  ${name}\n`)
    .join('')

const incomplete = new AppError(
  'request.invalid',
  'failed to read the snapshot: a file in it is missing or damaged',
)

/** A small file must not become a very large one. */
const mostUnpackedBytes = 1024 ** 3

async function unpacked(bytes: Buffer): Promise<Buffer> {
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: mostUnpackedBytes })
  } catch {
    throw new AppError('request.invalid', 'failed to read the snapshot: it is no compressed archive')
  }
}

async function* chunksOf(bytes: Buffer): AsyncIterable<Uint8Array> {
  yield bytes
}
