import type { Principal } from '../core/index.ts'
import type { Reader } from '../store/index.ts'

/** What approvals have to know of people and agents. */
export type Directory = {
  /** An open account by its actor; undefined for everybody else. */
  person(reader: Reader, actor: string): Promise<Known | undefined>
  /** The actor whose agent this actor is. */
  ownerOf(reader: Reader, actor: string): Promise<string | undefined>
}

export type Known = Pick<Principal, 'id' | 'name' | 'roles'> & { readonly groups: readonly string[] }

/** Nobody builds a longer chain of agents; a circle ends here, too. */
const longestChain = 10

/** Who asked, and everybody behind them. */
export async function requestersOf(
  directory: Directory,
  reader: Reader,
  requestedBy: string,
): Promise<string[]> {
  const chain = [requestedBy]
  while (chain.length < longestChain) {
    const owner = await directory.ownerOf(reader, chain.at(-1) ?? '')
    if (owner === undefined || chain.includes(owner)) break
    chain.push(owner)
  }
  return chain
}
