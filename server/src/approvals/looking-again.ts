import type { Reader } from '../store/index.ts'
import type { Workflow } from '../workflow/index.ts'
import { type Open, pendingAbout } from './waiting-store.ts'

type Needs = {
  store: Reader
  workflow: Pick<Workflow, 'driftOf'>
  /** Whatever happens to one question, the others are looked at. */
  logged: (work: Promise<unknown>) => Promise<void>
  /** Ends the question, if it is still open: whoever answers later is told that it is void. */
  drifted: (id: string, reason: string) => Promise<unknown>
}

const mostLookedAt = 200

/** What open questions ask for is compared with what would run now. */
export function createLookingAgain({ store, workflow, logged, drifted }: Needs) {
  async function look({ id, ...asked }: Open): Promise<void> {
    const reason = await workflow.driftOf({ ...asked, approvalId: id })
    if (reason !== undefined) await drifted(id, reason)
  }

  return {
    async lookAgain(words: string): Promise<void> {
      for (const open of await pendingAbout(store, words, mostLookedAt)) await logged(look(open))
    },
  }
}
