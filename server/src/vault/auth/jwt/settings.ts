import { AppError } from '../../../core/index.ts'
import type { Reader, Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { JwtConfig } from './config.ts'
import type { JwtRole } from './role.ts'

/** What one mount is told: whom it believes, and its roles. */
export type Settings = {
  config(reader?: Reader): Promise<JwtConfig | undefined>
  /** Refuses when nothing was configured yet. */
  configured(): Promise<JwtConfig>
  setConfig(tx: Tx, config: JwtConfig): Promise<void>
  roleNames(): Promise<string[]>
  role(name: string, reader?: Reader): Promise<JwtRole | undefined>
  setRole(tx: Tx, name: string, role: JwtRole): Promise<void>
  removeRole(tx: Tx, name: string): Promise<void>
  wipe(tx: Tx): Promise<void>
}

const parseConfig = (bytes: Buffer): JwtConfig => JSON.parse(bytes.toString('utf8')) as JwtConfig
const parseRole = (bytes: Buffer): JwtRole => JSON.parse(bytes.toString('utf8')) as JwtRole

export function createSettings(barrier: Barrier, mountId: string): Settings {
  const folder = `auth/${mountId}/`
  const configPlace = `${folder}config`
  const placeOf = (name: string): string => `${folder}role/${name}`
  const config = (reader?: Reader): Promise<JwtConfig | undefined> =>
    barrier.view(configPlace, parseConfig, reader)
  return {
    config,
    async configured() {
      const found = await config()
      if (!found) throw new AppError('request.invalid', 'could not load configuration')
      return found
    },
    setConfig: (tx, next) => barrier.put(tx, configPlace, JSON.stringify(next), 'hidden'),
    roleNames: () => barrier.list(`${folder}role/`),
    role: (name, reader) => barrier.view(placeOf(name), parseRole, reader),
    setRole: (tx, name, role) => barrier.put(tx, placeOf(name), JSON.stringify(role)),
    async removeRole(tx, name) {
      await barrier.delete(tx, placeOf(name))
    },
    async wipe(tx) {
      await barrier.delete(tx, configPlace)
      await barrier.deleteFolder(tx, folder)
    },
  }
}
