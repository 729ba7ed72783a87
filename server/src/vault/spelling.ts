import type { Acl } from './acl/acl.ts'
import type { Operation, PathSpec } from './engine.ts'
import type { Match } from './router.ts'

/** Paths in which names are the same in upper and lower case. */
export const foldingCase = (paths: readonly PathSpec[]): PathSpec[] =>
  paths.map((spec) => ({ ...spec, foldsCase: true }))

/**
 * Whether a rule denies the path as it would usually be written, when it was asked in another way that means the same: what is
 * denied under one spelling is denied under all. Nothing is allowed by another spelling than the one that was asked.
 */
export function isDeniedOtherwise(
  acl: Pick<Acl, 'denies'>,
  match: Match | undefined,
  path: string,
  operation: Operation,
): boolean {
  const bare = operation !== 'list' && path.endsWith('/') ? path.slice(0, -1) : path
  const usual = match?.spec.foldsCase
    ? match.mountPath + bare.slice(match.mountPath.length).toLowerCase()
    : bare
  return usual !== path && acl.denies(usual, operation === 'list')
}
