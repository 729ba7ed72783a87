import type { Detector } from './detector.ts'
import { detectors } from './detectors/index.ts'
import { createEngine, type Engine } from './engine.ts'

type Needs = {
  readonly fingerprintKey: Uint8Array
  /** What to look for besides, or with `only`, instead of, the built-in detectors. */
  readonly rules: { readonly detectors: readonly Detector[]; readonly only: boolean }
}

/** The engine with every detector there is. The same on each thread. */
export function createFullEngine({ fingerprintKey, rules }: Needs): Engine {
  return createEngine({
    detectors: rules.only ? rules.detectors : [...detectors, ...rules.detectors],
    fingerprintKey: Buffer.from(fingerprintKey),
    today: () => new Date().toISOString().slice(0, 10),
  })
}
