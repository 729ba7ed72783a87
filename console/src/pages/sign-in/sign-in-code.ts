type Browser = Pick<Window, 'location' | 'history'>

/**
 * Takes the one-time code out of the address (`/#code=…`) and out of the history at once, so that neither a bookmark nor
 * somebody looking at the screen keeps it. The fragment never reaches a server.
 */
export function takeSignInCode({ location, history }: Browser): string | undefined {
  const code = codeIn(location.hash)
  if (code === undefined) return undefined
  const path = location.pathname === '/sign-in' ? '/' : location.pathname
  history.replaceState(null, '', `${path}${location.search}`)
  return code
}

/** The code in a fragment, a pasted sign-in link, or a pasted code by itself. */
export function codeIn(text: string): string | undefined {
  const fragment = text.trim().split('#')[1]
  const code = fragment === undefined ? undefined : new URLSearchParams(fragment).get('code')
  return code === null || code === '' ? undefined : code
}
