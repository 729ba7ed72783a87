import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

export type Environment = Readonly<Record<string, string | undefined>>

/** XDG base directories: a variable that is empty or not absolute counts as not set. */
function baseFolder(env: Environment, variable: string, ...fallback: string[]): string {
  const value = env[variable]
  return value && isAbsolute(value) ? value : join(env['HOME'] || homedir(), ...fallback)
}

/** Where the command keeps what belongs to its user: credentials and the audit heads it has seen. */
export const configFolder = (env: Environment): string =>
  join(baseFolder(env, 'XDG_CONFIG_HOME', '.config'), 'keyward')

/** What the command may forget: how far it has scanned. */
export const stateFolder = (env: Environment): string =>
  join(baseFolder(env, 'XDG_STATE_HOME', '.local', 'state'), 'keyward')

/** The server's data folder, unless `--data` or KEYWARD_DATA names another. */
export const dataFolder = (env: Environment, named?: string): string =>
  named ?? (env['KEYWARD_DATA'] || join(baseFolder(env, 'XDG_DATA_HOME', '.local', 'share'), 'keyward'))
