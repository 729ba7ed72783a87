// The same requests to a real OpenBao server and to Keyward. Where the answers are not the same, the table of exceptions says why.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { authSequences } from './support/differential/auth.ts'
import { engineSequences } from './support/differential/engines.ts'
import { exceptionsOf } from './support/differential/exceptions.ts'
import { kvSequences } from './support/differential/kv.ts'
import { differencesOf, type Sequence } from './support/differential/steps.ts'
import { systemSequences } from './support/differential/system.ts'
import { tokenSequences } from './support/differential/tokens.ts'
import { transitSequences } from './support/differential/transit.ts'
import { openTwins } from './support/differential/twins.ts'

const areas: Readonly<Record<string, readonly Sequence[]>> = {
  'KV and cubbyhole': kvSequences,
  tokens: tokenSequences,
  'userpass and AppRole': authSequences,
  transit: transitSequences,
  'sys/': systemSequences,
  'identity, certificates, one-time codes, SSH, JWT and database': engineSequences,
}

for (const [area, sequences] of Object.entries(areas))
  test(`VAULT-2: ${area}: each request is answered as a real OpenBao server answers it`, async (t) => {
    const bao = await baoOrSkip(t)
    if (bao === undefined) return
    const twins = await openTwins(t, bao)
    for (const sequence of sequences) {
      const excepted = exceptionsOf(sequence.name)
      const found = await differencesOf(twins, sequence)
      const unknown = found.filter(({ at }) => !excepted.some((exception) => exception.covers(at)))
      assert.deepEqual(unknown, [], `${sequence.name}: a difference without a reason in exceptions.ts`)
      const stale = excepted.filter(({ covers }) => !found.some(({ at }) => covers(at)))
      assert.deepEqual(
        stale.map(({ request }) => request),
        [],
        `${sequence.name}: exceptions without a difference`,
      )
    }
  })
