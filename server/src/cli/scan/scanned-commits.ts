import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { stateFolder } from '../places.ts'
import { readPrivateFile, writePrivateFile } from '../private-file.ts'
import type { ScanNeeds, Scanning } from './scanning.ts'

const shape = z.object({ rules: z.string(), commits: z.array(z.string().regex(/^[0-9a-f]{40,64}$/)) })

type ScannedCommits = {
  /** Commits that were looked through with these rules, with all that came before them. */
  readonly known: readonly string[]
  /** Remembers that everything is known which was there when this was opened. */
  keep(): Promise<void>
}

type Options = { readonly path: string; readonly state?: string; readonly dangling?: boolean }

/** Other rules, or another version of the built-in ones, begin anew. */
export async function openScannedCommits(
  { env, cwd, version }: Pick<ScanNeeds, 'env' | 'cwd' | 'version'>,
  { sources, settings }: Pick<Scanning, 'sources' | 'settings'>,
  { path, state, dangling = false }: Options,
): Promise<ScannedCommits> {
  const name = `${digestOf(await realpath(path)).slice(0, 32)}.json`
  const file = state === undefined ? join(stateFolder(env), 'scanned', name) : resolve(cwd, state)
  const rules = digestOf(
    JSON.stringify([
      version,
      dangling,
      settings.detectors.map(({ rule, pattern }) => [rule, pattern.source]),
    ]),
  )
  const kept = parsed(await readPrivateFile(file))
  const tips = await sources.tips(path, { dangling })
  return {
    known: kept?.rules === rules ? kept.commits : [],
    keep: () => writePrivateFile(file, `${JSON.stringify({ rules, commits: tips })}\n`),
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

/** A file that is no longer understood is as good as none: everything is looked through. */
function parsed(text: string | undefined): z.infer<typeof shape> | undefined {
  if (text === undefined) return
  try {
    return shape.parse(JSON.parse(text))
  } catch {
    return
  }
}
