import type { Settings } from './settings.ts'

export { createIgnoreList } from './ignores.ts'
export type { Settings } from './settings.ts'

/** Reads the text of a settings file; loaded only where there is one, because a commit hook waits for every module. */
export async function parseSettings(text: string, file: string): Promise<Settings> {
  const settings = await import('./settings.ts')
  return settings.parseSettings(text, file)
}
