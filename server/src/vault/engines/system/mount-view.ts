import { dialect } from '../../dialect-version.ts'
import { authPrefix, mountSettingsView } from '../../mount-config.ts'
import type { Mount } from '../../mounts.ts'

/** Which mounts an address speaks of. The paths of auth methods are written without `auth/`. */
export type Kind = 'secret' | 'auth'

export const kindOf = (path: string): Kind => (path.startsWith(authPrefix) ? 'auth' : 'secret')

/** What is always there is no plugin that could grow old. */
const own: ReadonlySet<string> = new Set(['system', 'identity', 'cubbyhole', 'token'])

export function mountView({
  path,
  type,
  id,
  accessor,
  description,
  version,
  unversioned = false,
  config,
}: Mount): Record<string, unknown> {
  return {
    accessor,
    config: mountSettingsView(config, kindOf(path) === 'auth'),
    ...(own.has(type) ? {} : { deprecation_status: 'supported' }),
    description,
    external_entropy_access: false,
    local: type === 'cubbyhole',
    options: version === null ? (own.has(type) ? null : {}) : unversioned ? {} : { version: String(version) },
    plugin_version: '',
    running_plugin_version: `v${dialect}+builtin.keyward`,
    running_sha256: '',
    seal_wrap: false,
    type,
    uuid: id,
  }
}
