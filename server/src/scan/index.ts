export type { Detector } from './detector.ts'
export {
  type Confidence,
  type GroupedFinding,
  groupByFingerprint,
  type Place,
  type RawFinding,
  type ScanEvent,
  type Syntax,
} from './finding.ts'
export { type Format, formatFindings, formats } from './formats/index.ts'
export { createScanner, type Scanner } from './scan.ts'
