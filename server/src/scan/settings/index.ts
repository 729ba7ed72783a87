export { createIgnoreList, type IgnoreEntry } from './ignores.ts'
export { parseSettings, type Settings } from './settings.ts'
