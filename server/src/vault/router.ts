import type { Engine, PathSpec } from './engine.ts'

/** An engine at a path. `path` ends in `/`. */
export type Routed = { readonly path: string; readonly engine: Engine }
export type Match = {
  readonly mountPath: string
  readonly spec: PathSpec
  readonly params: Readonly<Record<string, string>>
}

export type Router = {
  /** Takes the place of what was routed before. */
  replace(mounts: readonly Routed[]): void
  /** `list`: the path is a folder's, with a slash at its end. Any other path with one is not the path without it. */
  match(path: string, list?: boolean): Match | undefined
  /** What is served where. */
  routed(): readonly Routed[]
}

const mostFound = 500
const shortAndPlain = /^[ -~]{1,200}$/

type Segment = { readonly name: string; readonly kind: 'literal' | 'one' | 'rest' }
type CompiledPath = { readonly segments: readonly Segment[]; readonly spec: PathSpec }

/** Finds the mount with the longest path, then the first of its engine's patterns that fits the rest. */
export function createRouter(): Router {
  let current: readonly Routed[] = []
  let byPath = new Map<string, readonly CompiledPath[]>()
  /** What was found for paths that are not folders, since what is mounted has changed. */
  const found = new Map<string, Match>()

  function mountOf(path: string): string | undefined {
    const whole = `${path}/`
    if (byPath.has(whole)) return whole
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const prefix = path.slice(0, end + 1)
      if (byPath.has(prefix)) return prefix
    }
    return undefined
  }

  function find(path: string, list: boolean): Match | undefined {
    const mountPath = mountOf(path)
    if (mountPath === undefined) return undefined
    const rest = path.slice(mountPath.length)
    for (const { segments, spec } of byPath.get(mountPath) ?? []) {
      const params = fit(segments, rest, list)
      if (params) return { mountPath, spec, params }
    }
    return undefined
  }

  return {
    routed: () => current,
    replace(mounts) {
      current = mounts
      byPath = new Map(mounts.map(({ path, engine }) => [path, engine.paths.map(compile)]))
      found.clear()
    },
    match(path, list = false) {
      if (list) return find(path, true)
      const last = found.get(path)
      if (last || !shortAndPlain.test(path)) return last ?? find(path, false)
      // A copy: a part of a request's text would keep the whole of it, with its token, in memory.
      const own = Buffer.from(path, 'latin1').toString('latin1')
      const match = find(own, false)
      if (found.size === mostFound) found.clear()
      if (match) found.set(own, match)
      return match
    },
  }
}

function compile(spec: PathSpec): CompiledPath {
  const segments = spec.pattern.split('/').map((text): Segment => {
    if (!text.startsWith('{')) return { name: text, kind: 'literal' }
    const rest = text.endsWith('...}')
    return { name: text.slice(1, rest ? -4 : -1), kind: rest ? 'rest' : 'one' }
  })
  return { segments, spec }
}

function fit(segments: readonly Segment[], path: string, list: boolean): Record<string, string> | undefined {
  const params: Record<string, string> = {}
  let at = 0
  for (const { name, kind } of segments) {
    if (kind === 'rest') {
      params[name] = path.slice(at)
      return params
    }
    const slash = path.indexOf('/', at)
    const end = slash < 0 ? path.length : slash
    const part = path.slice(at, end)
    if (kind === 'literal' ? part !== name : part === '') return undefined
    if (kind === 'one') params[name] = part
    at = Math.min(end + 1, path.length)
  }
  return at >= path.length && (list || !path.endsWith('/')) ? params : undefined
}
