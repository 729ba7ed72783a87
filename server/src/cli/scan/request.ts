import { AppError } from '../../core/index.ts'
import type { Format } from '../../scan/index.ts'

export const confidences = ['high', 'medium', 'low'] as const
export type Confidence = (typeof confidences)[number]

/** What the options of `keyward scan` say. */
export type ScanOptions = {
  readonly json?: boolean
  readonly format?: Format
  readonly output?: string
  readonly baseline?: string
  readonly config?: string
  readonly confidence?: Confidence
  readonly failOn?: Confidence
  readonly history: boolean
  readonly newCommits?: boolean
  readonly state?: string
  readonly dangling?: boolean
  readonly ignoreFiles: boolean
  readonly strict?: boolean
  readonly progress?: boolean
  readonly staged?: boolean
  readonly filesFrom?: string
  readonly environment?: boolean
  readonly pid?: number
  readonly thisUser?: boolean
  readonly watch?: boolean
}

export type Source =
  | { readonly kind: 'project' | 'staged'; readonly path: string }
  | { readonly kind: 'input' | 'environment' | 'user' }
  | { readonly kind: 'list'; readonly from: string }
  | { readonly kind: 'process'; readonly pid: number }

/** What is to be scanned: one thing at a time. */
export function sourceOf(path: string | undefined, options: ScanOptions): Source {
  const { staged, filesFrom, environment, pid, thisUser } = options
  const asked: Source[] = []
  if (staged) asked.push({ kind: 'staged', path: path ?? '.' })
  if (filesFrom !== undefined) asked.push({ kind: 'list', from: filesFrom })
  if (environment) asked.push({ kind: 'environment' })
  if (pid !== undefined) asked.push({ kind: 'process', pid })
  if (thisUser) asked.push({ kind: 'user' })
  const named = path !== undefined && !staged
  if (asked.length + Number(named) > 1)
    throw new AppError(
      'request.invalid',
      'a scan has one source: a path, or one of --staged, --files-from, --environment, --pid and --this-user',
    )
  const [source] = asked
  if (source) return source
  return path === '-' ? { kind: 'input' } : { kind: 'project', path: path ?? '.' }
}
