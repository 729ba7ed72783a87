import type { Proof } from '@keyward/contract'
import { callService, reasonOf, Secret, type ServiceCall } from '../core/index.ts'
import type { Needs as LendNeeds } from './lend.ts'
import { type Probe, unanswered } from './receipts.ts'
import { type Minting, tokenProbe, tokenRevocation } from './token-requests.ts'
import { beginTokenEnd, keepTokenProof, type TokenRow, tokensOfLease } from './token-store.ts'

type Needs = Pick<LendNeeds, 'store' | 'clock' | 'vault'> & {
  /** Lends the token to nobody any more. */
  forget(tokenId: string): void
  /** Resolves when no use is under way: one that began before the lease ended may still mint a token. */
  idle(): Promise<void>
}

export const tokenPlace = (tokenId: string): string => `lend/tokens/${tokenId}`

/**
 * Ends the access tokens that were minted for a lease at their servers, unless they serve another lease too, and shows them there
 * once more. A server that goes on taking what it said is revoked is told as such.
 */
export function createTokenEnds({ store, clock, vault, forget, idle }: Needs): Probe {
  async function end(row: TokenRow): Promise<Proof> {
    const now = clock.now()
    if (row.expires_at !== null && row.expires_at <= now.getTime())
      return {
        ...of(row),
        how: 'its time there is over',
        answer: isoOf(row.expires_at) ?? '',
        result: 'confirmed',
      }
    const kept = await vault.sealed.get(tokenPlace(row.id))
    if (row.revoke_url === null || !kept) return livesOn(row, 'nothing is known that revokes it there', '')
    const how = JSON.parse(row.how) as Minting
    const token = new Secret(kept.toString())
    const fields = (await vault.kv.read(row.secret_path))?.data ?? {}
    const material = { value: fields[row.field], fields }
    const revoked = await statusOf(tokenRevocation(how, row.revoke_url, token, material))
    const probed = row.probe_url === null ? undefined : await statusOf(tokenProbe(how, row.probe_url, token))
    return proofOf(row, revoked, probed)
  }

  async function endOnce(row: TokenRow): Promise<Proof> {
    if (row.proof !== null) return JSON.parse(row.proof) as Proof
    const other = await store.write((tx) => beginTokenEnd(tx, row.id, clock.now().getTime()))
    if (other !== undefined) return livesOn(row, `it serves the lease ${other} too, and ends with it`, '')
    forget(row.id)
    const proof = await end(row).catch((error: unknown) => unanswered(hostOf(row), reasonOf(error), revoking))
    if (proof.result === 'accepted' || proof.result === 'unanswered') return proof
    await store.write(async (tx) => {
      await keepTokenProof(tx, row.id, JSON.stringify(proof))
      await vault.sealed.delete(tx, tokenPlace(row.id))
    })
    return proof
  }

  return async ({ leaseId }) => {
    await idle()
    const proofs: Proof[] = []
    for (const row of await tokensOfLease(store, leaseId)) proofs.push(await endOnce(row))
    return proofs
  }
}

const revoking = 'revoked at its server'
const tried = 'revoked at its server, then shown to it'

function proofOf(row: TokenRow, revoked: number, probed: number | undefined): Proof {
  const how = probed === undefined ? revoking : tried
  const answer = [revoked, ...(probed === undefined ? [] : [probed])].join(', then ')
  if (probed === 401) return { ...of(row), how, answer, result: 'refused' }
  if (isAway(revoked) || (probed !== undefined && isAway(probed))) return unanswered(hostOf(row), answer, how)
  if (revoked >= 300) return livesOn(row, 'its server does not revoke it', answer)
  return { ...of(row), how, answer, result: probed === undefined ? 'confirmed' : 'accepted' }
}

const isAway = (status: number): boolean => status >= 500 || status === 429 || status === 408

const statusOf = async (call: ServiceCall): Promise<number> => (await callService(call)).status

const livesOn = (row: TokenRow, how: string, answer: string): Proof => ({
  ...of(row),
  how,
  answer,
  result: 'lives_on',
  livesUntil: isoOf(row.expires_at),
})

const of = (row: TokenRow): Pick<Proof, 'by' | 'livesUntil'> => ({ by: hostOf(row), livesUntil: null })

function hostOf({ revoke_url, how }: TokenRow): string {
  const minting = JSON.parse(how) as Minting
  const url = revoke_url ?? ('tokenUrl' in minting ? minting.tokenUrl : undefined)
  return url === undefined ? 'its server' : new URL(url).host
}

const isoOf = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())
