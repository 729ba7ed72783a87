import { authPrefix, mountConfigView } from '../../mount-config.ts'
import type { Mount } from '../../mounts.ts'

/** Which mounts an address speaks of. The paths of auth methods are written without `auth/`. */
export type Kind = 'secret' | 'auth'

export const kindOf = (path: string): Kind => (path.startsWith(authPrefix) ? 'auth' : 'secret')

export function mountView({
  path,
  type,
  id,
  accessor,
  description,
  version,
  config,
}: Mount): Record<string, unknown> {
  return {
    accessor,
    config: mountConfigView(config, kindOf(path) === 'auth'),
    description,
    external_entropy_access: false,
    local: type === 'cubbyhole',
    options: version === null ? null : { version: String(version) },
    seal_wrap: false,
    type,
    uuid: id,
  }
}
