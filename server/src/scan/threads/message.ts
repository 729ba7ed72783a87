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
  /** Two numbers that the thread keeps: the index of what it is looking at, and a count that shows it is alive. */
  readonly signs: SharedArrayBuffer
  /** Where compiled modules are kept, if they are. */
  readonly compiled: string | undefined
}

export type Order = { readonly job: Job; readonly passedOver: ReadonlyMap<number, string> }

/** A `Secret` does not cross from thread to thread, so its value does, and is wrapped again at once. */
type Carried = Omit<RawFinding, 'value'> & { readonly carried: string }
export type Report = readonly (Omit<Looked, 'findings'> & { readonly findings: readonly Carried[] })[]

export const packed = (looked: readonly Looked[]): Report =>
  looked.map((one) => ({
    ...one,
    findings: one.findings.map(({ value, ...finding }) => ({ ...finding, carried: value.reveal() })),
  }))

export const unpacked = (report: Report): Looked[] =>
  report.map((one) => ({
    ...one,
    findings: one.findings.map(({ carried, ...finding }) => ({ ...finding, value: new Secret(carried) })),
  }))
