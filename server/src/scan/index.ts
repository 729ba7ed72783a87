export {
  type GroupedFinding,
  groupByFingerprint,
  type Place,
  type RawFinding,
  type ScanEvent,
} from './finding.ts'
export { type Format, formatFindings, formats } from './formats/index.ts'
export { createScanner, type Scanner } from './scan.ts'
export { createIgnoreList, parseSettings, type Settings } from './settings/index.ts'
export { createSources, type Sources } from './sources/index.ts'
