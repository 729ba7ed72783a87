/** Segments of a path; a star stands for one of them, two stars at the end for all that follows. */
export const pathPatternShape = /^(?:\/(?:\*|[A-Za-z0-9._~!$&'()+,;=:@%-]*))*(?:\/\*\*)?$/

/** What such a pattern admits, for paths without a query. */
export function pathExpression(pattern: string): RegExp {
  const open = pattern.endsWith('/**')
  const segments = (open ? pattern.slice(0, -3) : pattern).split('/')
  const parts = segments.map((segment) =>
    segment === '*' ? '[^/]+' : segment.replaceAll(/[^A-Za-z0-9]/g, String.raw`\$&`),
  )
  return new RegExp(`^${parts.join('/')}${open ? '/.*' : ''}$`)
}
