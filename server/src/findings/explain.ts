import type { FindingExplanation } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import { contextOf } from './context.ts'
import { type FindingRow, findingsById, movesOf } from './findings-store.ts'
import type { FindingsNeeds } from './needs.ts'
import { type PlaceRow, placesOf } from './places-store.ts'
import { readProjectFile } from './project-file.ts'
import { rotationOf } from './rotation.ts'

export type Explain = {
  /** The lines around a finding as they are now, what happened to it, and how its key is changed. */
  explain(findingId: string): Promise<FindingExplanation>
}

type Context = FindingExplanation['contexts'][number]

const mostFiles = 3
const mostMoves = 50

export function createExplain({ store, scanner }: Pick<FindingsNeeds, 'store' | 'scanner'>): Explain {
  async function contextIn(row: FindingRow, { file, wrapping }: PlaceRow): Promise<Context> {
    const without = (problem: string): Context => ({ file, lines: [], problem })
    if (wrapping === 'archive') return without('It lies inside an archive.')
    if (wrapping === 'binary') return without('The file is no text.')
    try {
      const { bytes } = await readProjectFile(row.root, file)
      const all = (await scanner()).contents(bytes, file)
      const own = all.find(({ fingerprint }) => fingerprint === row.fingerprint)
      if (!own) return without('The file does not hold it any more. Scan again.')
      if (own.place.encoding !== 'utf8') return without('The file is UTF-16.')
      return { file, lines: contextOf(bytes, all, own.place), problem: null }
    } catch (error) {
      if (error instanceof AppError) return without(error.detail ?? error.message)
      throw error
    }
  }

  return {
    async explain(findingId) {
      const [row] = await findingsById(store, [findingId])
      if (!row) throw new AppError('finding.not_found', `there is no finding '${findingId}'`)
      const places = await placesOf(store, [findingId])
      const byFile = new Map(
        places.filter(({ commit_id }) => commit_id === null).map((place) => [place.file, place]),
      )
      const contexts: Context[] = []
      for (const place of [...byFile.values()].slice(0, mostFiles)) contexts.push(await contextIn(row, place))
      const inHistory = places.some(({ commit_id }) => commit_id !== null)
      const moves = await movesOf(store, findingId, mostMoves)
      return {
        contexts,
        moves: moves.map((move) => ({
          at: new Date(move.at).toISOString(),
          to: move.to_state,
          actor: move.actor,
          reason: move.reason,
          scanId: move.scan_id,
          runId: move.run_id,
        })),
        rotation: rotationOf({ provider: row.provider, rule: row.rule, inHistory }),
      }
    },
  }
}
