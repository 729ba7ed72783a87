import { readFile } from 'node:fs/promises'
import { AppError, reasonOf } from '../../core/index.ts'
import type { ScanEvent } from '../finding.ts'
import { type ContentsOptions, createTally, isNew, type LookThrough, movedTo } from './contents.ts'

type Variable = readonly [name: string, value: string]

/**
 * The variables of a process. They are looked through together, because some credentials come in pairs; each finding is
 * told by the name of its variable.
 */
export async function* scanEnvironment(
  lookThrough: LookThrough,
  variables: readonly Variable[],
  { owner, ...options }: ContentsOptions & { owner: string },
): AsyncGenerator<ScanEvent> {
  const bytes = Buffer.from(variables.map(([name, value]) => `${name}=${written(value)}\n`).join(''))
  const tally = createTally(1)
  for (const finding of await lookThrough(bytes, 'variables.env')) {
    const name = variables[finding.place.line - 1]?.[0] ?? ''
    if (isNew(finding, options))
      yield {
        kind: 'finding',
        finding: movedTo(finding, { file: `${owner}/${name}`, line: 1, endLine: 1, column: 1 }),
      }
  }
  tally.add(bytes.length)
  yield tally.event()
}

/** On one line, and quoted where a file of variables needs it. */
const written = (value: string): string => (/[\s"'`#\\]/.test(value) ? JSON.stringify(value) : value)

/** What a process was started with. Linux shows it to the same user and to root. */
export async function variablesOf(pid: number, root = '/proc'): Promise<Variable[]> {
  try {
    const text = await readFile(`${root}/${pid}/environ`, 'utf8')
    return text
      .split('\0')
      .filter((entry) => entry.includes('='))
      .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const)
  } catch (error) {
    throw new AppError(
      'scan.path_unreadable',
      `the environment of process ${pid}: ${reasonOf(error)}. Linux shows it to the same user and to root`,
      { cause: error },
    )
  }
}
