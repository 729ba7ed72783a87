import { createBudget } from '../budget.ts'
import type { Engine } from '../engine.ts'
import type { RawFinding } from '../finding.ts'
import { lookThroughFile } from '../sources/look-file.ts'
import { createFileReader } from '../sources/read-file.ts'

/** Files of a folder that are to be read, with what went wrong while they were listed. */
type FilesJob = {
  readonly kind: 'files'
  readonly root: string
  readonly items: readonly string[]
  readonly problems: readonly Problem[]
}

/** Bytes that are in memory already: parts of one array, because that crosses to another thread as one copy. */
type PassagesJob = {
  readonly kind: 'passages'
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly items: readonly Part[]
}

export type Part = {
  readonly start: number
  readonly end: number
  readonly file: string
  readonly line: number
  readonly commit: { readonly id: string; readonly author: string; readonly committedAt: Date }
}

export type Job = FilesJob | PassagesJob
export type Problem = { readonly file: string; readonly reason: string }

/** What one file, or one part, turned out to hold. */
export type Looked = {
  /** False for what was met while the folder was listed. */
  readonly isFile: boolean
  readonly findings: readonly RawFinding[]
  readonly problems: readonly Problem[]
  readonly bytesScanned: number
}

export type Course = {
  /** Told before each one, so that whoever watches knows which one ended a thread. */
  readonly begin?: (index: number) => void
  /** What is passed over, by its index, and why. */
  readonly passedOver?: ReadonlyMap<number, string>
  readonly signal?: AbortSignal | undefined
}

/** Looks through jobs on the thread that it was made on. */
export type Looker = {
  /** One entry for each item, in their order. */
  look(job: Job, course?: Course): Promise<Looked[]>
}

export function createLooker(engine: Engine): Looker {
  const reader = createFileReader()

  /** A mistake of ours in one file is told and does not end the scan of the others; its message may quote the file. */
  async function lookAt(job: Job, index: number, signal: AbortSignal | undefined): Promise<Looked> {
    try {
      if (job.kind === 'files') {
        const at = { root: job.root, file: nameOf(job, index), signal }
        return await lookThroughFile({ engine, reader }, at)
      }
      const part = job.items[index]
      return part ? lookAtPart(engine, job.bytes, part) : failed('', 'there is no such part')
    } catch (error) {
      signal?.throwIfAborted()
      const kind = error instanceof Error ? error.name : 'unknown'
      return failed(nameOf(job, index), `it could not be looked through (${kind})`)
    }
  }

  return {
    async look(job, course = {}) {
      const looked: Looked[] = []
      if (job.kind === 'files' && job.problems.length > 0)
        looked.push({ isFile: false, findings: [], problems: job.problems, bytesScanned: 0 })
      for (let index = 0; index < job.items.length; index++) {
        course.signal?.throwIfAborted()
        course.begin?.(index)
        const reason = course.passedOver?.get(index)
        if (reason === undefined) looked.push(await lookAt(job, index, course.signal))
        else looked.push(failed(nameOf(job, index), reason))
      }
      return looked
    },
  }
}

function nameOf(job: Job, index: number): string {
  const item = job.items[index]
  return typeof item === 'string' ? item : (item?.file ?? '')
}

const failed = (file: string, reason: string): Looked => ({
  isFile: true,
  findings: [],
  problems: [{ file, reason }],
  bytesScanned: 0,
})

function lookAtPart(engine: Engine, all: Uint8Array<ArrayBuffer>, part: Part): Looked {
  const { start, end, file, line, commit } = part
  const bytes = Buffer.from(all.buffer, all.byteOffset + start, end - start)
  const budget = createBudget(bytes.length)
  const findings = engine.detect({ bytes, file, line, commit, budget })
  const problems = budget.exceeded ? [{ file, reason: budget.exceeded }] : []
  return { isFile: true, findings, problems, bytesScanned: bytes.length }
}
