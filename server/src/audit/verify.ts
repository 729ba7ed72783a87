import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import type { AuditEntry, AuditHead } from '@keyward/contract'
import { canonicalJson, digestOf } from '../core/index.ts'

/** What the first entry has as `previous`, and what the head of an empty chain has as `hash`. */
export const chainStart = '0'.repeat(64)

export type VerifyInput = {
  /** From the first entry on, oldest first. */
  readonly entries: AsyncIterable<AuditEntry>
  readonly head: AuditHead
  /** The key (SubjectPublicKeyInfo, PEM) that the verifier knows from elsewhere; without it the head's own is taken. */
  readonly publicKey?: string | undefined
  /** Heads seen earlier: the chain must still hold each of them, or rows were removed and the head signed anew. */
  readonly known?: readonly { readonly seq: number; readonly hash: string }[]
}

export type VerifyProblem = {
  readonly kind: 'sequence' | 'link' | 'hash' | 'length' | 'head' | 'signature' | 'key' | 'known'
  /** The entry at which it shows; for the head, the length that it states. */
  readonly seq: number
  readonly detail: string
}

export type VerifyReport = {
  readonly verified: boolean
  readonly entries: number
  readonly lastHash: string
  readonly firstAt: string | null
  readonly lastAt: string | null
  /** The first of them, in order; `problemCount` tells how many there were. */
  readonly problems: readonly VerifyProblem[]
  readonly problemCount: number
}

const problemsKept = 20

/**
 * Proves a chain without trusting who holds it: every hash and link, a sequence without gaps, the Ed25519 signature of
 * the head, and that the chain is exactly as long as the head says, so that removing the newest entries shows.
 */
export async function verifyAudit({
  entries,
  head,
  publicKey,
  known = [],
}: VerifyInput): Promise<VerifyReport> {
  const problems: VerifyProblem[] = []
  let problemCount = 0
  const report = (problem: VerifyProblem): void => {
    problemCount += 1
    if (problems.length < problemsKept) problems.push(problem)
  }
  const chain = {
    count: 0,
    seq: 0,
    hash: chainStart,
    firstAt: null as string | null,
    lastAt: null as string | null,
  }
  const expected = new Map(known.map(({ seq, hash }) => [seq, hash]))
  for await (const entry of entries) {
    for (const problem of entryProblems(entry, chain.seq, chain.hash)) report(problem)
    const knownHash = expected.get(entry.seq)
    if (knownHash === entry.hash) expected.delete(entry.seq)
    chain.count += 1
    chain.seq = entry.seq
    chain.hash = entry.hash
    chain.firstAt ??= entry.at
    chain.lastAt = entry.at
  }
  for (const problem of headProblems(head, chain, publicKey)) report(problem)
  for (const [seq, hash] of expected) {
    if (seq === 0 && hash === chainStart) continue
    report({
      kind: 'known',
      seq,
      detail: 'a head seen earlier is not in this chain: it was cut or written anew',
    })
  }
  return {
    verified: problemCount === 0,
    entries: chain.count,
    lastHash: chain.hash,
    firstAt: chain.firstAt,
    lastAt: chain.lastAt,
    problems,
    problemCount,
  }
}

function* entryProblems(entry: AuditEntry, lastSeq: number, lastHash: string): Iterable<VerifyProblem> {
  const { hash, ...content } = entry
  const { seq } = entry
  if (seq !== lastSeq + 1) {
    yield {
      kind: 'sequence',
      seq,
      detail: `entry ${lastSeq + 1} should stand here: one was removed or moved`,
    }
  }
  if (entry.previous !== lastHash) {
    yield { kind: 'link', seq, detail: 'it does not name the hash of the entry before it' }
  }
  if (digestOf(content) !== hash) {
    yield { kind: 'hash', seq, detail: 'its content is not what was hashed: it was changed' }
  }
}

function* headProblems(
  head: AuditHead,
  chain: { count: number; seq: number; hash: string },
  publicKey: string | undefined,
): Iterable<VerifyProblem> {
  const { seq } = head
  if (chain.count !== seq || chain.seq !== seq) {
    yield {
      kind: 'length',
      seq,
      detail: `the signed head says ${seq} entries, the chain holds ${chain.count}`,
    }
  }
  if (chain.hash !== head.hash) {
    yield { kind: 'head', seq, detail: 'the last entry is not the one that the head was signed for' }
  }
  const key = ed25519Key(head.publicKey)
  if (!key) {
    yield { kind: 'key', seq, detail: 'the head does not carry an Ed25519 public key' }
    return
  }
  if (publicKey !== undefined && !ed25519Key(publicKey)?.equals(key)) {
    yield { kind: 'key', seq, detail: 'the head is signed by another key than the one that is trusted' }
  }
  if (!signatureHolds(head, key)) {
    yield { kind: 'signature', seq, detail: 'the signature of the head does not fit its content' }
  }
}

/** What is wrong with an entry that follows one with this number and hash; undefined: nothing. */
export function problemOfEntry(
  entry: AuditEntry,
  last: { readonly seq: number; readonly hash: string },
): VerifyProblem | undefined {
  for (const problem of entryProblems(entry, last.seq, last.hash)) return problem
  return undefined
}

/** Whether the head's own key signed it. */
export function isSignedHead(head: AuditHead): boolean {
  const key = ed25519Key(head.publicKey)
  return key !== undefined && signatureHolds(head, key)
}

function ed25519Key(pem: string): KeyObject | undefined {
  try {
    const key = createPublicKey(pem)
    return key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return
  }
}

function signatureHolds({ seq, hash, at, signature }: AuditHead, key: KeyObject): boolean {
  return verify(null, Buffer.from(canonicalJson({ seq, hash, at })), key, Buffer.from(signature, 'base64'))
}
