import { Secret } from '../../core/index.ts'
import type { Detector } from '../detector.ts'
import type { RawFinding } from '../finding.ts'
import type { Job, Looked } from './job.ts'

/** What a thread builds its engine from. */
export type Blueprint = {
  readonly fingerprintKey: Uint8Array
  readonly rules: { readonly detectors: readonly Detector[]; readonly only: boolean }
}

export type WorkerData = Blueprint & {
  /**
   * Three numbers that the thread keeps: the index of what it is looking at, a count that shows it is alive, and the
   * number of the order that it works on.
   */
  readonly signs: SharedArrayBuffer
  /** Where compiled modules are kept, if they are. */
  readonly compiled: string | undefined
}

/** The index of an order of which nothing was looked at yet. */
export const notBegun = -1

/** Orders are worked on one after the other, in their order. */
export type Order = {
  readonly number: number
  readonly job: Job
  readonly passedOver: ReadonlyMap<number, string>
}

/** A `Secret` does not cross from thread to thread, so its value does, and is wrapped again at once. */
type Carried = Omit<RawFinding, 'value'> & { readonly carried: string }
type Packed = readonly (Omit<Looked, 'findings'> & { readonly findings: readonly Carried[] })[]
export type Report = { readonly number: number; readonly packed: Packed }

export const packed = (looked: readonly Looked[]): Packed =>
  looked.map((one) => ({
    ...one,
    findings: one.findings.map(({ value, ...finding }) => ({ ...finding, carried: value.reveal() })),
  }))

export const unpacked = (report: Packed): Looked[] =>
  report.map((one) => ({
    ...one,
    findings: one.findings.map(({ carried, ...finding }) => ({ ...finding, value: new Secret(carried) })),
  }))
