/**
 * Looks again and again until there is something. The limit is for what never comes: on a machine that is busy with other
 * things, what takes a second can take a minute.
 */
export async function eventually<T>(look: () => Promise<T | undefined | false>, what: string): Promise<T> {
  const end = Date.now() + 240_000
  while (Date.now() < end) {
    const found = await look()
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`waited in vain for ${what}`)
}
